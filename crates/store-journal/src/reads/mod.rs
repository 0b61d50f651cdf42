//! What readers ask: the register and today's balances from memory, the past from the log.

mod past;
mod register;
mod transactions;

use std::sync::Arc;

use ledger::{
    Account, AccountId, ApiKeyId, AssetName, Book, BookNo, ClientId, Command, CustomerId, Lookup, Micros,
    Owner, Position, Purpose, Record, Slot, Subject, TransactionId,
};
use parking_lot::{RwLock, RwLockReadGuard};
use store::gather::{Asked, Wanted};
use store::{
    AccountBalances, AccountFilter, Answer, ApiKeyHolder, AsOf, AssetBalance, ClientAccounts,
    CustomerAccounts, CustomerRef, CustomerValuation, EntryView, HoldFilter, Listed, Outcome, Outcomes, Page,
    Purposes, SigningKeys, Stamped, Store, StoreError, TextKey, TransactionFilter, TransactionView, Viewer,
    visible,
};

use crate::history::History;
use crate::index::Hasher;
use crate::log::{KeyTable, LogReader};
use crate::store_impl::JournalStore;
use crate::tables::Published;

type Read<T> = Result<T, StoreError>;

/// What a reader needs; cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) published: Arc<RwLock<Published>>,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) hasher: Hasher,
    pub(crate) reader: LogReader,
    pub(crate) clock: Arc<dyn Fn() -> Micros + Send + Sync>,
    /// What is counted of batches.
    pub(crate) meter: Arc<store::meter::Meter>,
}

impl View {
    fn published(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read()
    }

    fn now(&self) -> Micros {
        (self.clock)()
    }

    pub(crate) fn position(&self, book: BookNo) -> Read<Position> {
        let published = self.published();
        let book = published
            .tables
            .state
            .book(book)
            .ok_or(StoreError::NoSuchBook(book));
        book.map(|book| book.head.position)
    }

    /// The past up to what is published.
    fn history(&self, published: &Published) -> History<'_> {
        History {
            published: &self.published,
            keys: &self.keys,
            hasher: &self.hasher,
            reader: &self.reader,
            end: published.log.end,
        }
    }
}

/// A book as a viewer sees it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    published: &'a Published,
    book: &'a Book,
    viewer: Viewer,
}

impl<'a> Seen<'a> {
    fn new(published: &'a Published, viewer: Viewer) -> Read<Self> {
        let book = published
            .tables
            .state
            .book(viewer.book)
            .ok_or(StoreError::NoSuchBook(viewer.book))?;
        Ok(Self {
            published,
            book,
            viewer,
        })
    }

    fn sees(&self, client: ClientId) -> bool {
        visible(self.viewer, self.book.root, client)
    }

    fn position(&self) -> Position {
        self.book.head.position
    }

    fn stamped<T>(&self, value: T) -> Stamped<T> {
        Stamped {
            value,
            position: self.position(),
        }
    }

    fn slot(&self, id: AccountId) -> Option<&'a Slot> {
        let slot = self.book.slot(id).ok().flatten()?;
        self.sees(slot.account.client).then_some(slot)
    }

    /// Whether every account that a record's `nth` transaction moved is seen.
    fn sees_booked(&self, record: &Record, nth: usize) -> bool {
        record.booked()[nth]
            .moves
            .iter()
            .flat_map(|made| [made.from.no, made.to.no])
            .all(|no| {
                self.book
                    .slots
                    .get(no)
                    .is_some_and(|slot| self.sees(slot.account.client))
            })
    }

    fn asset(&self, no: ledger::AssetNo) -> Arc<ledger::Asset> {
        let asset = self.published.tables.state.asset_by_no(self.book.no, no);
        Arc::clone(asset.expect("what an account has touched is an asset"))
    }

    fn balances_now(&self, slot: &Slot) -> AccountBalances {
        let mut balances: Vec<_> = slot
            .balances
            .iter()
            .map(|(asset, balance)| AssetBalance {
                asset: self.asset(asset),
                counters: balance.counters,
                credit: slot.account.credit(asset),
                last: balance.last,
                last_at: balance.last_at,
            })
            .collect();
        balances.sort_unstable_by_key(|balance| balance.asset.no);
        self.account_with(&slot.account, balances)
    }

    fn account_with(&self, account: &Arc<Account>, balances: Vec<AssetBalance>) -> AccountBalances {
        let currency = account.currency.map(|no| self.asset(no));
        AccountBalances {
            account: Arc::clone(account),
            currency,
            balances,
        }
    }
}

