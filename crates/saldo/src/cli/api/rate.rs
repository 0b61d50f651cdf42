//! `saldo rate`: exchange rates.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use ureq::http::Method;

use super::Ask;
use super::args::{Pages, Read, Write, lines};
use super::call::Call;
use super::failed::Failed;

#[derive(Subcommand)]
pub(crate) enum Rate {
    /// Puts a rate, or many from a file: a client's are for its book, the operator's for all
    Put {
        #[command(flatten)]
        one: One,
        /// A rate on each line, as `PUT /api/v1/rates` takes it; `-` is stdin
        #[arg(long, value_name = "FILE", required_unless_present = "base", conflicts_with_all = ["base", "quote", "rate", "as_of", "source"])]
        file: Option<PathBuf>,
        #[command(flatten)]
        write: Write,
    },
    /// Lists rates, newest first
    List {
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
}

/// A rate, whole where no file is named.
#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct One {
    /// The asset that is priced
    #[arg(long, value_name = "ASSET", required_unless_present = "file")]
    base: Option<String>,
    /// The asset in which it is priced
    #[arg(long, value_name = "ASSET", required_unless_present = "file")]
    quote: Option<String>,
    /// How much of the quote one of the base is worth, as a decimal
    #[arg(long, value_name = "DECIMAL", required_unless_present = "file")]
    rate: Option<String>,
    /// Since when it holds
    #[arg(long, value_name = "TIME", required_unless_present = "file")]
    as_of: Option<String>,
    /// Who says so
    #[arg(long, value_name = "TEXT", required_unless_present = "file")]
    source: Option<String>,
}

impl Ask for Rate {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Put { one, file, write } => {
                let call = Call::write(Method::PUT, &["rates"], write)?;
                match file {
                    Some(file) => Ok(call.array(&lines(&file)?)),
                    None => Ok(call.array(&[one])),
                }
            }
            Self::List { pages, read } => {
                let columns = &[
                    "base",
                    "quote",
                    "rate",
                    "asOf",
                    "source",
                    "recordedAt",
                    "position",
                ];
                Ok(Call::list(&["rates"], read, pages, columns))
            }
        }
    }
}
