//! Events: what was recorded in a book, in its order, as far as the caller may see it.
//!
//! One record is one event at most, so whoever names the position of the last one goes on behind it and misses nothing. What
//! was refused changed nothing and is no event. Money is shown as it was booked then; of clients, keys, customers and accounts,
//! which may be erased, what is shown is how they are now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::{AccountId, Action, ApiKeyId, ClientId, Micros, Owner, Position, RateRow, Record, Scopes};
use store::{CustomerRef, EntryKind, StoreError, visible};

use crate::accounts::AccountView;
use crate::assets::AssetMade;
use crate::auth::KeyName;
use crate::clients::ClientView;
use crate::customers::CustomerView;
use crate::keys::KeyView;
use crate::problem::Problem;
use crate::transactions::TransactionDone;
use crate::vault::Keys;
use crate::write::Recorded;
use crate::{Caller, Service};

/// So many records are read at once, at most.
const RECORDS: usize = 256;
/// So many transactions in them make it fewer the next time.
const TRANSACTIONS: usize = 1_024;
/// How long a key that was revoked may still be used by who is reading.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Of so many accounts it is remembered whether they are in sight.
const ACCOUNTS: usize = 100_000;

/// Declares the kinds of events, each with the word the API uses.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind { $($(#[$doc])* $name,)* }

        impl EventKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word the API uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

kinds! {
    /// A transaction was posted.
    TransactionPosted = "transaction.posted";
    /// A transaction was reversed, whole or in part: this is the reversal.
    TransactionReversed = "transaction.reversed";
    /// Transactions were posted or held together, all or none.
    BatchPosted = "batch.posted";
    /// Money was reserved.
    HoldPlaced = "hold.placed";
    /// Reserved money was taken.
    HoldCaptured = "hold.captured";
    /// Reserved money was let go.
    HoldReleased = "hold.released";
    /// Reserved money was let go since its time was over.
    HoldExpired = "hold.expired";
    /// A client was made.
    ClientCreated = "client.created";
    /// A client was changed.
    ClientUpdated = "client.updated";
    /// An API key was made.
    KeyCreated = "key.created";
    /// An API key took the place of another, which ends: this is the new one.
    KeyRotated = "key.rotated";
    /// An API key was ended.
    KeyRevoked = "key.revoked";
    /// A customer was made.
    CustomerCreated = "customer.created";
    /// A customer was changed, or where it stands with what it owes.
    CustomerUpdated = "customer.updated";
    /// What was written about a customer was erased.
    CustomerErased = "customer.erased";
    /// An account was opened.
    AccountCreated = "account.created";
    /// An account was changed.
    AccountUpdated = "account.updated";
    /// An asset was registered.
    AssetRegistered = "asset.registered";
    /// Rates were put.
    RatesUpdated = "rates.updated";
}

impl EventKind {
    /// What a record is an event of, if it is one.
    fn of(record: &Record) -> Option<Self> {
        record.outcome.as_ref().ok()?;
        Some(match &record.action {
            Action::Initialise { .. } => return None,
            Action::CreateClient(_) => Self::ClientCreated,
            Action::UpdateClient(_) => Self::ClientUpdated,
            Action::CreateApiKey(_) => Self::KeyCreated,
            Action::RotateApiKey(_) => Self::KeyRotated,
            Action::RevokeApiKey { .. } => Self::KeyRevoked,
            Action::CreateCustomer(_) => Self::CustomerCreated,
            Action::UpdateCustomer(_) | Action::SetDunning { .. } => Self::CustomerUpdated,
            Action::EraseCustomer { .. } => Self::CustomerErased,
            Action::CreateAccount(_) => Self::AccountCreated,
            Action::UpdateAccount(_) => Self::AccountUpdated,
            Action::RegisterAsset { .. } => Self::AssetRegistered,
            Action::PutRates(_) => Self::RatesUpdated,
            Action::PostBatch(_) => Self::BatchPosted,
            Action::Post(_)
            | Action::Capture(_)
            | Action::Release(_)
            | Action::Expire { .. }
            | Action::Reverse(_) => match EntryKind::of(record, 0) {
                EntryKind::Posting => Self::TransactionPosted,
                EntryKind::Hold => Self::HoldPlaced,
                EntryKind::Capture => Self::HoldCaptured,
                EntryKind::Release => Self::HoldReleased,
                EntryKind::Expiry => Self::HoldExpired,
                EntryKind::Reversal => Self::TransactionReversed,
            },
        })
    }
}

