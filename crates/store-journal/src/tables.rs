//! What memory holds: the rows, and where the newest record of each chain lies. There are two: the writer's own, which is
//! ahead, and the published one, which readers see and which holds only what is durable.

use std::sync::Arc;

use ledger::{
    Account, AccountNo, Action, AssetNo, BookNo, Completeness, Map, Pages, Record, Slots, State, apply,
    apply_plain,
};
use smallvec::SmallVec;

use crate::batch::Change;
use crate::effective::{Deviation, Deviations};
use crate::log::skew::{self, Roots};
use crate::log::{Locator, LogPosition};
use crate::milestones::Milestones;
use crate::payload::{BalanceKey, Touched};
use crate::prefetch::prefetch;

/// A balance in the whole store.
pub(crate) type StoreBalance = (BookNo, BalanceKey);

/// The rows and the chains.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) state: State,
    /// The chain of a book's records.
    pub(crate) books: Map<BookNo, Roots<Locator>>,
    /// The chains of those that touched a balance.
    pub(crate) chains: Chains,
}

/// The chains of the records that touched a balance. Accounts have their numbers in order, so they are found by them; of each,
/// its assets stand in the order in which they were touched, as its balances do, so that equal books are equal here.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Chains(Map<BookNo, Pages<AccountChains>>);

/// The chains of one account; most accounts have one asset.
type AccountChains = SmallVec<[(AssetNo, Roots<Locator>); 1]>;

impl Chains {
    pub(crate) fn get(&self, book: BookNo, (account, asset): BalanceKey) -> Option<&Roots<Locator>> {
        let chains = self.of(book, account)?;
        chains.iter().find(|(no, _)| *no == asset).map(|(_, chain)| chain)
    }

    fn of(&self, book: BookNo, account: AccountNo) -> Option<&AccountChains> {
        self.0.get(&book)?.get(account.0 as usize)
    }

    /// A chain, made empty when it is not here.
    pub(crate) fn get_mut(&mut self, book: BookNo, (account, asset): BalanceKey) -> &mut Roots<Locator> {
        chain_of(self.0.entry(book).or_default(), (account, asset))
    }
}

/// A chain of a book, made empty when it is not here.
fn chain_of(accounts: &mut Pages<AccountChains>, (account, asset): BalanceKey) -> &mut Roots<Locator> {
    let chains = accounts.reach(account.0 as usize, AccountChains::new);
    let nth = chains.iter().position(|(no, _)| *no == asset).unwrap_or_else(|| {
        chains.push((asset, Roots::new()));
        chains.len() - 1
    });
    &mut chains[nth].1
}

impl Tables {
    pub(crate) fn new() -> Self {
        let mut state = State::new(Completeness::Standing);
        state.book_mut(BookNo::OPERATOR);
        Self {
            state,
            books: Map::default(),
            chains: Chains::default(),
        }
    }

    /// The rows of a book that postings change.
    pub(crate) fn rows(&self, book: BookNo) -> Option<Rows<'_>> {
        let slots = &self.state.book(book)?.slots;
        let chains = self.chains.0.get(&book);
        Some(Rows { slots, chains })
    }

    /// The row of the account that a record made or changed.
    pub(crate) fn account_of(&self, record: &Record) -> Option<Arc<Account>> {
        let id = match &record.action {
            Action::CreateAccount(new) => new.id,
            Action::UpdateAccount(change) => change.id,
            _ => return None,
        };
        let slot = self.state.book(record.book)?.slot(id).ok()??;
        Some(Arc::clone(&slot.account))
    }

    /// Shares a row with the tables that it is from. It is the one that is here: both took the same records.
    pub(crate) fn share(&mut self, book: BookNo, account: &Arc<Account>) {
        if let Some(slot) = self.state.book_mut(book).slots.get_mut(account.no) {
            debug_assert_eq!(slot.account, *account);
            slot.account = Arc::clone(account);
        }
    }

    /// Takes what a record changes that lies at `at`: rows and chains. Says of each chain that it went on with it, and what links
    /// the record has there; answers those of the book's chain. Accounts that `has` it already keep their chains.
    pub(crate) fn take(
        &mut self,
        change: &Change,
        touched: &Touched,
        at: Locator,
        has: impl Fn(AccountNo) -> bool,
        mut on_chain: impl FnMut(BalanceKey, &Roots<Locator>, skew::Links<Locator>),
    ) -> skew::Links<Locator> {
        match change {
            Change::Plain(plain) => apply_plain(&mut self.state, plain),
            Change::Record(record) => apply(&mut self.state, record),
        }
        let book = change.book();
        let mut new = touched.iter().filter(|key| !has(key.0)).peekable();
        if new.peek().is_some() {
            let accounts = self.chains.0.entry(book).or_default();
            for key in new {
                let chain = chain_of(accounts, *key);
                let links = chain.push(at);
                on_chain(*key, chain, links);
            }
        }
        self.books.entry(book).or_default().push(at)
    }
}

