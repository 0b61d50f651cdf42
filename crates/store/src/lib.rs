//! The one boundary between Saldo and whatever keeps its books.
//!
//! A [`Store`] takes commands and answers reads. No handle, row or driver error of a backend passes it. Each read is one
//! snapshot of one book, and says at which position it was taken. Who reads is a [`Viewer`]: what it does not see is
//! absent, never forbidden.

pub mod audit;
mod error;
pub mod gather;
mod mark;
pub mod meter;
#[cfg(feature = "suite")]
pub mod model;
mod read;
mod signing;
#[cfg(feature = "suite")]
pub mod suite;
mod vault;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ledger::{
    AccountId, ApiKeyId, BookNo, ClientId, Command, CustomerId, Lookup, Micros, Owner, Position, Purpose,
    Record, Subject, TransactionId,
};

pub use error::StoreError;
pub use mark::Mark;
pub use read::{
    AccountBalances, AccountFilter, ApiKeyHolder, AsOf, AssetBalance, ClientAccounts, Cursor,
    CustomerAccounts, CustomerRef, CustomerValuation, Direction, EntryKind, EntryView, HoldFilter, Holding,
    Listed, Page, Purposes, Stamped, TransactionFilter, TransactionView, Viewer, visible,
};
pub use signing::{SIGNING_KEYS_MAX, SigningKey, SigningKeys};
pub use vault::TextKey;

/// What a store answers, when it is ready. Balance reads of an embedded store are ready at once.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a store answers to commands: one outcome for each, in their order.
pub type Outcomes<'a> = Pin<Box<dyn Future<Output = Vec<Result<Outcome, StoreError>>> + Send + 'a>>;

/// What became of a command.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// It was recorded now, accepted or refused.
    Recorded(Arc<Record>),
    /// It was recorded before, under the same key; this is what became of it then.
    Replayed(Arc<Record>),
    /// Its key was used with another request, at this position. Nothing was recorded.
    Conflict(Position),
    /// An expiry that came too early or too late. Nothing was recorded.
    Nothing,
    /// It was recorded now and accepted, at this position. Only [`Store::submit_briefly`] answers so.
    Accepted(Position),
}