/// What an event is about.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A client, as it is now.
    Client(ClientView),
    /// An API key, as it is now.
    Key(KeyView),
    /// A customer, as it is now.
    Customer(CustomerView),
    /// An account, as it is now.
    Account(AccountView),
    /// An asset.
    Asset(AssetMade),
    /// Rates.
    Rates(Vec<RateRow>),
    /// A transaction, as it was booked.
    Transaction(TransactionDone),
    /// Those of a batch that are in sight, as they were booked.
    Transactions(Vec<TransactionDone>),
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The position of its record.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// The client whose key did it, if there is one and it is in sight.
    pub client: Option<ClientId>,
    /// What happened.
    pub kind: EventKind,
    /// What it is about.
    pub happened: Happened,
}

/// Reads the events of a caller's book, one part after the other.
pub struct Events {
    service: Arc<Service>,
    caller: Caller,
    after: Position,
    /// How many records are read next time.
    records: usize,
    checked: Instant,
    /// Which accounts are in sight, of those that were met. Whose an account is never changes.
    sight: HashMap<AccountId, bool>,
}

impl Service {
    /// The events of the caller's book behind a position. Scope `read`.
    ///
    /// # Errors
    /// Without the scope.
    pub fn events(self: &Arc<Self>, caller: &Caller, after: Position) -> Result<Events, Problem> {
        caller.require(Scopes::READ)?;
        Ok(Events {
            service: Arc::clone(self),
            caller: caller.clone(),
            after,
            records: 16,
            checked: Instant::now(),
            sight: HashMap::new(),
        })
    }
}

