//! The reference model: every rule and every read of a store, as plainly as can be.
//!
//! It is the oracle that the stores and the core are compared with, so it shares none of their code: it keeps the records
//! in a list, adds every balance up from them each time, and scans whatever it is asked for. What it decides must equal what
//! [`ledger::decide()`] decides, and what it reads must equal what every store reads.

mod book;
mod judge;
mod money;
mod read;
mod rows;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use ledger::{
    AccountId, ApiKeyId, BookNo, ClientId, Command, CustomerId, Lookup, Micros, Owner, Position, Purpose,
    Record, Subject, TransactionId,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    AccountBalances, AccountFilter, Answer, ApiKeyHolder, AsOf, ClientAccounts, CustomerAccounts,
    CustomerRef, CustomerValuation, EntryView, HoldFilter, Listed, Outcome, Outcomes, Page, Purposes,
    SigningKey, SigningKeys, Stamped, Store, StoreError, TextKey, TransactionFilter, TransactionView, Viewer,
};
use book::World;
use read::View;

/// How far a command's stamp may be ahead of the store's clock.
const AHEAD: i64 = 5_000_000;

/// How long a reader waits for a position.
const PATIENCE: Duration = Duration::from_secs(1);

/// A store in memory that is slow, plain and right.
pub struct Model {
    world: Mutex<World>,
    text_keys: Mutex<BTreeMap<Subject, TextKey>>,
    signing_keys: Mutex<SigningKeys>,
    moved: Notify,
    clock: Box<dyn Fn() -> Micros + Send + Sync>,
}

impl Model {
    /// An empty store that goes by this clock.
    #[must_use]
    pub fn new(clock: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self {
            world: Mutex::new(World::new()),
            text_keys: Mutex::new(BTreeMap::new()),
            signing_keys: Mutex::new(SigningKeys::of(SigningKey::new([7; 8], [7; 32], clock()))),
            moved: Notify::new(),
            clock: Box::new(clock),
        }
    }

    /// Takes commands again, if it was closed.
    pub fn open(&self) {
        self.world.lock().closed = false;
    }

    /// Takes one command, at once.
    ///
    /// # Errors
    /// When the store is closed, the stamp is too far ahead, or there is no such book.
    pub fn take(&self, command: &Command) -> Result<Outcome, StoreError> {
        let mut world = self.world.lock();
        if world.closed {
            return Err(StoreError::Closed("it was closed".to_owned()));
        }
        if command.stamp > (self.clock)().plus(AHEAD) {
            return Err(StoreError::ClockAhead);
        }
        if !world.books.contains_key(&command.book) {
            return Err(StoreError::NoSuchBook(command.book));
        }
        let outcome = judge::take(&mut world, command);
        self.moved.notify_waiters();
        Ok(outcome)
    }

    fn read<'a, T: Send + 'a>(&'a self, ask: impl FnOnce(&World) -> Result<T, StoreError>) -> Answer<'a, T> {
        Box::pin(ready(ask(&self.world.lock())))
    }

    fn view<'a, T: Send + 'a>(&'a self, viewer: Viewer, ask: impl FnOnce(&View<'_>) -> T) -> Answer<'a, T> {
        self.read(|world| Ok(ask(&View::of(world, viewer)?)))
    }
}

fn book(world: &World, no: BookNo) -> Result<&book::Book, StoreError> {
    world.books.get(&no).ok_or(StoreError::NoSuchBook(no))
}

