//! What reads ask and answer.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    Account, AccountId, ApiKey, Asset, AssetName, BookNo, Client, ClientId, Counters, Credit, Customer,
    CustomerId, Decimal, Entry, Hold, HoldStatus, Lookup, Micros, Owner, Position, Posted, Purpose, Record,
    TransactionId,
};

/// Who reads: a client of a book, or, with no client, one who sees the whole book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Viewer {
    /// The book.
    pub book: BookNo,
    /// The client; a root sees the whole book, a subsidiary itself.
    pub client: Option<ClientId>,
}

/// Whether `viewer` sees what belongs to `client` in a book with this root.
#[must_use]
pub fn visible(viewer: Viewer, root: Option<ClientId>, client: ClientId) -> bool {
    viewer.client.is_none() || viewer.client == root || viewer.client == Some(client)
}

/// An answer and the position of the book that it was taken at.
#[derive(Clone, PartialEq, Debug)]
pub struct Stamped<T> {
    /// The answer.
    pub value: T,
    /// The position.
    pub position: Position,
}

/// A place in a list: of a register, the number of the last item shown; of history, its position and the index within.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The number or position.
    pub position: u64,
    /// The index within a position.
    pub index: u32,
}

/// Which part of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// At most so many items; at least 1.
    pub limit: usize,
    /// Behind this place.
    pub after: Option<Cursor>,
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// The place to go on from, if there may be more.
    pub next: Option<Cursor>,
    /// The position of the book that it was taken at.
    pub position: Position,
}

impl<T> Listed<T> {
    /// The same with each item made into another.
    ///
    /// # Errors
    /// The first one of `make`.
    pub fn try_map<U, E>(self, make: impl FnMut(T) -> Result<U, E>) -> Result<Listed<U>, E> {
        Ok(Listed {
            items: self.items.into_iter().map(make).collect::<Result<_, E>>()?,
            next: self.next,
            position: self.position,
        })
    }
}

/// An API key and whom it acts for.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiKeyHolder {
    /// The key.
    pub key: Arc<ApiKey>,
    /// Its client; `None` for the operator's.
    pub client: Option<Arc<Client>>,
    /// The root client of its book.
    pub root: Option<ClientId>,
}

/// A customer by its id or its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CustomerRef {
    /// By id.
    Id(CustomerId),
    /// By number.
    Number(i64),
}

/// A set of purposes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purposes(u8);

impl Purposes {
    /// The set of these.
    #[must_use]
    pub fn of(purposes: &[Purpose]) -> Self {
        Self(purposes.iter().fold(0, |set, purpose| set | 1 << *purpose as u8))
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, purpose: Purpose) -> bool {
        self.0 & (1 << purpose as u8) != 0
    }
}

/// As of when a balance is asked for. With nothing said: now. `position` excludes the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AsOf {
    /// What was recorded at or before this time.
    pub recorded_at: Option<Micros>,
    /// What counts at or before this time. Answers `settled` alone.
    pub effective_at: Option<Micros>,
    /// What was recorded at or before this position.
    pub position: Option<Position>,
}

impl AsOf {
    /// Now.
    pub const NOW: Self = Self {
        recorded_at: None,
        effective_at: None,
        position: None,
    };

    /// Whether it is now.
    #[must_use]
    pub fn is_now(&self) -> bool {
        *self == Self::NOW
    }
}

/// A balance in one asset.
#[derive(Clone, PartialEq, Debug)]
pub struct AssetBalance {
    /// The asset.
    pub asset: Arc<Asset>,
    /// The counters. By effective time only their `settled` counts; its sign is spread over the posted ones.
    pub counters: Counters,
    /// The credit in force now (as of then, for a past time).
    pub credit: Credit,
    /// The position of the last entry in it.
    pub last: Position,
    /// When that was recorded.
    pub last_at: Micros,
}

/// An account with its balances: one for each asset that it has touched, in the order of asset numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct AccountBalances {
    /// The account, as it is now.
    pub account: Arc<Account>,
    /// The asset it is bound to, if it is.
    pub currency: Option<Arc<Asset>>,
    /// Its balances.
    pub balances: Vec<AssetBalance>,
}