/// Nearly no record of a single transaction is longer, so a store without this much room refuses writes, or is about to.
const USUAL_BYTES: u64 = 16 << 10;

/// An answer that is there already.
fn ready<'a, T: Send + 'a>(answer: Read<T>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

/// An answer that takes reading the log: off the threads that serve requests.
fn blocking<'a, T: Send + 'static>(read: impl FnOnce() -> Read<T> + Send + 'static) -> Answer<'a, T> {
    Box::pin(async move {
        let ended = |_| StoreError::Closed("the reading thread ended badly".into());
        tokio::task::spawn_blocking(read).await.map_err(ended)?
    })
}

impl JournalStore {
    async fn decide(&self, commands: Vec<Command>, wanted: Wanted) -> Vec<Result<Outcome, StoreError>> {
        match self.submitter() {
            Some(submitter) => {
                let asked = commands.into_iter().map(Asked::Decide).collect();
                submitter.submit(asked, wanted).await
            }
            None => vec![Err(StoreError::Closed("it was stopped".into())); commands.len()],
        }
    }
}

impl Store for JournalStore {
    fn submit(&self, commands: Vec<Command>) -> Outcomes<'_> {
        Box::pin(self.decide(commands, Wanted::Record))
    }

    fn submit_briefly(&self, commands: Vec<Command>) -> Outcomes<'_> {
        Box::pin(self.decide(commands, Wanted::Position))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let submitter = self.submitter();
            let submitter = submitter.ok_or_else(|| StoreError::Closed("it was stopped".into()))?;
            let answers = submitter
                .submit(vec![Asked::Room(USUAL_BYTES)], Wanted::Record)
                .await;
            answers.into_iter().try_for_each(|answer| answer.map(|_| ()))
        })
    }

    fn adopt(&self, records: Vec<Arc<Record>>) -> Answer<'_, Position> {
        Box::pin(async move {
            let last = records.last().map_or(Position(0), |record| record.position);
            let asked = records.into_iter().map(Asked::Adopt).collect();
            let submitter = self.submitter();
            let submitter = submitter.ok_or_else(|| StoreError::Closed("it was stopped".into()))?;
            let taken: Result<Vec<_>, _> = submitter
                .submit(asked, Wanted::Record)
                .await
                .into_iter()
                .collect();
            taken.map(|_| last)
        })
    }

    fn position(&self, book: BookNo) -> Answer<'_, Position> {
        ready(self.view.position(book))
    }

    fn reach(&self, book: BookNo, position: Position) -> Answer<'_, ()> {
        Box::pin(self.reach_position(book, position))
    }

    fn book_of(&self, root: ClientId) -> Answer<'_, Option<BookNo>> {
        let published = self.view.published();
        let mut books = published.tables.state.books();
        ready(Ok(books.find(|book| book.root == Some(root)).map(|book| book.no)))
    }

    fn signing_keys(&self) -> Answer<'_, SigningKeys> {
        ready(Ok(SigningKeys::clone(&self.signing.keys())))
    }

    fn replace_signing_keys(&self, old: SigningKeys, new: SigningKeys) -> Answer<'_, bool> {
        let signing = Arc::clone(&self.signing);
        Box::pin(async move {
            let replaced = tokio::task::spawn_blocking(move || signing.replace(&old, new));
            replaced.await.unwrap_or(Err(StoreError::UnknownFate))
        })
    }

    fn api_key(&self, book: BookNo, id: ApiKeyId) -> Answer<'_, Option<ApiKeyHolder>> {
        ready(Ok(self.view.api_key(book, id)))
    }

    fn api_keys(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::ApiKey>>> {
        ready(self.view.api_keys(viewer, page))
    }

    fn client(&self, viewer: Viewer, id: ClientId) -> Answer<'_, Option<Stamped<Arc<ledger::Client>>>> {
        ready(self.view.client(viewer, id))
    }

    fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Client>>> {
        ready(self.view.clients(viewer, external_id, page))
    }

    fn customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
    ) -> Answer<'_, Option<Stamped<Arc<ledger::Customer>>>> {
        ready(self.view.customer(viewer, customer))
    }

    fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Customer>>> {
        ready(self.view.customers(viewer, external_id, page))
    }

    fn account(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<AccountBalances>>> {
        if as_of.is_now() {
            return ready(self.view.account_now(viewer, id));
        }
        let view = self.view.clone();
        blocking(move || view.account_then(viewer, id, as_of))
    }

    fn account_owners(
        &self,
        book: BookNo,
        accounts: Vec<AccountId>,
    ) -> Answer<'_, Vec<Option<(Owner, Purpose)>>> {
        ready(self.view.account_owners(book, &accounts))
    }

    fn accounts(
        &self,
        viewer: Viewer,
        filter: AccountFilter,
        page: Page,
    ) -> Answer<'_, Listed<AccountBalances>> {
        ready(self.view.accounts(viewer, &filter, page))
    }

    fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Answer<'_, Option<Stamped<CustomerAccounts>>> {
        ready(self.view.customer_accounts(viewer, customer, purposes))
    }

    fn client_accounts(&self, viewer: Viewer) -> Answer<'_, Stamped<ClientAccounts>> {
        ready(self.view.client_accounts(viewer))
    }

    fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: AssetName,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<CustomerValuation>>> {
        let view = self.view.clone();
        if as_of.is_now() {
            return ready(view.valuation(viewer, customer, purposes, currency, as_of));
        }
        blocking(move || view.valuation(viewer, customer, purposes, currency, as_of))
    }

    fn entries(
        &self,
        viewer: Viewer,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Answer<'_, Option<Listed<EntryView>>> {
        let view = self.view.clone();
        blocking(move || view.entries(viewer, account, from, to, page))
    }

    fn transaction(&self, viewer: Viewer, id: TransactionId) -> Answer<'_, Option<Stamped<TransactionView>>> {
        let view = self.view.clone();
        blocking(move || view.transaction(viewer, id))
    }

    fn transactions(
        &self,
        viewer: Viewer,
        filter: TransactionFilter,
        page: Page,
    ) -> Answer<'_, Listed<TransactionView>> {
        let view = self.view.clone();
        blocking(move || view.transactions(viewer, &filter, page))
    }

    fn holds(&self, viewer: Viewer, filter: HoldFilter, page: Page) -> Answer<'_, Listed<Arc<ledger::Hold>>> {
        let view = self.view.clone();
        blocking(move || view.holds(viewer, &filter, page))
    }

    fn assets(&self, viewer: Viewer) -> Answer<'_, Vec<Arc<ledger::Asset>>> {
        ready(self.view.assets(viewer))
    }

    fn rates(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::RateRow>>> {
        ready(self.view.rates(viewer, page))
    }

    fn due_holds(&self, now: Micros, limit: usize) -> Answer<'_, Vec<(BookNo, TransactionId)>> {
        ready(Ok(self.view.due_holds(now, limit)))
    }

    fn records(&self, book: BookNo, after: Position, limit: usize) -> Answer<'_, Vec<Arc<Record>>> {
        let view = self.view.clone();
        blocking(move || view.records(book, after, limit))
    }

    fn digest(&self, book: BookNo) -> Answer<'_, (Position, [u8; 32])> {
        ready(self.view.digest(book))
    }

    fn text_keys(&self, subjects: Vec<Subject>) -> Answer<'_, Vec<Option<TextKey>>> {
        ready(Ok(self.vault.get(&subjects)))
    }

    fn keep_text_keys(&self, keys: Vec<(Subject, TextKey)>) -> Answer<'_, Vec<TextKey>> {
        Box::pin(self.vault.keep(keys))
    }

    fn forget_text_key(&self, subject: Subject) -> Answer<'_, ()> {
        Box::pin(self.vault.forget(subject))
    }

    fn all_text_keys(&self, after: Option<Subject>, limit: usize) -> Answer<'_, Vec<(Subject, TextKey)>> {
        ready(Ok(self.vault.all(after, limit)))
    }

    fn meter(&self) -> Option<&store::meter::Meter> {
        Some(&self.view.meter)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.close_now())
    }
}
