//! What memory holds: the rows, and where the newest record of each chain lies. There are two: the writer's own, which is
//! ahead, and the published one, which readers see and which holds only what is durable.

use std::sync::Arc;

use ledger::{AccountNo, AssetNo, BookNo, Completeness, Map, Record, State, apply};
use smallvec::SmallVec;

use crate::effective::{Deviation, Deviations};
use crate::log::skew::{self, Roots};
use crate::log::{Locator, LogPosition};
use crate::payload::{BalanceKey, Touched};

/// A balance in the whole store.
pub(crate) type StoreBalance = (BookNo, BalanceKey);

/// The end of a book: its chain of records, and its digest.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tip {
    pub(crate) chain: Roots<Locator>,
    pub(crate) digest: [u8; 32],
}

/// The rows and the chains.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) state: State,
    pub(crate) tips: Map<BookNo, Tip>,
    pub(crate) chains: Chains,
}

/// The chains of the records that touched a balance. Accounts have their numbers in order, so they are found by them; of each,
/// its assets stand in the order in which they were touched, as its balances do, so that equal books are equal here.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Chains(Map<BookNo, Vec<AccountChains>>);

/// The chains of one account; most accounts have one asset.
type AccountChains = SmallVec<[(AssetNo, Roots<Locator>); 1]>;

impl Chains {
    pub(crate) fn get(&self, book: BookNo, (account, asset): BalanceKey) -> Option<&Roots<Locator>> {
        let chains = self.0.get(&book)?.get(account.0 as usize)?;
        chains.iter().find(|(no, _)| *no == asset).map(|(_, chain)| chain)
    }

    /// A chain, made empty when it is not here.
    pub(crate) fn get_mut(&mut self, book: BookNo, (account, asset): BalanceKey) -> &mut Roots<Locator> {
        let (accounts, account) = (self.0.entry(book).or_default(), account.0 as usize);
        if accounts.len() <= account {
            accounts.resize(account + 1, AccountChains::new());
        }
        let chains = &mut accounts[account];
        let nth = chains.iter().position(|(no, _)| *no == asset).unwrap_or_else(|| {
            chains.push((asset, Roots::new()));
            chains.len() - 1
        });
        &mut chains[nth].1
    }
}

impl Tables {
    pub(crate) fn new() -> Self {
        let mut state = State::new(Completeness::Standing);
        state.book_mut(BookNo::OPERATOR);
        Self {
            state,
            tips: Map::default(),
            chains: Chains::default(),
        }
    }

    /// The links that the next record of the book is to carry, for the book and for the balances that it touches.
    pub(crate) fn links(
        &self,
        book: BookNo,
        touched: &Touched,
    ) -> (skew::Links<Locator>, SmallVec<[skew::Links<Locator>; 2]>) {
        let none = skew::Links {
            prev: None,
            jump: None,
        };
        let mut balances = SmallVec::with_capacity(touched.len());
        for key in touched {
            balances.push(self.chains.get(book, *key).map_or(none, Roots::next));
        }
        let book = self.tips.get(&book).map_or(none, |tip| tip.chain.next());
        (book, balances)
    }

    /// Takes a record that lies at `at`: rows, chains and digest. Accounts that `has` it already keep their chains.
    pub(crate) fn take(
        &mut self,
        record: &Arc<Record>,
        touched: &Touched,
        at: Locator,
        digest: [u8; 32],
        has: impl Fn(AccountNo) -> bool,
    ) {
        apply(&mut self.state, record);
        let tip = self.tips.entry(record.book).or_default();
        tip.chain.push(at);
        tip.digest = digest;
        for key in touched {
            if !has(key.0) {
                self.chains.get_mut(record.book, *key).push(at);
            }
        }
    }

    /// The digest of a book with one more record.
    pub(crate) fn next_digest(&self, book: BookNo, canonical: &[u8]) -> [u8; 32] {
        let before = self.tips.get(&book).map_or([0; 32], |tip| tip.digest);
        store::audit::next_digest(&before, canonical)
    }
}

/// What readers see.
pub(crate) struct Published {
    pub(crate) tables: Tables,
    pub(crate) deviations: Map<StoreBalance, Deviations>,
    /// The last durable frame that is in it.
    pub(crate) log: LogPosition,
}

impl Published {
    /// Takes a durable record. Accounts that `has` it already keep their chains.
    pub(crate) fn take(
        &mut self,
        record: &Arc<Record>,
        touched: &Touched,
        at: Locator,
        digest: [u8; 32],
        has: impl Fn(AccountNo) -> bool,
    ) {
        self.tables.take(record, touched, at, digest, &has);
        for (key, deviation) in deviations(record) {
            if !has(key.0) {
                self.deviations
                    .entry((record.book, key))
                    .or_default()
                    .push(deviation);
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