impl Store for Model {
    fn submit(&self, commands: Vec<Command>) -> Outcomes<'_> {
        Box::pin(async move { commands.iter().map(|command| self.take(command)).collect() })
    }

    fn ready(&self) -> Answer<'_, ()> {
        self.read(|world| match world.closed {
            true => Err(StoreError::Closed("it was closed".to_owned())),
            false => Ok(()),
        })
    }

    fn adopt(&self, records: Vec<Arc<Record>>) -> Answer<'_, Position> {
        let mut world = self.world.lock();
        let mut reached = Ok(Position(0));
        for record in &records {
            reached = judge::adopt(&mut world, record);
            if reached.is_err() {
                break;
            }
        }
        self.moved.notify_waiters();
        Box::pin(ready(reached))
    }

    fn position(&self, no: BookNo) -> Answer<'_, Position> {
        self.read(|world| Ok(book(world, no)?.position()))
    }

    fn reach(&self, no: BookNo, wanted: Position) -> Answer<'_, ()> {
        let reached = move || Ok(book(&self.world.lock(), no)?.position());
        let wait = async move {
            loop {
                let moved = self.moved.notified();
                if reached()? >= wanted {
                    return Ok(());
                }
                moved.await;
            }
        };
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, wait).await {
                Ok(answer) => answer,
                Err(_) => Err(StoreError::PositionNotReached {
                    wanted,
                    reached: reached()?,
                }),
            }
        })
    }

    fn book_of(&self, root: ClientId) -> Answer<'_, Option<BookNo>> {
        self.read(|world| {
            let book = world.books.values().find(|book| book.root == Some(root));
            Ok(book.map(|book| book.no))
        })
    }

    fn signing_keys(&self) -> Answer<'_, SigningKeys> {
        Box::pin(ready(Ok(self.signing_keys.lock().clone())))
    }

    fn replace_signing_keys(&self, old: SigningKeys, new: SigningKeys) -> Answer<'_, bool> {
        let mut keys = self.signing_keys.lock();
        let same = *keys == old;
        if same {
            *keys = new;
        }
        Box::pin(ready(Ok(same)))
    }

    fn api_key(&self, no: BookNo, id: ApiKeyId) -> Answer<'_, Option<ApiKeyHolder>> {
        self.read(|world| {
            let book = book(world, no)?;
            let key = book.api_keys.iter().find(|key| key.id == id);
            Ok(key.map(|key| ApiKeyHolder {
                key: Arc::clone(key),
                client: key.client.and_then(|id| book.client(id)).map(Arc::clone),
                root: book.root,
            }))
        })
    }

    fn api_keys(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::ApiKey>>> {
        self.view(viewer, |view| view.api_keys(page))
    }

    fn client(&self, viewer: Viewer, id: ClientId) -> Answer<'_, Option<Stamped<Arc<ledger::Client>>>> {
        self.view(viewer, |view| view.client(id))
    }

    fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Client>>> {
        self.view(viewer, |view| view.clients(external_id, page))
    }

    fn customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
    ) -> Answer<'_, Option<Stamped<Arc<ledger::Customer>>>> {
        self.view(viewer, |view| {
            Some(view.stamp(Arc::clone(view.customer(customer)?)))
        })
    }

    fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Customer>>> {
        self.view(viewer, |view| view.customers(external_id, page))
    }

    fn account(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<AccountBalances>>> {
        self.view(viewer, |view| {
            let account = view.account(id)?;
            Some(view.stamp(view.balances(account, as_of)))
        })
    }

    fn account_owners(
        &self,
        no: BookNo,
        accounts: Vec<AccountId>,
    ) -> Answer<'_, Vec<Option<(Owner, Purpose)>>> {
        self.read(|world| {
            let book = book(world, no)?;
            let owner = |id: &AccountId| book.account(*id).map(|row| (row.owner, row.purpose));
            Ok(accounts.iter().map(owner).collect())
        })
    }

    fn accounts(
        &self,
        viewer: Viewer,
        filter: AccountFilter,
        page: Page,
    ) -> Answer<'_, Listed<AccountBalances>> {
        self.view(viewer, |view| view.accounts(&filter, page))
    }

    fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Answer<'_, Option<Stamped<CustomerAccounts>>> {
        self.view(viewer, |view| view.customer_accounts(customer, purposes))
    }

    fn client_accounts(&self, viewer: Viewer) -> Answer<'_, Stamped<ClientAccounts>> {
        self.view(viewer, |view| view.client_accounts())
    }

    fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: ledger::AssetName,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<CustomerValuation>>> {
        let now = (self.clock)();
        self.view(viewer, |view| {
            view.valuation(customer, purposes, &currency, as_of, now)
        })
    }

    fn entries(
        &self,
        viewer: Viewer,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Answer<'_, Option<Listed<EntryView>>> {
        self.view(viewer, |view| view.entries(account, from, to, page))
    }

    fn transaction(&self, viewer: Viewer, id: TransactionId) -> Answer<'_, Option<Stamped<TransactionView>>> {
        self.view(viewer, |view| view.transaction(id))
    }

    fn transactions(
        &self,
        viewer: Viewer,
        filter: TransactionFilter,
        page: Page,
    ) -> Answer<'_, Listed<TransactionView>> {
        self.view(viewer, |view| view.transactions(&filter, page))
    }

    fn holds(&self, viewer: Viewer, filter: HoldFilter, page: Page) -> Answer<'_, Listed<Arc<ledger::Hold>>> {
        self.view(viewer, |view| view.holds(&filter, page))
    }

    fn assets(&self, viewer: Viewer) -> Answer<'_, Vec<Arc<ledger::Asset>>> {
        self.view(viewer, |view| view.assets())
    }

    fn rates(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::RateRow>>> {
        self.view(viewer, |view| view.rates(page))
    }

    fn due_holds(&self, now: Micros, limit: usize) -> Answer<'_, Vec<(BookNo, TransactionId)>> {
        self.read(|world| Ok(read::due_holds(world, now, limit)))
    }

    fn records(&self, no: BookNo, after: Position, limit: usize) -> Answer<'_, Vec<Arc<Record>>> {
        self.read(|world| {
            let records = book(world, no)?.records.iter();
            let behind = records.filter(|record| record.position > after);
            Ok(behind.take(limit).map(Arc::clone).collect())
        })
    }

    fn digest(&self, no: BookNo) -> Answer<'_, (Position, [u8; 32])> {
        self.read(|world| {
            let book = book(world, no)?;
            Ok((book.position(), book.digest))
        })
    }

    fn text_keys(&self, subjects: Vec<Subject>) -> Answer<'_, Vec<Option<TextKey>>> {
        let keys = self.text_keys.lock();
        let found = subjects.iter().map(|subject| keys.get(subject).copied());
        Box::pin(ready(Ok(found.collect())))
    }

    fn keep_text_keys(&self, new: Vec<(Subject, TextKey)>) -> Answer<'_, Vec<TextKey>> {
        let mut keys = self.text_keys.lock();
        let kept = new
            .into_iter()
            .map(|(subject, key)| *keys.entry(subject).or_insert(key));
        Box::pin(ready(Ok(kept.collect())))
    }

    fn forget_text_key(&self, subject: Subject) -> Answer<'_, ()> {
        self.text_keys.lock().remove(&subject);
        Box::pin(ready(Ok(())))
    }

    fn all_text_keys(&self, after: Option<Subject>, limit: usize) -> Answer<'_, Vec<(Subject, TextKey)>> {
        let keys = self.text_keys.lock();
        let behind = keys.iter().filter(|(subject, _)| Some(**subject) > after);
        let found = behind.take(limit).map(|(subject, key)| (*subject, *key));
        Box::pin(ready(Ok(found.collect())))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.world.lock().closed = true;
        Box::pin(ready(Ok(())))
    }
}
