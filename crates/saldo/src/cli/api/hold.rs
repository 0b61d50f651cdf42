//! `saldo hold`: money that is held.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::args::{Pages, Parts, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

const STATUSES: [&str; 4] = ["held", "captured", "released", "expired"];

#[derive(Subcommand)]
pub(crate) enum Hold {
    /// Shows a hold
    Get {
        #[arg(value_name = "HOLD")]
        id: String,
        #[command(flatten)]
        read: Read,
    },
    /// Lists holds, newest first
    List {
        /// Only those of this account
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Only those that stand so
        #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
        status: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
    /// Moves the money that is held: all of it, or a part
    Capture {
        #[arg(value_name = "HOLD")]
        id: String,
        #[command(flatten)]
        portion: Portion,
        /// Lets go of what is left, as always when no part is named
        #[arg(long = "final")]
        last: bool,
        /// May take more than is held
        #[arg(long)]
        allow_over: bool,
        /// Goes below the floor too; the key needs the scope ledger:force
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        write: Write,
    },
    /// Lets go of the money that is held: all of it, or a part
    Release {
        #[arg(value_name = "HOLD")]
        id: String,
        #[command(flatten)]
        portion: Portion,
        #[command(flatten)]
        write: Write,
    },
}

/// How much of a hold.
#[derive(clap::Args)]
pub(crate) struct Portion {
    /// Only so much, of a hold with one posting
    #[arg(long, value_name = "AMOUNT", conflicts_with = "parts")]
    amount: Option<String>,
    #[command(flatten)]
    parts: Parts,
}

impl Portion {
    fn put_into(self, body: Body) -> Body {
        self.parts.put_into(body.maybe("amount", self.amount))
    }
}

impl Ask for Hold {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Get { id, read } => Ok(Call::get(&["holds", &id], read)),
            Self::List {
                account,
                status,
                pages,
                read,
            } => {
                let columns = &[
                    "id",
                    "recordedAt",
                    "status",
                    "expiresAt",
                    "postings.from",
                    "postings.to",
                    "postings.asset",
                    "postings.amount",
                    "postings.remaining",
                ];
                Ok(Call::list(&["holds"], read, pages, columns)
                    .query("accountId", account)
                    .query("status", status))
            }
            Self::Capture {
                id,
                portion,
                last,
                allow_over,
                force,
                write,
            } => {
                let body = Body::default()
                    .flag("final", last)
                    .flag("allowOver", allow_over)
                    .flag("force", force);
                Ok(
                    Call::write(Method::POST, &["holds", &id, "capture"], write)?
                        .body(portion.put_into(body)),
                )
            }
            Self::Release { id, portion, write } => {
                let body = portion.put_into(Body::default());
                Ok(Call::write(Method::POST, &["holds", &id, "release"], write)?.body(body))
            }
        }
    }
}
