//! `saldo post`: moves money, or holds it.

use clap::Args;
use serde::Serialize;
use ureq::http::Method;

use super::Ask;
use super::args::Notes;
use super::call::{Body, Call};
use super::failed::Failed;

// No doc comment: it would stand in the place of the command's own line.
#[derive(Args)]
pub(crate) struct Post {
    /// The account that is debited. For several postings --from, --to, --asset and --amount are repeated, the first ones belonging
    /// together; one that stands once is for all of them
    #[arg(long, value_name = "ACCOUNT", required = true)]
    from: Vec<String>,
    /// The account that is credited
    #[arg(long, value_name = "ACCOUNT", required = true)]
    to: Vec<String>,
    /// Such as USD, or USDC@ethereum
    #[arg(long, value_name = "ASSET", required = true)]
    asset: Vec<String>,
    /// How much, in whole minor units: 1250 in USD is 12.50
    #[arg(long, value_name = "AMOUNT", required = true)]
    amount: Vec<String>,
    /// What it is about, to find it by
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// For what time it counts; now unless it is said
    #[arg(long, value_name = "TIME")]
    effective_at: Option<String>,
    /// Reserves the money instead of moving it, until `saldo hold capture` or `saldo hold release`
    #[arg(long)]
    hold: bool,
    /// When a hold lets go by itself
    #[arg(long, value_name = "TIME", requires = "hold")]
    expires_at: Option<String>,
    /// Goes below the floor too; the key needs the scope ledger:force
    #[arg(long)]
    force: bool,
    /// The id of the transaction, any UUID; sent again under it, it is done once
    #[arg(long, value_name = "UUID")]
    id: Option<String>,
    #[command(flatten)]
    notes: Notes,
    /// The idempotency key: what is sent again under it is done once, and gets the first answer. Made up if this and --id are left out
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Serialize)]
struct Posting<'a> {
    from: &'a str,
    to: &'a str,
    asset: &'a str,
    amount: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hold {
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl Post {
    fn postings(&self) -> Result<Vec<Posting<'_>>, Failed> {
        let given = [&self.from, &self.to, &self.asset, &self.amount];
        let count = given.iter().map(|list| list.len()).max().unwrap_or_default();
        if given.iter().any(|list| ![1, count].contains(&list.len())) {
            return Err(Failed::usage(format!(
                "there are {} --from, {} --to, {} --asset and {} --amount; each stands as often as there are postings, or once for \
                 all of them",
                self.from.len(),
                self.to.len(),
                self.asset.len(),
                self.amount.len()
            )));
        }
        let nth = |list: &'_ [String], index: usize| list.len().min(index + 1) - 1;
        let postings = (0..count).map(|index| Posting {
            from: &self.from[nth(&self.from, index)],
            to: &self.to[nth(&self.to, index)],
            asset: &self.asset[nth(&self.asset, index)],
            amount: &self.amount[nth(&self.amount, index)],
        });
        Ok(postings.collect())
    }
}

impl Ask for Post {
    fn call(mut self) -> Result<Call, Failed> {
        let body = Body::default()
            .with("postings", self.postings()?)
            .maybe("id", self.id.as_ref())
            .maybe("reference", self.reference)
            .maybe("effectiveAt", self.effective_at)
            .maybe(
                "hold",
                self.hold.then(|| Hold {
                    expires_at: self.expires_at.take(),
                }),
            )
            .flag("force", self.force);
        let path = ["transactions"];
        let call = match self.id {
            // An id is a key of its own.
            Some(_) => Call::write_known(Method::POST, &path, self.key),
            None => Call::write(Method::POST, &path, super::args::Write { key: self.key })?,
        };
        Ok(call.body(self.notes.put_into(body)))
    }
}
