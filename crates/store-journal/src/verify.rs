//! Checking a store against itself: every frame and record by its checksums and its place in the chains, every decision
//! by deciding it again, and everything that memory holds by what the whole journal gives.

use std::sync::Arc;

use ledger::{BookNo, Position, Record, Table};
use parking_lot::RwLock;
use store::audit;

use crate::find::{find_row, read_payload};
use crate::history::History;
use crate::log::{Disk, KeyTable, Locator, LogError, LogReader};
use crate::open::{OpenError, Opened, Options, open};
use crate::payload::split;
use crate::tables::{Published, Tables, deviations};

/// What was checked, all of it good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Frames read.
    pub frames: u64,
    /// Records read and decided again.
    pub records: u64,
    /// Bytes of frames.
    pub bytes: u64,
    /// Each book with its position and digest.
    pub books: Vec<(BookNo, Position, [u8; 32])>,
    /// Bytes of an incomplete last write that opening cut off.
    pub bytes_cut: u64,
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It can't be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// A frame or record is damaged.
    #[error("{0}")]
    Damaged(LogError),
    /// A record contradicts those before it, or what was derived from it is wrong.
    #[error("book {book}, position {position}, {place}: {what}")]
    Wrong {
        /// The book.
        book: BookNo,
        /// The position.
        position: Position,
        /// The segment file and byte.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// What memory holds is not what the journal gives.
    #[error("book {book}: {what}; remove the snapshots (*.snap) and open the store again")]
    Derived {
        /// The book.
        book: BookNo,
        /// What differs.
        what: String,
    },
}

/// How far a check is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes read, of each of the two passes.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Checks the store on a disk. No other process may have it open.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn verify(
    disk: &Arc<dyn Disk>,
    options: &Options,
    place: &str,
    mut progress: impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let opened = open(disk, options, place)?;
    let reader = opened.log.reader();
    let total = 2 * reader
        .segments()
        .last()
        .map_or(0, |_| reader.position().end.get());
    let read = reader.verify_all(|so_far| {
        progress(Progress {
            bytes: so_far.bytes,
            total,
        })
    });
    let read = read.map_err(VerifyError::Damaged)?;
    let Opened {
        log: _log,
        published,
        keys,
        hasher,
        recovery,
        ..
    } = opened;
    let published = RwLock::new(published);
    let mut check = Check {
        published: &published,
        keys: &keys,
        hasher,
        reader: &reader,
        tables: Tables::new(),
    };
    let mut frames = reader.scan(reader.origin()).map_err(VerifyError::Damaged)?;
    let mut deviating = ledger::Map::<_, Vec<_>>::default();
    while let Some(frame) = frames.next_frame().map_err(VerifyError::Damaged)? {
        for (at, payload) in frame.records() {
            let record = check.record(at, payload)?;
            for (key, deviation) in deviations(&record) {
                deviating.entry((record.book, key)).or_default().push(deviation);
            }
        }
        progress(Progress {
            bytes: total / 2 + frame.end().get(),
            total,
        });
    }
    let tables = check.tables;
    let published = published.into_inner();
    compare(&tables, &published)?;
    let same = deviating.len() == published.deviations.len()
        && deviating
            .iter()
            .all(|(key, all)| published.deviations.get(key).is_some_and(|d| d.entries() == all));
    if !same {
        return Err(VerifyError::Derived {
            book: BookNo(0),
            what: "effective times are not what was recorded".into(),
        });
    }
    let mut books: Vec<_> = tables
        .state
        .books()
        .map(|book| (book.no, book.head.position))
        .collect();
    books.sort_unstable();
    let digest = |no: &BookNo| tables.tips.get(no).map_or([0; 32], |tip| tip.digest);
    let books = books
        .iter()
        .map(|(no, position)| (*no, *position, digest(no)))
        .collect();
    Ok(Report {
        frames: read.frames,
        records: read.records,
        bytes: read.bytes,
        books,
        bytes_cut: recovery.bytes_cut,
    })
}

struct Check<'a> {
    published: &'a RwLock<Published>,
    keys: &'a KeyTable,
    hasher: crate::index::Hasher,
    reader: &'a LogReader,
    /// What the records so far give.
    tables: Tables,
}

