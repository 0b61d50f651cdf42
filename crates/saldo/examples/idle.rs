//! What `cargo xtask bench` measures single posts against: `saldo serve` that reads a request, checks its key and whatever else
//! is checked, and answers it in full, but does not keep what it says. `idle FOLDER` serves the store there; the first post is
//! recorded, and each later one is answered with its record.

use std::sync::{Arc, OnceLock};

use ledger::{
    AccountId, Action, ApiKeyId, BookNo, ClientId, Command, CustomerId, Lookup, Micros, Owner, Position,
    Purpose, Record, Subject, TransactionId,
};
use store::{
    AccountBalances, AccountFilter, Answer, ApiKeyHolder, AsOf, ClientAccounts, CustomerAccounts,
    CustomerRef, CustomerValuation, EntryView, HoldFilter, Listed, Outcome, Outcomes, Page, Purposes,
    SigningKeys, Stamped, Store, TextKey, TransactionFilter, TransactionView, Viewer,
};
use store_journal::{JournalStore, Options, folder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A store that takes all but single posts.
struct Idle {
    store: JournalStore,
    /// What the first post was answered.
    answer: OnceLock<Arc<Record>>,
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Answer<'_, $answer> {
            self.store.$name($($argument),*)
        })*
    };
}

impl Store for Idle {
    fn submit(&self, commands: Vec<Command>) -> Outcomes<'_> {
        let is_post = commands.len() == 1 && matches!(commands[0].action, Action::Post(_));
        if let Some(record) = self.answer.get().filter(|_| is_post) {
            let outcome = Outcome::Recorded(Arc::clone(record));
            return Box::pin(std::future::ready(vec![Ok(outcome)]));
        }
        Box::pin(async move {
            let outcomes = self.store.submit(commands).await;
            if let (true, [Ok(Outcome::Recorded(record))]) = (is_post, &outcomes[..]) {
                let _ = self.answer.set(Arc::clone(record));
            }
            outcomes
        })
    }

    forward! {
        ready() -> ();
        adopt(records: Vec<Arc<Record>>) -> Position;
        position(book: BookNo) -> Position;
        reach(book: BookNo, position: Position) -> ();
        book_of(root: ClientId) -> Option<BookNo>;
        signing_keys() -> SigningKeys;
        replace_signing_keys(old: SigningKeys, new: SigningKeys) -> bool;
        api_key(book: BookNo, id: ApiKeyId) -> Option<ApiKeyHolder>;
        api_keys(viewer: Viewer, page: Page) -> Listed<Arc<ledger::ApiKey>>;
        client(viewer: Viewer, id: ClientId) -> Option<Stamped<Arc<ledger::Client>>>;
        clients(viewer: Viewer, external_id: Option<Lookup>, page: Page) -> Listed<Arc<ledger::Client>>;
        customer(viewer: Viewer, customer: CustomerRef) -> Option<Stamped<Arc<ledger::Customer>>>;
        customers(viewer: Viewer, external_id: Option<Lookup>, page: Page) -> Listed<Arc<ledger::Customer>>;
        account(viewer: Viewer, id: AccountId, as_of: AsOf) -> Option<Stamped<AccountBalances>>;
        account_owners(book: BookNo, accounts: Vec<AccountId>) -> Vec<Option<(Owner, Purpose)>>;
        accounts(viewer: Viewer, filter: AccountFilter, page: Page) -> Listed<AccountBalances>;
        customer_accounts(viewer: Viewer, customer: CustomerRef, purposes: Purposes) -> Option<Stamped<CustomerAccounts>>;
        client_accounts(viewer: Viewer) -> Stamped<ClientAccounts>;
        valuation(viewer: Viewer, customer: CustomerId, purposes: Purposes, currency: ledger::AssetName, as_of: AsOf) -> Option<Stamped<CustomerValuation>>;
        entries(viewer: Viewer, account: AccountId, from: Option<Micros>, to: Option<Micros>, page: Page) -> Option<Listed<EntryView>>;
        transaction(viewer: Viewer, id: TransactionId) -> Option<Stamped<TransactionView>>;
        transactions(viewer: Viewer, filter: TransactionFilter, page: Page) -> Listed<TransactionView>;
        holds(viewer: Viewer, filter: HoldFilter, page: Page) -> Listed<Arc<ledger::Hold>>;
        assets(viewer: Viewer) -> Vec<Arc<ledger::Asset>>;
        rates(viewer: Viewer, page: Page) -> Listed<Arc<ledger::RateRow>>;
        due_holds(now: Micros, limit: usize) -> Vec<(BookNo, TransactionId)>;
        records(book: BookNo, after: Position, limit: usize) -> Vec<Arc<Record>>;
        digest(book: BookNo) -> (Position, [u8; 32]);
        text_keys(subjects: Vec<Subject>) -> Vec<Option<TextKey>>;
        keep_text_keys(keys: Vec<(Subject, TextKey)>) -> Vec<TextKey>;
        forget_text_key(subject: Subject) -> ();
        all_text_keys(after: Option<Subject>, limit: usize) -> Vec<(Subject, TextKey)>;
        close() -> ();
    }
}

fn main() -> Result<(), String> {
    let place = std::env::args().nth(1).ok_or("which store? Give its folder.")?;
    let said = |error: &dyn std::fmt::Display| format!("opening {place}: {error}");
    let clock = service::Clock::System;
    let options = Options::new(Arc::new(move || clock.now()));
    let disk = folder(place.as_ref(), false).map_err(|error| said(&error))?;
    let store = JournalStore::open(disk, options, &place).map_err(|error| said(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let idle = Arc::new(Idle {
        store,
        answer: OnceLock::new(),
    });
    let runtime = runtime.map_err(|error| format!("starting threads: {error}"))?;
    runtime.block_on(saldo::measuring::serve(idle))
}