impl Events {
    /// Up to where the book was read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.after
    }

    /// The next ones; none where nothing of a part is in sight. `None` when all that there is was read.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`] when the caller's key does not work any more; the store failed.
    pub async fn next(&mut self) -> Result<Option<Vec<Event>>, Problem> {
        self.check_key().await?;
        let book = self.caller.viewer.book;
        let records = self.service.store.records(book, self.after, self.records).await?;
        let Some(last) = records.last().map(|record| record.position) else {
            return Ok(None);
        };
        let transactions: usize = records.iter().map(|record| record.booked().len()).sum();
        self.records = match transactions > TRANSACTIONS {
            true => (self.records / 2).max(1),
            false => (2 * self.records).min(RECORDS),
        };
        self.look_at(&records).await?;
        let seen = records.iter().flat_map(|record| self.seen(record));
        let keys = self.service.keys_of_transactions(seen).await?;
        let mut events = Vec::with_capacity(records.len());
        for record in &records {
            events.extend(self.event(record, &keys).await?);
        }
        self.after = last;
        Ok(Some(events))
    }

    /// Waits until there is more, a second at most.
    ///
    /// # Errors
    /// The store failed.
    pub async fn wait(&self) -> Result<(), Problem> {
        let next = self.after.next();
        match self.service.store.reach(self.caller.viewer.book, next).await {
            Ok(()) | Err(StoreError::PositionNotReached { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_key(&mut self) -> Result<(), Problem> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.checked = Instant::now();
        let Some(key) = &self.caller.key else {
            return Ok(());
        };
        let name = KeyName {
            book: key.book,
            id: key.id,
        };
        self.service.live_key(name).await.map(|_| ())
    }

    /// Whether the whole book is in sight.
    fn sees_all(&self) -> bool {
        let client = self.caller.viewer.client;
        client.is_none() || client == self.caller.root
    }

    fn sees(&self, client: ClientId) -> bool {
        visible(self.caller.viewer, self.caller.root, client)
    }

    /// Finds out which accounts of these records are in sight.
    async fn look_at(&mut self, records: &[Arc<Record>]) -> Result<(), Problem> {
        if self.sees_all() {
            return Ok(());
        }
        if self.sight.len() > ACCOUNTS {
            self.sight.clear();
        }
        let moves = records
            .iter()
            .flat_map(|record| record.booked())
            .flat_map(|booked| &booked.moves);
        let mut unknown: Vec<_> = moves
            .flat_map(|made| [made.from.id, made.to.id])
            .filter(|id| !self.sight.contains_key(id))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let store = &self.service.store;
        let owners = store
            .account_owners(self.caller.viewer.book, unknown.clone())
            .await?;
        for (id, owner) in unknown.into_iter().zip(owners) {
            let seen = match owner {
                None => false,
                Some((Owner::Client(client), _)) => self.sees(client),
                Some((Owner::Customer(customer), _)) => {
                    let customer = store.customer(self.caller.viewer, CustomerRef::Id(customer));
                    customer.await?.is_some()
                }
            };
            self.sight.insert(id, seen);
        }
        Ok(())
    }

    /// The transactions of a record that are in sight: those all of whose accounts are.
    fn seen<'a>(&self, record: &'a Record) -> Vec<(&'a Record, usize)> {
        let in_sight = |id| self.sees_all() || self.sight.get(&id) == Some(&true);
        let booked = record.booked().iter().enumerate();
        booked
            .filter(|(_, booked)| {
                let mut accounts = booked.moves.iter().flat_map(|made| [made.from.id, made.to.id]);
                accounts.all(in_sight)
            })
            .map(|(nth, _)| (record, nth))
            .collect()
    }

    /// What a record is an event of, if it is in sight.
    async fn event(&self, record: &Arc<Record>, keys: &Keys) -> Result<Option<Event>, Problem> {
        let Some(kind) = EventKind::of(record) else {
            return Ok(None);
        };
        let happened = match self.happened(record, keys).await {
            Ok(Some(happened)) => happened,
            Ok(None) | Err(Problem::NotFound { .. }) => return Ok(None),
            Err(problem) => return Err(problem),
        };
        Ok(Some(Event {
            position: record.position,
            recorded_at: record.recorded_at,
            client: record.client.filter(|client| self.sees(*client)),
            kind,
            happened,
        }))
    }

    async fn happened(&self, record: &Arc<Record>, keys: &Keys) -> Result<Option<Happened>, Problem> {
        Ok(match &record.action {
            Action::Initialise { .. } => None,
            Action::CreateClient(new) => Some(self.client(new.id).await?),
            Action::UpdateClient(change) => Some(self.client(change.id).await?),
            Action::CreateApiKey(new) => self.key(new.id).await?,
            Action::RotateApiKey(rotation) => self.key(rotation.id).await?,
            Action::RevokeApiKey { id } => self.key(*id).await?,
            Action::CreateCustomer(new) => Some(self.customer(CustomerRef::Id(new.id)).await?),
            Action::UpdateCustomer(change) => Some(self.customer(CustomerRef::Id(change.id)).await?),
            Action::EraseCustomer { id } | Action::SetDunning { customer: id, .. } => {
                Some(self.customer(CustomerRef::Id(*id)).await?)
            }
            Action::CreateAccount(new) => Some(self.account(new.id).await?),
            Action::UpdateAccount(change) => Some(self.account(change.id).await?),
            Action::RegisterAsset { name, exponent, kind } => Some(Happened::Asset(AssetMade {
                name: *name,
                exponent: *exponent,
                kind: *kind,
            })),
            Action::PutRates(rates) => {
                let row = |rate: &ledger::Rate| RateRow {
                    rate: rate.clone(),
                    position: record.position,
                    recorded_at: record.recorded_at,
                };
                Some(Happened::Rates(rates.iter().map(row).collect()))
            }
            Action::PostBatch(_) => {
                let all = self.transactions(record, keys)?;
                (!all.is_empty()).then_some(Happened::Transactions(all))
            }
            Action::Post(_)
            | Action::Capture(_)
            | Action::Release(_)
            | Action::Expire { .. }
            | Action::Reverse(_) => self.transactions(record, keys)?.pop().map(Happened::Transaction),
        })
    }

    async fn client(&self, id: ClientId) -> Result<Happened, Problem> {
        let found = self.service.client(&self.caller, id).await?;
        Ok(Happened::Client(found.value))
    }

    async fn customer(&self, id: CustomerRef) -> Result<Happened, Problem> {
        let found = self.service.customer(&self.caller, id).await?;
        Ok(Happened::Customer(found.value))
    }

    async fn account(&self, id: AccountId) -> Result<Happened, Problem> {
        let found = self.service.account(&self.caller, id).await?;
        let view = self.service.account_view(&self.caller, &found.value).await?;
        Ok(Happened::Account(view))
    }

    async fn key(&self, id: ApiKeyId) -> Result<Option<Happened>, Problem> {
        let found = self.service.store.api_key(self.caller.viewer.book, id).await?;
        let Some(key) = found.map(|holder| holder.key) else {
            return Ok(None);
        };
        let seen = match key.client {
            Some(client) => self.sees(client),
            None => self.caller.viewer.client.is_none(),
        };
        if !seen {
            return Ok(None);
        }
        let label = self.service.keys_of_keys([&*key]).await?.key_label(&key)?;
        Ok(Some(Happened::Key(KeyView { key, label })))
    }

    fn transactions(&self, record: &Arc<Record>, keys: &Keys) -> Result<Vec<TransactionDone>, Problem> {
        let done = |(_, nth): (&Record, usize)| {
            let recorded = Recorded {
                record: Arc::clone(record),
                replayed: false,
            };
            Ok(TransactionDone {
                texts: keys.transaction(record, nth)?,
                ..TransactionDone::of(recorded, nth)
            })
        };
        self.seen(record).into_iter().map(done).collect()
    }
}