/// Keeps the books. Every write that is answered is durable; every read shows only what is.
pub trait Store: Send + Sync + 'static {
    /// Takes commands, each a decision of its own, in this order; answers in the same order, when all are durable.
    fn submit(&self, commands: Vec<Command>) -> Outcomes<'_>;

    /// The same for who need not see the records of what is accepted now: a store may answer it by [`Outcome::Accepted`], and let
    /// go of each record as soon as it is done with it.
    fn submit_briefly(&self, commands: Vec<Command>) -> Outcomes<'_> {
        self.submit(commands)
    }

    /// Whether commands are taken now: what they need is tried as far as it can be without a trace in any book. A failure is what
    /// they would be answered.
    fn ready(&self) -> Answer<'_, ()>;

    /// Takes the next records of a book as another store recorded them, and decides nothing. Answers where the book stands when
    /// all are durable; should it fail, those at the beginning may have been taken.
    fn adopt(&self, records: Vec<Arc<Record>>) -> Answer<'_, Position>;

    /// Where a book stands.
    fn position(&self, book: BookNo) -> Answer<'_, Position>;

    /// Waits until a book is at `position` or later, at most a second; then [`StoreError::PositionNotReached`].
    fn reach(&self, book: BookNo, position: Position) -> Answer<'_, ()>;

    /// The book of a root client.
    fn book_of(&self, root: ClientId) -> Answer<'_, Option<BookNo>>;

    /// The keys that sign tokens, as they are now: made with the store, kept beside its books and never in them.
    fn signing_keys(&self) -> Answer<'_, SigningKeys>;

    /// Puts other keys in their place, if they are still `old`: whether they were. When this is answered, they are durable.
    fn replace_signing_keys(&self, old: SigningKeys, new: SigningKeys) -> Answer<'_, bool>;

    /// An API key and whom it acts for; revoked and expired ones too.
    fn api_key(&self, book: BookNo, id: ApiKeyId) -> Answer<'_, Option<ApiKeyHolder>>;

    /// API keys in order of creation.
    fn api_keys(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::ApiKey>>>;

    /// A client. Book 0's operator sees all root clients, others those of their book.
    fn client(&self, viewer: Viewer, id: ClientId) -> Answer<'_, Option<Stamped<Arc<ledger::Client>>>>;

    /// Clients in order of creation, narrowed to a foreign id if one is given.
    fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Client>>>;

    /// A customer.
    fn customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
    ) -> Answer<'_, Option<Stamped<Arc<ledger::Customer>>>>;

    /// Customers in order of creation, narrowed to a foreign id if one is given.
    fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Answer<'_, Listed<Arc<ledger::Customer>>>;

    /// An account with its balances, now or as of then.
    fn account(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<AccountBalances>>>;

    /// Whose these accounts of a book are and what for, which never changes; whoever sees them.
    fn account_owners(
        &self,
        book: BookNo,
        accounts: Vec<AccountId>,
    ) -> Answer<'_, Vec<Option<(Owner, Purpose)>>>;

    /// Accounts in order of creation, with their balances now.
    fn accounts(
        &self,
        viewer: Viewer,
        filter: AccountFilter,
        page: Page,
    ) -> Answer<'_, Listed<AccountBalances>>;

    /// A customer with its accounts of some purposes and their balances now, in order of creation.
    fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Answer<'_, Option<Stamped<CustomerAccounts>>>;

    /// The viewer's client and, for a root, its subsidiaries, each with its primary `main` account.
    fn client_accounts(&self, viewer: Viewer) -> Answer<'_, Stamped<ClientAccounts>>;

    /// What a customer's accounts of some purposes hold (settled), and the rates that lead from there to `currency`:
    /// those for the effective time, else the recorded one, else now, as they were known at the recorded time.
    fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: ledger::AssetName,
        as_of: AsOf,
    ) -> Answer<'_, Option<Stamped<CustomerValuation>>>;

    /// An account's entries, newest first, recorded from (inclusive) to (exclusive).
    fn entries(
        &self,
        viewer: Viewer,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Answer<'_, Option<Listed<EntryView>>>;

    /// A transaction. Who does not see all its accounts does not see it, as in captures and reversals; what it did to an
    /// account in sight is among that account's entries.
    fn transaction(&self, viewer: Viewer, id: TransactionId) -> Answer<'_, Option<Stamped<TransactionView>>>;

    /// Transactions all of whose accounts are in sight, newest first.
    fn transactions(
        &self,
        viewer: Viewer,
        filter: TransactionFilter,
        page: Page,
    ) -> Answer<'_, Listed<TransactionView>>;

    /// Holds all of whose accounts are in sight, newest first.
    fn holds(&self, viewer: Viewer, filter: HoldFilter, page: Page) -> Answer<'_, Listed<Arc<ledger::Hold>>>;

    /// The assets that the viewer's book sees, by name.
    fn assets(&self, viewer: Viewer) -> Answer<'_, Vec<Arc<ledger::Asset>>>;

    /// The rates of the viewer's book and the defaults, newest `as_of` first.
    fn rates(&self, viewer: Viewer, page: Page) -> Answer<'_, Listed<Arc<ledger::RateRow>>>;

    /// Open holds whose time is over at `now`, at most `limit`, the longest over first.
    fn due_holds(&self, now: Micros, limit: usize) -> Answer<'_, Vec<(BookNo, TransactionId)>>;

    /// The records of a book after `after`, in order, at most `limit`.
    fn records(&self, book: BookNo, after: Position, limit: usize) -> Answer<'_, Vec<Arc<Record>>>;

    /// The digest of a book: of the canonical record, by BLAKE3 keyed with the digest before; from 32 zero bytes on.
    fn digest(&self, book: BookNo) -> Answer<'_, (Position, [u8; 32])>;

    /// The keys that texts of these are sealed under; `None` for one that was never kept, or was forgotten.
    fn text_keys(&self, subjects: Vec<Subject>) -> Answer<'_, Vec<Option<TextKey>>>;

    /// Keeps keys, and answers, when they are durable, with those that count: what was kept first stays.
    fn keep_text_keys(&self, keys: Vec<(Subject, TextKey)>) -> Answer<'_, Vec<TextKey>>;

    /// Forgets a key for good: once this is answered, it is nowhere in the store.
    fn forget_text_key(&self, subject: Subject) -> Answer<'_, ()>;

    /// All keys of texts behind this one, in order, at most `limit`; for copies of the whole store.
    fn all_text_keys(&self, after: Option<Subject>, limit: usize) -> Answer<'_, Vec<(Subject, TextKey)>>;

    /// What the store counts of its own work, if it does.
    fn meter(&self) -> Option<&meter::Meter> {
        None
    }

    /// Finishes what was taken, closes cleanly, and takes nothing any more.
    fn close(&self) -> Answer<'_, ()>;
}
