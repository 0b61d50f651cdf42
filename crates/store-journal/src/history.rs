//! Reading the past: from the newest record of a chain back, one at a time or by jumps.
//!
//! Everything here reads what was durable when the [`History`] was taken, so a reader sees one moment however long it
//! walks.

use std::sync::Arc;

use ledger::{AccountNo, BookNo, Entry, Micros, Position, Record};
use parking_lot::RwLock;
use smallvec::SmallVec;
use store::{Direction, StoreError};

use crate::find::{Source, corrupt, read_payload};
use crate::index::Hasher;
use crate::log::skew::{Links as ChainLinks, Visited, seek};
use crate::log::{KeyTable, Locator, LogReader};
use crate::payload::{BalanceKey, Links, Repeats, touched};
use crate::tables::Published;

/// The past up to one moment.
pub(crate) struct History<'a> {
    pub(crate) published: &'a RwLock<Published>,
    pub(crate) keys: &'a KeyTable,
    pub(crate) hasher: &'a Hasher,
    pub(crate) reader: &'a LogReader,
    /// Nothing that lies here or behind is part of it.
    pub(crate) end: Locator,
}

impl Source for History<'_> {
    fn hasher(&self) -> &Hasher {
        self.hasher
    }

    /// Those of this moment. Behind it there may be some whose records are not on the disk yet, and may never be.
    fn candidates(&self, hash: u64) -> SmallVec<[Locator; 2]> {
        self.keys
            .candidates(hash)
            .into_iter()
            .filter(|at| *at < self.end)
            .collect()
    }

    fn newest(&self, hash: u64) -> Result<Option<Locator>, StoreError> {
        // The table may have one that is newer than this moment; the one before it is then found through it.
        let mut at = self.keys.candidates(hash).into_iter().max();
        while let Some(newer) = at.filter(|at| *at >= self.end) {
            (_, at) = self.read_repeating(newer, hash)?;
        }
        Ok(at)
    }

    fn read(&self, at: Locator) -> Result<(Arc<Record>, Repeats), StoreError> {
        self.read_linked(at)
            .map(|(record, links)| (record, links.repeats))
    }
}

/// One side of a move that concerns an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Side {
    pub(crate) nth: usize,
    pub(crate) move_index: usize,
    pub(crate) direction: Direction,
}

/// The sides of a record's moves that concern an account, oldest first.
pub(crate) fn sides(record: &Record, account: AccountNo) -> Vec<Side> {
    let mut found = Vec::new();
    for (nth, booked) in record.booked().iter().enumerate() {
        for (move_index, made) in booked.moves.iter().enumerate() {
            if made.from.no == account {
                found.push(Side {
                    nth,
                    move_index,
                    direction: Direction::Debit,
                });
            } else if made.to.no == account {
                found.push(Side {
                    nth,
                    move_index,
                    direction: Direction::Credit,
                });
            }
        }
    }
    found
}

/// The balance that a record left.
pub(crate) fn last_entry(record: &Record, key: BalanceKey) -> Option<Entry> {
    let moves = record
        .booked()
        .iter()
        .rev()
        .flat_map(|booked| booked.moves.iter().rev());
    moves
        .filter(|made| made.asset.no == key.1)
        .find_map(|made| match key.0 {
            no if no == made.from.no => Some(made.from_after),
            no if no == made.to.no => Some(made.to_after),
            _ => None,
        })
}

/// How far back to look for the newest record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// At or before this position.
    Position(Position),
    /// Recorded at or before this time.
    Time(Micros),
}

impl Until {
    pub(crate) fn holds(self, position: Position, recorded_at: Micros) -> bool {
        match self {
            Self::Position(until) => position <= until,
            Self::Time(until) => recorded_at <= until,
        }
    }
}

