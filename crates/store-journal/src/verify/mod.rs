//! Checking a store against itself: every frame and record by its checksums and its place in the chains, every decision
//! by deciding it again, and everything that is derived (rows, links, runs, each snapshot) by what the whole journal gives.

mod rows;
mod runs;

use std::sync::Arc;

use ledger::{BookNo, Position, Record, Subject};
use parking_lot::RwLock;
use smallvec::SmallVec;
use store::audit;

use self::runs::Runs;
use crate::batch::Change;
use crate::effective::Deviation;
use crate::find::{find_row, read_payload};
use crate::frozen::Frozen;
use crate::history::History;
use crate::log::{Disk, KeyTable, Locator, LogError, LogReader};
use crate::milestones::Milestones;
use crate::open::{OpenError, Opened, Options, open};
use crate::payload::{split, touched};
use crate::snapshot;
use crate::tables::{Digests, Published, StoreBalance, Tables, deviations};

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
    /// Bytes of an incomplete last write, which the next opening puts aside.
    pub bytes_cut: u64,
    /// Books, clients and customers that were not erased and whose key of texts is not there.
    pub keyless: Vec<(BookNo, Subject)>,
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
    /// A file that was derived from the journal is not what the journal gives.
    #[error(
        "{file}: {what}. It can be made again: stop the server, remove this file, and start the server, which makes a new one from \
         the journal"
    )]
    Derived {
        /// The file.
        file: String,
        /// What is wrong.
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

/// Checks the store on a disk as it is now, and changes nothing. A server may have it open.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn verify(
    disk: &Arc<dyn Disk>,
    options: &Options,
    place: &str,
    mut progress: impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let frozen = Frozen::take(&**disk, place)?;
    let mut options = options.clone();
    options.despite_mark = true;
    let opened = open_frozen(&frozen, &options, place)?;
    let reader = opened.log.reader();
    let total = 2 * reader.position().end.get();
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
        ..
    } = opened;
    let published = RwLock::new(published);
    let mut check = Check {
        published: &published,
        keys: &keys,
        hasher,
        reader: &reader,
        runs: Runs::new(&frozen, reader.segments()),
        journal: Given::default(),
    };
    let mut frames = reader.scan(reader.origin()).map_err(VerifyError::Damaged)?;
    while let Some(frame) = frames.next_frame().map_err(VerifyError::Damaged)? {
        for (at, payload) in frame.records() {
            check.record(at, payload)?;
        }
        progress(Progress {
            bytes: total / 2 + frame.end().get(),
            total,
        });
    }
    let Check { runs, journal, .. } = check;
    runs.end()?;
    drop(keys);
    compare_snapshots(&frozen, &options, place, &journal, published.into_inner())?;
    let tables = &journal.tables;
    let mut books: Vec<_> = tables
        .state
        .books()
        .map(|book| (book.no, book.head.position, journal.digests.of(book.no)))
        .collect();
    books.sort_unstable();
    Ok(Report {
        frames: read.frames,
        records: read.records,
        bytes: read.bytes,
        books,
        bytes_cut: frozen.torn,
        keyless: rows::keyless(&tables.state, &frozen.keyed),
    })
}

fn open_frozen(frozen: &Frozen, options: &Options, place: &str) -> Result<Opened, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(frozen.clone());
    open(&disk, options, place)
}

/// Compares what each snapshot leads to with what the journal gives. `newest` is what opening found.
fn compare_snapshots(
    frozen: &Frozen,
    options: &Options,
    place: &str,
    journal: &Given,
    newest: Published,
) -> Result<(), VerifyError> {
    let mut newest = Some(newest);
    for file in snapshot::list(frozen).map_err(OpenError::Disk)? {
        let derived = |what: String| VerifyError::Derived {
            file: file.clone(),
            what,
        };
        let origin = LogReader::origin_of(&frozen.store);
        snapshot::read(frozen, &frozen.store, &file, origin).map_err(derived)?;
        let published = match newest.take() {
            Some(published) => published,
            None => open_frozen(&frozen.with_snapshot(&file), options, place)?.published,
        };
        rows::compare(journal, &published).map_err(derived)?;
    }
    match newest {
        // Without a snapshot opening replays all records, and comes to the same.
        Some(published) => rows::compare(journal, &published).map_err(|what| VerifyError::Derived {
            file: "memory".into(),
            what,
        }),
        None => Ok(()),
    }
}

/// What the journal gives.
struct Given {
    tables: Tables,
    digests: Digests,
    deviations: ledger::Map<StoreBalance, Vec<Deviation>>,
    milestones: Milestones,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            tables: Tables::new(),
            digests: Digests::default(),
            deviations: ledger::Map::default(),
            milestones: Milestones::default(),
        }
    }
}

struct Check<'a> {
    published: &'a RwLock<Published>,
    keys: &'a KeyTable,
    hasher: crate::index::Hasher,
    reader: &'a LogReader,
    runs: Runs<'a>,
    /// What the records so far give.
    journal: Given,
}

impl Check<'_> {
    fn record(&mut self, at: Locator, payload: &[u8]) -> Result<(), VerifyError> {
        let (record, links) = read_payload(payload, at, &self.journal.tables.state, &self.hasher)
            .map_err(|error| self.wrong(at, None, error.to_string()))?;
        self.check(at, &record)
            .map_err(|what| self.wrong(at, Some(&record), what))?;
        let touched = touched(&record);
        let journal = &mut self.journal;
        let mut balances = SmallVec::new();
        let change = Change::Record(Arc::clone(&record));
        journal.milestones.take(record.book, change.when(), at);
        // Whole, however little it may change: what is checked took the short way.
        let book = journal.tables.take(
            &change,
            &touched,
            at,
            |_| false,
            |key, chain, links| {
                journal.milestones.take_chain((record.book, key), chain, at);
                balances.push(links);
            },
        );
        let keys_link = self.runs.take(&self.hasher, &record, at, &links.repeats)?;
        if (links.book, &links.balances) != (book, &balances) || !keys_link {
            return Err(self.wrong(at, Some(&record), "its links lead elsewhere".into()));
        }
        let wrong = |what: &str| self.wrong(at, Some(&record), what.into());
        let (_, canonical) = split(payload).ok_or_else(|| wrong("its links are cut short"))?;
        // Of several with one key in the table only the newest may be known; the chain of links has the others.
        let repeats = self.hasher.repeats(&record);
        let unknown = |hash: &u64| self.keys.candidates(*hash).iter().max() < Some(&at);
        let unique = self.hasher.unique(&record);
        if repeats.iter().any(unknown)
            || unique
                .iter()
                .any(|hash| !self.keys.candidates(*hash).contains(&at))
        {
            return Err(wrong("the key table does not lead to it"));
        }
        let journal = &mut self.journal;
        journal.digests.take(record.book, canonical);
        for (key, deviation) in deviations(&record) {
            let all = journal.deviations.entry((record.book, key)).or_default();
            all.push(deviation);
        }
        Ok(())
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
        audit::check(&mut self.journal.tables.state, record, |state, row| {
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
