//! Milestones: where every so many records of a book lie, and when they were recorded; and where every so many of those lie
//! that touched a balance. The first turn the time or position that somebody asks for into addresses, the second say from
//! where a balance's chain is to be walked back to one: without them that is some thirty reads of a long chain.

use ledger::{BookNo, Map, Micros, Position};
use serde::{Deserialize, Serialize};

use crate::history::Until;
use crate::log::Locator;
use crate::log::skew::Roots;
use crate::tables::StoreBalance;

/// So many records of a book lie between two of its milestones.
const EVERY: u64 = 256;
/// So many records of a balance lie between two of its marks, of 8 bytes each.
const CHAIN_EVERY: u64 = 64;

/// A record that is remembered: 24 bytes for each 256.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Milestone {
    position: Position,
    recorded_at: Micros,
    at: u64,
}

impl Milestone {
    fn holds(&self, until: Until) -> bool {
        until.holds(self.position, self.recorded_at)
    }
}

/// Those of all books and balances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Milestones {
    books: Map<BookNo, Vec<Milestone>>,
    /// Of chains that are long enough.
    chains: Map<StoreBalance, Vec<Locator>>,
}

/// Between which addresses a book's last record lies that is old enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Between {
    /// What lies here or before it is old enough.
    pub(crate) old: Option<Locator>,
    /// What lies here or behind it is too new.
    pub(crate) new: Option<Locator>,
}

impl Milestones {
    /// Takes a book's next record.
    pub(crate) fn take(&mut self, book: BookNo, (position, recorded_at): (Position, Micros), at: Locator) {
        if position.0.is_multiple_of(EVERY) {
            self.books.entry(book).or_default().push(Milestone {
                position,
                recorded_at,
                at: at.get(),
            });
        }
    }

    /// Takes the record with which a balance's chain went on.
    pub(crate) fn take_chain(&mut self, key: StoreBalance, chain: &Roots<Locator>, at: Locator) {
        if chain.count().is_multiple_of(CHAIN_EVERY) {
            self.chains.entry(key).or_default().push(at);
        }
    }

    /// Where in a book it turns from old enough to too new.
    pub(crate) fn between(&self, book: BookNo, until: Until) -> Between {
        let all = self.of(book);
        let old = all.partition_point(|milestone| milestone.holds(until));
        let at = |nth: usize| all.get(nth).map(|milestone| Locator::new(milestone.at));
        Between {
            old: old.checked_sub(1).and_then(at),
            new: at(old),
        }
    }

    /// A book's, oldest first.
    pub(crate) fn of(&self, book: BookNo) -> &[Milestone] {
        self.books.get(&book).map_or(&[], Vec::as_slice)
    }

    /// The oldest mark of a balance's chain that is known to be too new.
    pub(crate) fn start(&self, key: StoreBalance, between: Between) -> Option<Locator> {
        let marks = self.of_chain(key);
        let nth = marks.partition_point(|at| between.knows(*at) != Some(false));
        marks.get(nth).copied()
    }

    /// A chain's marks, oldest first.
    pub(crate) fn of_chain(&self, key: StoreBalance) -> &[Locator] {
        self.chains.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Says what a chain's marks are.
    pub(crate) fn put_chain(&mut self, key: StoreBalance, marks: Vec<Locator>) {
        if !marks.is_empty() {
            self.chains.insert(key, marks);
        }
    }

    /// Whether the chains of both have the same marks.
    pub(crate) fn same_chains(&self, other: &Self) -> bool {
        self.chains == other.chains
    }

    /// Says what a book's are.
    pub(crate) fn put(&mut self, book: BookNo, milestones: Vec<Milestone>) {
        if !milestones.is_empty() {
            self.books.insert(book, milestones);
        }
    }
}

impl Between {
    /// Whether the book's record here is old enough, if that is known.
    pub(crate) fn knows(&self, at: Locator) -> Option<bool> {
        match (self.old, self.new) {
            (Some(old), _) if at <= old => Some(true),
            (_, Some(new)) if at >= new => Some(false),
            _ => None,
        }
    }
}
