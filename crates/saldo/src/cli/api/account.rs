//! `saldo account`: accounts, and what changed their balances.

use clap::Subcommand;
use serde::Serialize;
use ureq::http::Method;

use super::Ask;
use super::args::{Named, Notes, NotesChange, Pages, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

const PURPOSES: [&str; 7] = [
    "main",
    "card",
    "wallet",
    "receivable",
    "credit",
    "internal",
    "external",
];
const STATUSES: [&str; 3] = ["active", "frozen", "closed"];

#[derive(Subcommand)]
pub(crate) enum Account {
    /// Opens an account
    Create(New),
    /// Shows an account; `saldo balance` shows what is on it
    Get {
        #[arg(value_name = "ACCOUNT")]
        id: String,
        #[command(flatten)]
        read: Read,
    },
    /// Lists accounts
    List {
        /// Only those of this client or customer
        #[arg(long, value_name = "OWNER")]
        owner: Option<String>,
        /// Only those with this id of your own
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
    /// Changes what is named
    Update(Change),
    /// Lists what changed an account, newest first, with the balance after it
    Entries {
        #[arg(value_name = "ACCOUNT")]
        id: String,
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
}

#[derive(clap::Args)]
pub(crate) struct New {
    /// The client or customer that it belongs to
    #[arg(long, value_name = "OWNER")]
    owner: String,
    /// What it is for; `external` is the world outside, where money comes from
    #[arg(long, value_name = "PURPOSE", value_parser = PURPOSES)]
    purpose: String,
    /// What it is called
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// The only asset that it takes; a card account needs one
    #[arg(long, value_name = "ASSET")]
    currency: Option<String>,
    /// Makes it its owner's first of this purpose
    #[arg(long)]
    primary: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    write: Write,
}

#[derive(clap::Args)]
pub(crate) struct Change {
    #[arg(value_name = "ACCOUNT")]
    id: String,
    /// What it is called
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// frozen: no new debits or holds; closed: only when it is empty
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,
    /// Makes it its owner's first of this purpose
    #[arg(long)]
    primary: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    notes: NotesChange,
    #[command(flatten)]
    write: Write,
}

/// Limits by asset.
#[derive(clap::Args)]
pub(crate) struct Limits {
    /// How far below zero it may go in an asset, or `unlimited` for internal accounts; may be repeated. What is named for an
    /// asset replaces both its limits
    #[arg(long, value_name = "ASSET=AMOUNT", value_parser = Named::asset)]
    credit: Vec<Named>,
    /// The most that it may have of an asset; may be repeated
    #[arg(long, value_name = "ASSET=AMOUNT", value_parser = Named::asset)]
    max_balance: Vec<Named>,
}

/// What holds for an asset.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    asset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_balance: Option<String>,
}

impl Limits {
    /// Each asset once. An asset that is named twice is sent twice: the server says that it is wrong.
    fn put_into(self, body: Body) -> Body {
        let mut limits: Vec<Limit> = self.credit.into_iter().map(Limit::credit).collect();
        for Named { name, amount } in self.max_balance {
            match limits
                .iter_mut()
                .find(|limit| limit.asset == name && limit.max_balance.is_none())
            {
                Some(limit) => limit.max_balance = Some(amount),
                None => limits.push(Limit {
                    asset: name,
                    credit: None,
                    max_balance: Some(amount),
                }),
            }
        }
        body.maybe("limits", Some(limits).filter(|limits| !limits.is_empty()))
    }
}

impl Limit {
    fn credit(named: Named) -> Self {
        Self {
            asset: named.name,
            credit: Some(named.amount),
            max_balance: None,
        }
    }
}

impl Ask for New {
    fn call(self) -> Result<Call, Failed> {
        let body = Body::default()
            .with("ownerId", self.owner)
            .with("purpose", self.purpose)
            .maybe("label", self.label)
            .maybe("currency", self.currency)
            .flag("primary", self.primary);
        let body = self.notes.put_into(self.limits.put_into(body));
        Ok(Call::write(Method::POST, &["accounts"], self.write)?.body(body))
    }
}

impl Ask for Change {
    fn call(self) -> Result<Call, Failed> {
        let body = Body::default()
            .maybe("label", self.label)
            .maybe("status", self.status)
            .flag("primary", self.primary);
        let body = self.notes.put_into(self.limits.put_into(body));
        Ok(Call::write(Method::PATCH, &["accounts", &self.id], self.write)?.body(body))
    }
}

impl Ask for Account {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Create(new) => new.call(),
            Self::Get { id, read } => Ok(Call::get(&["accounts", &id], read)),
            Self::List {
                owner,
                external_id,
                pages,
                read,
            } => {
                let columns = &[
                    "id",
                    "ownerType",
                    "ownerId",
                    "purpose",
                    "label",
                    "status",
                    "currency",
                    "externalId",
                ];
                Ok(Call::list(&["accounts"], read, pages, columns)
                    .query("ownerId", owner)
                    .query("externalId", external_id))
            }
            Self::Update(change) => change.call(),
            Self::Entries {
                id,
                from,
                to,
                pages,
                read,
            } => {
                let columns = &[
                    "recordedAt",
                    "position",
                    "type",
                    "direction",
                    "asset",
                    "amount",
                    "balance.settled",
                    "balance.available",
                    "counterpartyId",
                    "transactionId",
                    "reference",
                ];
                Ok(Call::list(&["accounts", &id, "entries"], read, pages, columns)
                    .query("from", from)
                    .query("to", to))
            }
        }
    }
}
