//! `saldo key`: API keys.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::args::{Pages, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

const SCOPES: [&str; 6] = [
    "read",
    "post",
    "ledger:force",
    "rates",
    "admin",
    "CUSTOMER_ACCOUNT_READ",
];

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Makes a key, and prints its secrets, once
    Create {
        /// Whose key it is
        #[arg(long, value_name = "CLIENT")]
        client: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// What it may; several with commas, or repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = SCOPES)]
        scopes: Vec<String>,
        /// Until when it works
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Lists keys, without their secrets
    List {
        /// Only those of this client
        #[arg(long, value_name = "CLIENT")]
        client: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
    /// Makes a key that takes another's place, which goes on for a while, and prints its secrets, once
    Rotate {
        #[arg(value_name = "KEY_ID")]
        id: String,
        /// How long the other one goes on; 0 ends it at once [default: a day]
        #[arg(long, value_name = "SECONDS")]
        overlap_seconds: Option<u32>,
        /// Until when the new one works
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Ends a key at once and for good
    Revoke {
        #[arg(value_name = "KEY_ID")]
        id: String,
        #[command(flatten)]
        write: Write,
    },
}

impl Ask for Key {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Create {
                client,
                label,
                scopes,
                expires_at,
                write,
            } => {
                let body = Body::default()
                    .with("label", label)
                    .with("scopes", scopes)
                    .maybe("expiresAt", expires_at);
                Ok(Call::write(Method::POST, &["clients", &client, "keys"], write)?.body(body))
            }
            Self::List { client, pages, read } => {
                let columns = &[
                    "id",
                    "label",
                    "scopes",
                    "clientId",
                    "createdAt",
                    "expiresAt",
                    "revokedAt",
                ];
                Ok(match client {
                    Some(client) => Call::list(&["clients", &client, "keys"], read, pages, columns),
                    None => Call::list(&["keys"], read, pages, columns),
                })
            }
            Self::Rotate {
                id,
                overlap_seconds,
                expires_at,
                write,
            } => {
                let body = Body::default()
                    .maybe("overlapSeconds", overlap_seconds)
                    .maybe("expiresAt", expires_at);
                Ok(Call::write(Method::POST, &["keys", &id, "rotate"], write)?.body(body))
            }
            Self::Revoke { id, write } => {
                Ok(Call::write(Method::DELETE, &["keys", &id], write)?.done("Revoked."))
            }
        }
    }
}
