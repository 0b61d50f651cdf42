//! A book as lines of JSON, version 1: what `saldo export` writes and `saldo import` reads. docs/import.md describes it.

mod read;
mod write;

use serde::{Deserialize, Serialize};

pub(super) use read::{Rejected, Roots, read_action};
pub(super) use write::{asset, root_line, write_action};

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// A line: the head, a record, or the end.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) saldo_book: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recorded_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Head {
    pub(super) version: u32,
    /// The root client's id.
    pub(super) client: String,
}

/// The last line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct End {
    /// How many lines have an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
}

/// What was done. Ids are in any spelling, amounts in minor units.
#[derive(Debug, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(super) enum Act {
    /// An asset that is not built in.
    Asset {
        name: String,
        exponent: u8,
        kind: String,
        /// Whether it was registered for all books.
        #[serde(default, skip_serializing_if = "is_false")]
        shared: bool,
    },
    Client {
        id: String,
        parent: String,
        legal_name: String,
        time_zone: String,
        #[serde(default, skip_serializing_if = "Notes::is_none")]
        notes: Notes,
    },
    ClientChange {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legal_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_zone: Option<String>,
        #[serde(default, skip_serializing_if = "NotesChange::is_none")]
        notes: NotesChange,
    },
    Customer {
        id: String,
        client: String,
        legal_name: String,
        number: i64,
        #[serde(default, skip_serializing_if = "Notes::is_none")]
        notes: Notes,
    },
    CustomerChange {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legal_name: Option<String>,
        #[serde(default, skip_serializing_if = "NotesChange::is_none")]
        notes: NotesChange,
    },
    CustomerErased {
        id: String,
    },
    Dunning {
        customer: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        in_debt_collection: bool,
    },
    Account {
        id: String,
        /// Exactly one of the two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<String>,
        purpose: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        label: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
        #[serde(default, skip_serializing_if = "is_false")]
        primary: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limits: Vec<Limit>,
        #[serde(default, skip_serializing_if = "Notes::is_none")]
        notes: Notes,
    },
    AccountChange {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limits: Vec<Limit>,
        #[serde(default, skip_serializing_if = "is_false")]
        primary: bool,
        #[serde(default, skip_serializing_if = "NotesChange::is_none")]
        notes: NotesChange,
    },
    Rates(Vec<Rate>),
    Transaction(Transaction),
    Transactions(Vec<Transaction>),
    Capture {
        id: String,
        hold: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        postings: Option<Vec<Part>>,
        r#final: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        allow_over: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        force: bool,
    },
    Release {
        id: String,
        hold: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        postings: Option<Vec<Part>>,
    },
    Expiry {
        hold: String,
    },
    Reversal {
        id: String,
        transaction: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        postings: Option<Vec<Part>>,
        #[serde(default, skip_serializing_if = "is_false")]
        force: bool,
    },
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What callers hang on things.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Notes {
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// An object, written as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

impl Notes {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A change of them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct NotesChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Change>,
}

impl NotesChange {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A new text, or none any more.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Change {
    Set(String),
    Clear,
}

/// A limit of an account in one asset.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Limit {
    asset: String,
    /// An amount, or `unlimited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_balance: Option<String>,
}

/// A rate: `digits` with the decimal point `scale` places from the right.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rate {
    base: String,
    quote: String,
    digits: String,
    scale: u8,
    as_of: String,
    source: String,
}

/// A transaction, posted or held.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Transaction {
    id: String,
    postings: Vec<Posting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Notes::is_none")]
    notes: Notes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "is_false")]
    force: bool,
}

/// How a hold ends by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hold {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A movement.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Posting {
    from: String,
    to: String,
    asset: String,
    amount: String,
}

/// A part of a transaction.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part {
    index: u32,
    amount: String,
}
