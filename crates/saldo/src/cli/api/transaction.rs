//! `saldo transaction`: what was posted and held, reversals, and batches.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;
use ureq::http::Method;

use super::Ask;
use super::args::{Pages, Parts, Read, Write, lines};
use super::call::{Body, Call};
use super::failed::Failed;

#[derive(Subcommand)]
pub(crate) enum Transaction {
    /// Shows a transaction
    Get {
        #[arg(value_name = "TRANSACTION")]
        id: String,
        #[command(flatten)]
        read: Read,
    },
    /// Lists transactions, newest first
    List {
        /// Only those with this reference
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
        /// Only those of this account
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Only those with this id of your own
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        /// Recorded at this time or later
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Recorded before this time
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
    /// Posts the opposite of a transaction, whole or in part
    Reverse {
        #[arg(value_name = "TRANSACTION")]
        id: String,
        #[command(flatten)]
        parts: Parts,
        /// Goes below the floor too; the key needs the scope ledger:force
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        write: Write,
    },
    /// Posts many transactions from a file: each for itself, or all or none
    Batch {
        /// A transaction on each line, as `POST /api/v1/transactions` takes it, each with an `id`; `-` is stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// All or none
        #[arg(long)]
        atomic: bool,
        /// The idempotency key of an atomic batch; others are known again by the ids of the transactions
        #[arg(long, value_name = "KEY", requires = "atomic")]
        key: Option<String>,
    },
}

impl Ask for Transaction {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Get { id, read } => Ok(Call::get(&["transactions", &id], read)),
            Self::List {
                reference,
                account,
                external_id,
                from,
                to,
                pages,
                read,
            } => {
                let columns = &[
                    "id",
                    "recordedAt",
                    "position",
                    "type",
                    "status",
                    "postings.from",
                    "postings.to",
                    "postings.asset",
                    "postings.amount",
                    "reference",
                ];
                Ok(Call::list(&["transactions"], read, pages, columns)
                    .query("reference", reference)
                    .query("accountId", account)
                    .query("externalId", external_id)
                    .query("from", from)
                    .query("to", to))
            }
            Self::Reverse {
                id,
                parts,
                force,
                write,
            } => {
                let body = parts.put_into(Body::default().flag("force", force));
                Ok(Call::write(Method::POST, &["transactions", &id, "reverse"], write)?.body(body))
            }
            Self::Batch { file, atomic, key } => {
                let body = Body::default()
                    .with("transactions", lines(&file)?)
                    .flag("atomic", atomic);
                let path = ["transactions", "batch"];
                let call = match atomic {
                    true => Call::write(Method::POST, &path, Write { key })?,
                    false => Call::write_known(Method::POST, &path, None),
                };
                Ok(call.body(body).check(all_posted))
            }
        }
    }
}

/// Whether no transaction of a batch was refused.
fn all_posted(answer: &str) -> Result<(), Failed> {
    let answer: Value = serde_json::from_str(answer)
        .map_err(|error| Failed::refused(format!("the answer is no JSON: {error}")))?;
    let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
    let refused = results
        .iter()
        .filter(|result| result["status"] == "rejected")
        .count();
    match refused {
        0 => Ok(()),
        _ => Err(Failed::refused(format!(
            "{refused} of {} transactions were refused; their results say why",
            results.len()
        ))),
    }
}