impl Check<'_> {
    fn record(&mut self, at: Locator, payload: &[u8]) -> Result<Arc<Record>, VerifyError> {
        let (record, links) = read_payload(payload, at, &self.tables.state, &self.hasher)
            .map_err(|error| self.wrong(at, None, error.to_string()))?;
        self.check(at, &record)
            .map_err(|what| self.wrong(at, Some(&record), what))?;
        let wrong = |what: &str| self.wrong(at, Some(&record), what.into());
        let (_, canonical) = split(payload).ok_or_else(|| wrong("its links are cut short"))?;
        let (chain, balances) = self.tables.links(&record);
        let repeats = self.hasher.repeats(&record);
        if (links.book, &links.balances) != (chain, &balances) {
            return Err(wrong("its links lead elsewhere"));
        }
        // Of several with one key in the table only the newest may be known; the chain of links has the others.
        for (hash, before) in repeats.iter().zip(&links.repeats) {
            if before.is_some_and(|before| before >= at)
                || self.keys.candidates(*hash).iter().max() < Some(&at)
            {
                return Err(wrong("the key table does not lead to it"));
            }
        }
        for hash in self.hasher.unique(&record) {
            if !self.keys.candidates(hash).contains(&at) {
                return Err(wrong("the key table does not lead to it"));
            }
        }
        let digest = self.tables.next_digest(record.book, canonical);
        self.tables.take(&record, at, digest, |_| false);
        Ok(record)
    }

    /// Checks the record by those before it.
    fn check(&mut self, at: Locator, record: &Record) -> Result<(), String> {
        let hasher = self.hasher;
        let history = History {
            published: self.published,
            keys: self.keys,
            hasher: &hasher,
            reader: self.reader,
            end: at,
        };
        audit::check(&mut self.tables.state, record, |state, row| {
            let found = find_row(&history, record.book, row).map_err(|error| error.to_string())?;
            found.put(state, record.book);
            Ok(())
        })
    }

    fn wrong(&self, at: Locator, record: Option<&Record>, what: String) -> VerifyError {
        let segment = self
            .reader
            .segments()
            .into_iter()
            .find(|span| (span.base..span.end()).contains(&at.get()));
        let place = segment.map_or_else(
            || at.to_string(),
            |span| {
                format!(
                    "{} byte {}",
                    crate::log::segment::file_name(span.number),
                    at.get() - span.base
                )
            },
        );
        let (book, position) =
            record.map_or((BookNo(0), Position(0)), |record| (record.book, record.position));
        VerifyError::Wrong {
            book,
            position,
            place,
            what,
        }
    }
}

/// Compares the rows that the whole journal gives with those that opening gave.
fn compare(journal: &Tables, memory: &Published) -> Result<(), VerifyError> {
    let memory = &memory.tables;
    for book in journal.state.books() {
        let no = book.no;
        let differs = |what: &str| {
            Err(VerifyError::Derived {
                book: no,
                what: format!("{what} differ from the journal"),
            })
        };
        let Some(other) = memory.state.book(no) else {
            return differs("the books in memory");
        };
        // A book that was made and not used has no tip, or, from a snapshot, an empty one.
        let tip = |tables: &Tables| tables.tips.get(&no).cloned().unwrap_or_default();
        if book.head != other.head || book.root != other.root || tip(journal) != tip(memory) {
            return differs("the head, chain or digest in memory");
        }
        let same_register = same(&book.clients, &other.clients)
            && same(&book.customers, &other.customers)
            && same(&book.numbers, &other.numbers)
            && same(&book.api_keys, &other.api_keys)
            && same(&book.account_nos, &other.account_nos)
            && same(&book.primaries, &other.primaries)
            && same(&book.assets, &other.assets)
            && book.rate_list == other.rate_list
            && book.rates == other.rates
            && book.owned == other.owned
            && book.client_list == other.client_list
            && book.customer_list == other.customer_list
            && book.api_key_list == other.api_key_list;
        if !same_register {
            return differs("clients, customers, accounts, keys, assets or rates in memory");
        }
        let same_holds = same(&book.holds, &other.holds)
            && book.holds_by_account == other.holds_by_account
            && book.expiring == other.expiring;
        if !same_holds {
            return differs("open holds in memory");
        }
        let same_slot = |(no, slot): (&ledger::AccountNo, &ledger::Slot)| {
            let other = other.slots.get(no);
            other.is_some_and(|other| {
                let balance = |(asset, balance): &(ledger::AssetNo, ledger::Balance)| {
                    other.balance(*asset) == Some(balance)
                };
                slot.account == other.account
                    && slot.balances.len() == other.balances.len()
                    && slot.balances.iter().all(balance)
            })
        };
        if book.slots.len() != other.slots.len() || !book.slots.iter().all(same_slot) {
            return differs("accounts or balances in memory");
        }
    }
    if journal.chains != memory.chains || journal.state.books().count() != memory.state.books().count() {
        return Err(VerifyError::Derived {
            book: BookNo(0),
            what: "links in memory differ from the journal".into(),
        });
    }
    Ok(())
}

fn same<K: Eq + std::hash::Hash, V: PartialEq>(one: &Table<K, V>, other: &Table<K, V>) -> bool {
    one.len() == other.len() && one.iter().all(|(key, row)| other.peek(key) == Some(row))
}