/// A customer with some of its accounts.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomerAccounts {
    /// The customer.
    pub customer: Arc<Customer>,
    /// The accounts.
    pub accounts: Vec<AccountBalances>,
}

/// A client and its subsidiaries, each with its primary `main` account (those without one are left out).
#[derive(Clone, PartialEq, Debug)]
pub struct ClientAccounts {
    /// The viewer's own client first, then its subsidiaries in order of creation.
    pub rows: Vec<(Arc<Client>, AccountBalances)>,
}

/// What a customer holds in one asset.
#[derive(Clone, PartialEq, Debug)]
pub struct Holding {
    /// The asset.
    pub asset: Arc<Asset>,
    /// The sum of `settled`, in minor units.
    pub settled: i128,
}

/// What a customer holds, and what is needed to value it.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomerValuation {
    /// The customer.
    pub customer: Arc<Customer>,
    /// One for each asset, in the order of asset numbers; `None` when a sum is no `i128`.
    pub holdings: Option<Vec<Holding>>,
    /// The currency asked for, if the book knows it.
    pub currency: Option<Arc<Asset>>,
    /// The newest rates not after the time, of those that [`ledger::rate_pairs`] names; the book's own before the
    /// defaults.
    pub rates: HashMap<(AssetName, AssetName), Decimal>,
}

/// Which accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountFilter {
    /// Of this owner.
    pub owner: Option<Owner>,
    /// With this foreign id.
    pub external_id: Option<Lookup>,
}

/// Which transactions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TransactionFilter {
    /// With this reference.
    pub reference: Option<Lookup>,
    /// With this foreign id.
    pub external_id: Option<Lookup>,
    /// That touch this account.
    pub account: Option<AccountId>,
    /// Recorded at or after.
    pub from: Option<Micros>,
    /// Recorded before.
    pub to: Option<Micros>,
}

/// Which holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HoldFilter {
    /// This one.
    pub id: Option<TransactionId>,
    /// That touch this account, on either side.
    pub account: Option<AccountId>,
    /// That stand so.
    pub status: Option<HoldStatus>,
}

/// What made an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A posting.
    Posting,
    /// The placing of a hold.
    Hold,
    /// A capture.
    Capture,
    /// A release.
    Release,
    /// An expiry.
    Expiry,
    /// A reversal.
    Reversal,
}

impl EntryKind {
    /// What the `nth` transaction of a record is.
    #[must_use]
    pub fn of(record: &Record, nth: usize) -> Self {
        match &record.action {
            ledger::Action::Capture(_) => Self::Capture,
            ledger::Action::Release(_) => Self::Release,
            ledger::Action::Expire { .. } => Self::Expiry,
            ledger::Action::Reverse(_) => Self::Reversal,
            _ if record
                .transaction(nth)
                .is_some_and(|transaction| transaction.hold.is_some()) =>
            {
                Self::Hold
            }
            _ => Self::Posting,
        }
    }

    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posting => "posting",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Expiry => "expiry",
            Self::Reversal => "reversal",
        }
    }
}

/// Which side of a move an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The account is debited.
    Debit,
    /// The account is credited.
    Credit,
}

/// One account's side of a move.
#[derive(Clone, PartialEq, Debug)]
pub struct EntryView {
    /// The record.
    pub record: Arc<Record>,
    /// Which transaction of the record.
    pub nth: usize,
    /// Which move of the transaction.
    pub move_index: usize,
    /// Which side of it.
    pub direction: Direction,
    /// The asset.
    pub asset: Arc<Asset>,
}

impl EntryView {
    /// The move that this is a side of.
    #[must_use]
    pub fn made_by(&self) -> &ledger::Move {
        &self.record.booked()[self.nth].moves[self.move_index]
    }

    /// The account after it.
    #[must_use]
    pub fn after(&self) -> &Entry {
        match self.direction {
            Direction::Debit => &self.made_by().from_after,
            Direction::Credit => &self.made_by().to_after,
        }
    }
}

/// A transaction and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct TransactionView {
    /// The record that made it.
    pub record: Arc<Record>,
    /// Which transaction of the record.
    pub nth: usize,
    /// How it stands, if it is a hold.
    pub hold: Option<Arc<Hold>>,
    /// What was reversed of it.
    pub posted: Arc<Posted>,
}
