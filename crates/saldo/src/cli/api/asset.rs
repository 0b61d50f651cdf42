//! `saldo asset`: what money is counted in.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::args::{Pages, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

const KINDS: [&str; 3] = ["fiat", "stablecoin", "custom"];

#[derive(Subcommand)]
pub(crate) enum Asset {
    /// Registers an asset
    Create {
        /// Such as POINTS
        #[arg(long, value_name = "CODE")]
        code: String,
        /// Of how many decimal places its minor unit is; this never changes
        #[arg(long, value_name = "N")]
        exponent: u8,
        /// Where it lives, such as ethereum
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
        /// What it is [default: custom]
        #[arg(long, value_name = "KIND", value_parser = KINDS)]
        kind: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Lists assets, the built-in ones too
    List {
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
}

impl Ask for Asset {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Create {
                code,
                exponent,
                network,
                kind,
                write,
            } => {
                let body = Body::default()
                    .with("code", code)
                    .with("exponent", exponent)
                    .maybe("network", network)
                    .maybe("kind", kind);
                Ok(Call::write(Method::POST, &["assets"], write)?.body(body))
            }
            Self::List { pages, read } => {
                let columns = &["asset", "code", "network", "exponent", "kind"];
                Ok(Call::list(&["assets"], read, pages, columns))
            }
        }
    }
}
