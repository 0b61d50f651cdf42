//! What readers ask, each answered from one moment of the database.

mod lists;
mod money;
mod past;
mod rates;
mod transactions;

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::{
    AccountId, AccountNo, ApiKey, ApiKeyId, AssetName, BookNo, Client, ClientId, Command, Customer,
    CustomerId, Lookup, Micros, Owner, Position, Record, Subject, TransactionId,
};
use store::{
    AccountBalances, AccountFilter, Answer, ApiKeyHolder, AsOf, ClientAccounts, CustomerAccounts,
    CustomerRef, CustomerValuation, EntryView, HoldFilter, Listed, Outcomes, Page, Purposes, SigningKeys,
    Stamped, Store, StoreError, TextKey, TransactionFilter, TransactionView, Viewer, visible,
};

use crate::error::{Failure, corrupt};
use crate::rows::{self, get_id, get_number, get_position, unpack};
use crate::session::{Purpose, Transaction};
use crate::store_impl::PostgresStore;

type Read<T> = Result<T, Failure>;

/// A book as a viewer sees it at one moment.
#[derive(Clone, Copy)]
struct Seen {
    viewer: Viewer,
    root: Option<ClientId>,
    position: Position,
}

impl Seen {
    fn sees(&self, client: ClientId) -> bool {
        visible(self.viewer, self.root, client)
    }

    /// The one client that the viewer sees; `None` when it sees the whole book.
    fn only(&self) -> Option<ClientId> {
        self.viewer.client.filter(|client| self.root != Some(*client))
    }

    fn stamped<T>(&self, value: T) -> Stamped<T> {
        Stamped {
            value,
            position: self.position,
        }
    }

    fn book(&self) -> i32 {
        rows::book(self.viewer.book)
    }
}

/// A transaction to read in.
struct Reader {
    tx: Transaction,
}

impl Reader {
    /// The book that is read, as the viewer sees it.
    async fn seen(&self, viewer: Viewer) -> Read<Seen> {
        let sql = "select root, position from saldo.heads where book = $1";
        let found = self.tx.query(sql, &[&rows::book(viewer.book)]).await?;
        let head = found.first().ok_or(StoreError::NoSuchBook(viewer.book))?;
        Ok(Seen {
            viewer,
            root: head
                .get::<_, Option<uuid::Uuid>>(0)
                .map(|root| ClientId(root.as_u128())),
            position: get_position(head, 1),
        })
    }

    /// Whether all these accounts are in sight.
    async fn sees_all(&self, seen: &Seen, accounts: &BTreeSet<AccountNo>) -> Read<bool> {
        if seen.only().is_none() {
            return Ok(true);
        }
        let clients = self
            .tx
            .facts()
            .clients_of(&self.tx, seen.viewer.book, accounts)
            .await?;
        Ok(accounts
            .iter()
            .all(|no| clients.get(no).is_some_and(|client| seen.sees(*client))))
    }
}

impl PostgresStore {
    fn reading<'a, T: Send + 'a, F>(&'a self, work: impl Fn(Reader) -> F + Send + 'a) -> Answer<'a, T>
    where
        F: Future<Output = Read<T>> + Send + 'a,
    {
        self.reading_in(Purpose::Read, work)
    }

    /// What one statement reads.
    fn asking<'a, T: Send + 'a, F>(&'a self, work: impl Fn(Reader) -> F + Send + 'a) -> Answer<'a, T>
    where
        F: Future<Output = Read<T>> + Send + 'a,
    {
        self.reading_in(Purpose::Alone, work)
    }

    fn reading_in<'a, T: Send + 'a, F>(
        &'a self,
        purpose: Purpose,
        work: impl Fn(Reader) -> F + Send + 'a,
    ) -> Answer<'a, T>
    where
        F: Future<Output = Read<T>> + Send + 'a,
    {
        Box::pin(self.desk.attempt(purpose, move |tx| work(Reader { tx })))
    }

