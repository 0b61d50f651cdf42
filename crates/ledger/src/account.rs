//! Accounts, as rows of the register.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::asset::AssetNo;
use crate::balance::Credit;
use crate::id::{AccountId, AccountNo, ClientId, Owner};
use crate::register::Notes;
use crate::text::Text;
use crate::time::Micros;

/// What an account is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Purpose {
    /// The everyday account.
    Main = 0,
    /// What an owner owes: no floor; negative is owed.
    Receivable = 1,
    /// Prepaid credit.
    Credit = 2,
    /// A card's money; always in one currency.
    Card = 3,
    /// A wallet.
    Wallet = 4,
    /// The client's own books: fees, revenue, clearing. May be given unlimited credit.
    Internal = 5,
    /// The world outside: no floor.
    External = 6,
}

impl Purpose {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Main,
        Self::Receivable,
        Self::Credit,
        Self::Card,
        Self::Wallet,
        Self::Internal,
        Self::External,
    ];

    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Receivable => "receivable",
            Self::Credit => "credit",
            Self::Card => "card",
            Self::Wallet => "wallet",
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    /// Whether such an account may go below any number.
    #[must_use]
    pub const fn has_no_floor(self) -> bool {
        matches!(self, Self::External | Self::Receivable)
    }
}

/// Whether an account takes movements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum AccountStatus {
    /// It does.
    Active = 0,
    /// No new debits or holds; credits, and captures of the holds it has, go on.
    Frozen = 1,
    /// Nothing moves any more. Final; only an empty account can be closed.
    Closed = 2,
}

impl AccountStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Active, Self::Frozen, Self::Closed];

    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Closed => "closed",
        }
    }
}

/// The limits of an account in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// The asset.
    pub asset: AssetNo,
    /// How far below zero it may go.
    pub credit: Credit,
    /// What settled plus incoming may not be raised above.
    pub max_balance: Option<Amount>,
}

/// An account of a client or a customer. It has a balance in each asset that it has touched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its number in the book, in the order of creation.
    pub no: AccountNo,
    /// Whose it is.
    pub owner: Owner,
    /// The owning client, or the client of the owning customer.
    pub client: ClientId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether it takes movements.
    pub status: AccountStatus,
    /// The only asset it takes, if it is bound to one.
    pub currency: Option<AssetNo>,
    /// Whether it is the first of its owner and purpose.
    pub primary: bool,
    /// What else was said of it; `None` where nothing was, see [`Details::new`].
    pub details: Option<Box<Details>>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed (its register row, not its balances).
    pub updated_at: Micros,
}

const _: () = assert!(
    size_of::<Account>() <= 96,
    "there is one for each account in memory"
);

/// What is said of few accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// A label for people; may be empty.
    pub label: Text,
    /// Limits, at most one an asset.
    pub limits: Vec<Limit>,
    /// The caller's notes.
    pub notes: Notes,
}

static NO_DETAILS: LazyLock<Details> = LazyLock::new(Details::default);

impl Details {
    /// Those of an account. Most have none; so they take a word of it, or each would be half as large again.
    #[must_use]
    pub fn new(label: Text, limits: Vec<Limit>, notes: Notes) -> Option<Box<Self>> {
        let details = Self { label, limits, notes };
        (!details.is_empty()).then(|| Box::new(details))
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        *self == *NO_DETAILS
    }
}

impl Account {
    /// What else was said of it.
    #[must_use]
    pub fn details(&self) -> &Details {
        self.details.as_deref().unwrap_or(&NO_DETAILS)
    }

    /// Changes what else was said of it.
    pub fn change_details(&mut self, change: impl FnOnce(&mut Details)) {
        let mut details = self.details.take().unwrap_or_default();
        change(&mut details);
        self.details = (!details.is_empty()).then_some(details);
    }

    /// The credit of the account in `asset`: the purpose's, else the limit's, else none.
    #[must_use]
    pub fn credit(&self, asset: AssetNo) -> Credit {
        if self.purpose.has_no_floor() {
            return Credit::Unlimited;
        }
        match self.limit(asset).map(|limit| limit.credit) {
            Some(Credit::Unlimited) if self.purpose != Purpose::Internal => Credit::NONE,
            Some(credit) => credit,
            None => Credit::NONE,
        }
    }

    /// The limit set for `asset`, if one is.
    #[must_use]
    pub fn limit(&self, asset: AssetNo) -> Option<&Limit> {
        let limits = &self.details.as_ref()?.limits;
        limits.iter().find(|limit| limit.asset == asset)
    }
}

/// An account as it is written: all in one row.
#[derive(Serialize, Deserialize)]
struct Row {
    id: AccountId,
    no: AccountNo,
    owner: Owner,
    client: ClientId,
    purpose: Purpose,
    label: Text,
    status: AccountStatus,
    currency: Option<AssetNo>,
    primary: bool,
    limits: Vec<Limit>,
    notes: Notes,
    created_at: Micros,
    updated_at: Micros,
}

impl From<Account> for Row {
    fn from(account: Account) -> Self {
        let Details { label, limits, notes } = account.details.map(|details| *details).unwrap_or_default();
        Self {
            id: account.id,
            no: account.no,
            owner: account.owner,
            client: account.client,
            purpose: account.purpose,
            label,
            status: account.status,
            currency: account.currency,
            primary: account.primary,
            limits,
            notes,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            no: row.no,
            owner: row.owner,
            client: row.client,
            purpose: row.purpose,
            status: row.status,
            currency: row.currency,
            primary: row.primary,
            details: Details::new(row.label, row.limits, row.notes),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
