//! What memory holds: the rows, and where the newest record of each chain lies. There are two: the writer's own, which is
//! ahead, and the published one, which readers see and which holds only what is durable.

use std::sync::Arc;

use ledger::{
    Account, AccountNo, Action, BookNo, Completeness, Map, Owner, Record, Slots, State, apply, apply_plain,
};
use smallvec::SmallVec;

use crate::batch::Change;
use crate::chains::{AccountChains, BookChains, Chains, chain_of};
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
        let chains = self.chains.of(book);
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
            let accounts = self.chains.of_mut(book);
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
    chains: Option<&'a BookChains>,
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
        for (_, chain) in self.chains_of(account).into_iter().flat_map(AccountChains::iter) {
            if let Some(last) = chain.links().last() {
                prefetch(last);
            }
        }
    }

    fn chains_of(self, account: AccountNo) -> Option<&'a AccountChains> {
        self.chains?.get(account.0 as usize)
    }
}

/// The accounts of each owner in a book, in the order of creation. Only readers ask for them.
#[derive(Default)]
pub(crate) struct Owned(Map<BookNo, OwnedInBook>);

type OwnedInBook = Map<Owner, SmallVec<[AccountNo; 2]>>;

impl Owned {
    /// An owner's.
    pub(crate) fn of(&self, book: BookNo, owner: Owner) -> &[AccountNo] {
        self.of_book(book)
            .and_then(|owned| owned.get(&owner))
            .map_or(&[], SmallVec::as_slice)
    }

    /// All of a book's.
    pub(crate) fn of_book(&self, book: BookNo) -> Option<&OwnedInBook> {
        self.0.get(&book)
    }

    /// Puts an account that is not here.
    pub(crate) fn put(&mut self, book: BookNo, owner: Owner, no: AccountNo) {
        let owned = self.0.entry(book).or_default();
        owned.entry(owner).or_default().push(no);
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
    pub(crate) owned: Owned,
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
        let book = change.book();
        if let Some((owner, no)) = change.new_account() {
            let rows = self.tables.state.book(book);
            if !rows.is_some_and(|rows| rows.slots.contains(no)) {
                self.owned.put(book, owner, no);
            }
        }
        let milestones = &mut self.milestones;
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