    pub(crate) async fn position_of(&self, book: BookNo) -> Result<Position, StoreError> {
        let viewer = Viewer { book, client: None };
        self.asking(move |reader| async move { Ok(reader.seen(viewer).await?.position) })
            .await
    }
}

impl Store for PostgresStore {
    fn submit(&self, commands: Vec<Command>) -> Outcomes<'_> {
        Box::pin(self.take(commands))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(self.is_ready())
    }

    fn adopt(&self, records: Vec<Arc<Record>>) -> Answer<'_, Position> {
        Box::pin(self.adopt_all(records))
    }

    fn position(&self, book: BookNo) -> Answer<'_, Position> {
        Box::pin(self.position_of(book))
    }

    fn reach(&self, book: BookNo, position: Position) -> Answer<'_, ()> {
        Box::pin(self.wait_for(book, position))
    }

    fn book_of(&self, root: ClientId) -> Answer<'_, Option<BookNo>> {
        self.asking(move |reader| async move {
            let sql = "select book from saldo.heads where root = $1 order by book limit 1";
            let found = reader.tx.query(sql, &[&rows::id(root.0)]).await?;
            Ok(found.first().map(|row| BookNo(get_number(row, 0))))
        })
    }

    fn signing_keys(&self) -> Answer<'_, SigningKeys> {
        Box::pin(self.read_signing_keys())
    }

    fn replace_signing_keys(&self, old: SigningKeys, new: SigningKeys) -> Answer<'_, bool> {
        Box::pin(async move { self.change_signing_keys(&old, &new).await })
    }

    fn api_key(&self, book: BookNo, id: ApiKeyId) -> Answer<'_, Option<ApiKeyHolder>> {
        Box::pin(self.keys.look_up((book, id)))
    }

    fn api_keys(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ApiKey>>> {
        self.reading(move |reader| async move { reader.api_keys(viewer, page).await })
    }

    fn client(&self, viewer: Viewer, id: ClientId) -> Answer<'_, Option<Stamped<Arc<Client>>>> {
        self.reading(move |reader| async move { reader.client(viewer, id).await })
    }

    fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<Client>>> {
        self.reading(move |reader| async move { reader.clients(viewer, external_id, page).await })
    }

    fn customer(&self, viewer: Viewer, customer: CustomerRef) -> Answer<'_, Option<Stamped<Arc<Customer>>>> {
        self.reading(move |reader| async move { reader.customer(viewer, customer).await })
    }

    fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<Customer>>> {
        self.reading(move |reader| async move { reader.customers(viewer, external_id, page).await })
    }

    fn account(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<AccountBalances>>> {
        self.reading(move |reader| async move { reader.account(viewer, id, as_of).await })
    }

    fn account_owners(
        &self,
        book: BookNo,
        accounts: Vec<AccountId>,
    ) -> Answer<'_, Vec<Option<(Owner, ledger::Purpose)>>> {
        self.reading(move |reader| {
            let accounts = accounts.clone();
            async move { reader.account_owners(book, &accounts).await }
        })
    }

    fn accounts(
        &self,
        viewer: Viewer,
        filter: AccountFilter,
        page: Page,
    ) -> Answer<'_, Listed<AccountBalances>> {
        self.reading(move |reader| {
            let filter = filter.clone();
            async move { reader.accounts(viewer, filter, page).await }
        })
    }

    fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Answer<'_, Option<Stamped<CustomerAccounts>>> {
        self.reading(move |reader| async move { reader.customer_accounts(viewer, customer, purposes).await })
    }

    fn client_accounts(&self, viewer: Viewer) -> Answer<'_, Stamped<ClientAccounts>> {
        self.reading(move |reader| async move { reader.client_accounts(viewer).await })
    }

    fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: AssetName,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<CustomerValuation>>> {
        let now = (self.desk.clock)();
        self.reading(move |reader| async move {
            reader
                .valuation(viewer, customer, purposes, currency, as_of, now)
                .await
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
        self.reading(move |reader| async move { reader.entries(viewer, account, from, to, page).await })
    }

    fn transaction(&self, viewer: Viewer, id: TransactionId) -> Answer<'_, Option<Stamped<TransactionView>>> {
        self.reading(move |reader| async move { reader.transaction(viewer, id).await })
    }

    fn transactions(
        &self,
        viewer: Viewer,
        filter: TransactionFilter,
        page: Page,
    ) -> Answer<'_, Listed<TransactionView>> {
        self.reading(move |reader| {
            let filter = filter.clone();
            async move { reader.transactions(viewer, &filter, page).await }
        })
    }

    fn holds(&self, viewer: Viewer, filter: HoldFilter, page: Page) -> Answer<'_, Listed<Arc<ledger::Hold>>> {
        self.reading(move |reader| {
            let filter = filter.clone();
            async move { reader.holds(viewer, &filter, page).await }
        })
    }

    fn assets(&self, viewer: Viewer) -> Answer<'_, Vec<Arc<ledger::Asset>>> {
        self.reading(move |reader| async move { reader.assets(viewer).await })
    }

    fn rates(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::RateRow>>> {
        self.reading(move |reader| async move { reader.rates(viewer, page).await })
    }

    fn due_holds(&self, now: Micros, limit: usize) -> Answer<'_, Vec<(BookNo, TransactionId)>> {
        self.asking(move |reader| async move {
            let sql = "select book, id from saldo.holds where due <= $1 order by due, book, id limit $2";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = reader.tx.query(sql, &[&now.0, &limit]).await?;
            let due = found
                .iter()
                .map(|row| (BookNo(get_number(row, 0)), TransactionId(get_id(row, 1))));
            Ok(due.collect())
        })
    }

    fn records(&self, book: BookNo, after: Position, limit: usize) -> Answer<'_, Vec<Arc<Record>>> {
        self.reading(move |reader| async move {
            reader.seen(Viewer { book, client: None }).await?;
            let sql = "select record from saldo.commands where book = $1 and position > $2 order by position limit $3";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = reader.tx.query(sql, &[&rows::book(book), &rows::position(after), &limit]).await?;
            reader.tx.facts().decode(&reader.tx, found.iter().map(|row| row.get::<_, &[u8]>(0))).await
        })
    }

    fn digest(&self, book: BookNo) -> Answer<'_, (Position, [u8; 32])> {
        self.asking(move |reader| async move {
            let sql = "select position, digest from saldo.heads where book = $1";
            let found = reader.tx.query(sql, &[&rows::book(book)]).await?;
            let head = found.first().ok_or(StoreError::NoSuchBook(book))?;
            let digest = head.get::<_, &[u8]>(1).try_into();
            Ok((
                get_position(head, 0),
                digest.map_err(|_| corrupt("a digest has not 32 bytes"))?,
            ))
        })
    }

    fn text_keys(&self, subjects: Vec<Subject>) -> Answer<'_, Vec<Option<TextKey>>> {
        Box::pin(self.find_text_keys(subjects))
    }

    fn keep_text_keys(&self, keys: Vec<(Subject, TextKey)>) -> Answer<'_, Vec<TextKey>> {
        Box::pin(self.keep_keys(keys))
    }

    fn forget_text_key(&self, subject: Subject) -> Answer<'_, ()> {
        Box::pin(self.forget_key(subject))
    }

    fn all_text_keys(&self, after: Option<Subject>, limit: usize) -> Answer<'_, Vec<(Subject, TextKey)>> {
        Box::pin(self.list_text_keys(after, limit))
    }

    fn meter(&self) -> Option<&store::meter::Meter> {
        Some(self.own_meter())
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.stop().await;
            Ok(())
        })
    }
}

/// A row of the register, shared.
fn shared<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Read<Arc<T>> {
    unpack(bytes).map(Arc::new)
}