/// The rows of a book that postings change.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) slots: &'a Slots,
    chains: Option<&'a Pages<AccountChains>>,
}

impl<'a> Rows<'a> {
    /// Has the rows of an account brought into the processor's caches.
    pub(crate) fn prefetch(self, account: AccountNo) {
        if let Some(slot) = self.slots.place(account) {
            prefetch(slot);
        }
        if let Some(chains) = self.chains_of(account) {
            prefetch(chains);
        }
    }

    /// The same for what these lead to, once they have come: the account itself.
    pub(crate) fn prefetch_account(self, account: AccountNo) {
        if let Some(Some(slot)) = self.slots.place(account) {
            prefetch(&*slot.account);
        }
    }

    /// And the links that its chains go on with.
    pub(crate) fn prefetch_links(self, account: AccountNo) {
        for (_, chain) in self.chains_of(account).into_iter().flatten() {
            if let Some(last) = chain.links().last() {
                prefetch(last);
            }
        }
    }

    fn chains_of(self, account: AccountNo) -> Option<&'a AccountChains> {
        self.chains?.get(account.0 as usize)
    }
}

/// The digest of each book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digests(Map<BookNo, [u8; 32]>);

impl Digests {
    /// A book's; zeros before its first record.
    pub(crate) fn of(&self, book: BookNo) -> [u8; 32] {
        self.0.get(&book).copied().unwrap_or_default()
    }

    /// Takes the book's next record.
    pub(crate) fn take(&mut self, book: BookNo, canonical: &[u8]) {
        let digest = self.0.entry(book).or_default();
        *digest = store::audit::next_digest(digest, canonical);
    }

    /// Says what a book's is.
    pub(crate) fn put(&mut self, book: BookNo, digest: [u8; 32]) {
        self.0.insert(book, digest);
    }
}

/// What readers see.
pub(crate) struct Published {
    pub(crate) tables: Tables,
    pub(crate) digests: Digests,
    pub(crate) deviations: Map<StoreBalance, Deviations>,
    pub(crate) milestones: Milestones,
    /// The last durable frame that is in it.
    pub(crate) log: LogPosition,
}

impl Published {
    /// Takes what a durable record changes, all but its book's digest. Accounts that `has` it already keep their chains.
    pub(crate) fn take(
        &mut self,
        change: &Change,
        touched: &Touched,
        at: Locator,
        has: impl Fn(AccountNo) -> bool,
    ) {
        let (milestones, book) = (&mut self.milestones, change.book());
        milestones.take(book, change.when(), at);
        self.tables.take(change, touched, at, &has, |key, chain, _| {
            milestones.take_chain((book, key), chain, at);
        });
        let Change::Record(record) = change else { return };
        for (key, deviation) in deviations(record) {
            if !has(key.0) {
                self.deviations.entry((book, key)).or_default().push(deviation);
            }
        }
    }
}

/// What a record adds to balances at another time than it was recorded.
pub(crate) fn deviations(record: &Record) -> Vec<(BalanceKey, Deviation)> {
    let mut found = Vec::new();
    for (nth, booked) in record.booked().iter().enumerate() {
        let effective_at = record.effective_at(nth);
        if effective_at == record.recorded_at {
            continue;
        }
        for made in booked.moves.iter().filter(|made| !made.post.is_zero()) {
            let recorded_at = record.recorded_at;
            let amount = made.post.signed();
            let sides = [(made.from.no, -amount), (made.to.no, amount)];
            found.extend(sides.map(|(account, settled)| {
                (
                    (account, made.asset.no),
                    Deviation {
                        recorded_at,
                        effective_at,
                        settled,
                    },
                )
            }));
        }
    }
    found
}