impl History<'_> {
    /// A record with its links.
    fn read_linked(&self, at: Locator) -> Result<(Arc<Record>, Links), StoreError> {
        let payload = self.reader.read_record(at).map_err(|error| corrupt(&error))?;
        let published = self.published.read();
        read_payload(&payload, at, &published.tables.state, self.hasher)
    }

    /// The newest record of a balance's chain, from `newest` back, that is old enough.
    pub(crate) fn seek_balance(
        &self,
        newest: Option<Locator>,
        book: BookNo,
        key: BalanceKey,
        until: Until,
    ) -> Result<Option<(Locator, Arc<Record>)>, StoreError> {
        let read = |at: Locator| {
            let (record, links) = self.read_linked(at)?;
            let links = chain_of(&record, &links, key).ok_or_else(|| astray(at))?;
            Ok(Visited { entry: record, links })
        };
        let (between, mark) = {
            let milestones = &self.published.read().milestones;
            let between = milestones.between(book, until);
            (between, milestones.start((book, key), between))
        };
        seek(
            newest.map(|newest| newest.min(mark.unwrap_or(newest))),
            |at| between.knows(at),
            read,
            |record: &Arc<Record>| until.holds(record.position, record.recorded_at),
        )
    }

    /// The newest record of a book, from `newest` back, that is old enough.
    pub(crate) fn seek_book(
        &self,
        newest: Option<Locator>,
        book: BookNo,
        until: Until,
    ) -> Result<Option<Locator>, StoreError> {
        let read = |at: Locator| {
            let payload = self.reader.read_record(at).map_err(|error| corrupt(&error))?;
            let (physical, canonical) = crate::payload::split(&payload).ok_or_else(|| astray(at))?;
            let links = crate::payload::take_book_links(physical, at).ok_or_else(|| astray(at))?;
            let (_, position, recorded_at) = ledger::peek(canonical).map_err(|_| astray(at))?;
            Ok(Visited {
                entry: (position, recorded_at),
                links,
            })
        };
        let between = self.published.read().milestones.between(book, until);
        let found = seek(
            // Whatever the milestone is of, it is in the book's chain.
            newest.map(|newest| newest.min(between.new.unwrap_or(newest))),
            |at| between.knows(at),
            read,
            |(position, at): &(Position, Micros)| until.holds(*position, *at),
        )?;
        Ok(found.map(|(at, _)| at))
    }

    /// Walks a book back from `at`; stops when `visit` says so.
    pub(crate) fn walk_book(
        &self,
        mut at: Option<Locator>,
        mut visit: impl FnMut(Arc<Record>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        while let Some(here) = at {
            let (record, links) = self.read_linked(here)?;
            at = links.book.prev;
            if !visit(record)? {
                break;
            }
        }
        Ok(())
    }

    /// Walks the records that touch any of an account's balances back from the newest ones given; each record once.
    pub(crate) fn walk_balances(
        &self,
        mut chains: Vec<(BalanceKey, Locator)>,
        mut visit: impl FnMut(Arc<Record>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        while let Some(here) = chains.iter().map(|(_, at)| *at).max() {
            let (record, links) = self.read_linked(here)?;
            let mut rest = Vec::with_capacity(chains.len());
            for (key, at) in chains {
                if at != here {
                    rest.push((key, at));
                } else {
                    let chain = chain_of(&record, &links, key).ok_or_else(|| astray(here))?;
                    rest.extend(chain.prev.map(|prev| (key, prev)));
                }
            }
            chains = rest;
            if !visit(record)? {
                break;
            }
        }
        Ok(())
    }

    /// The records of a book from after `after`, oldest first.
    pub(crate) fn forward(
        &self,
        book: BookNo,
        newest: Option<Locator>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let last = Position(after.0.saturating_add(limit as u64));
        let start = self.seek_book(newest, book, Until::Position(last))?;
        let mut records = Vec::new();
        self.walk_book(start, |record| {
            debug_assert_eq!(record.book, book, "a book's chain stays in the book");
            let wanted = record.position > after;
            if wanted {
                records.push(record);
            }
            Ok(wanted)
        })?;
        records.reverse();
        Ok(records)
    }
}

fn chain_of(record: &Record, links: &Links, key: BalanceKey) -> Option<ChainLinks<Locator>> {
    let nth = touched(record).iter().position(|other| *other == key)?;
    links.balances.get(nth).copied()
}

fn astray(at: Locator) -> StoreError {
    StoreError::Corrupt(format!("a link leads to {at}, and the record there is another"))
}
