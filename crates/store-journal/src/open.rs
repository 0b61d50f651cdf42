//! Making and opening a store: the newest snapshot, then the frames after it, then the key table from the runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ledger::Micros;
use store::SigningKeys;

use crate::batch::Change;
use crate::find::read_payload;
use crate::index::{Hasher, Pairs};
use crate::log::load::load;
use crate::log::run::{Run, RunError, write_run};
use crate::log::{
    Disk, DiskError, FrameView, KeyTable, Locator, Log, LogError, LogOptions, LogPosition, RealDisk,
    Recovery, Span, StoreId,
};
use crate::marks::mark;
use crate::payload::split;
use crate::snapshot::{self, Restored};
use crate::tables::{Published, Tables};
use crate::{signing, vault};

/// How a store behaves.
#[derive(Clone)]
pub struct Options {
    /// Of the log.
    pub log: LogOptions,
    /// The store's clock.
    pub clock: Arc<dyn Fn() -> Micros + Send + Sync>,
    /// Told when a write or sync failed, which leaves the disk's content unknown: the process has to stop.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    /// After so many bytes of frames a snapshot is written. `None` is 256 MiB, or as many as the last one had that was written
    /// since the store was opened, if that is more: else a store of many accounts would write more snapshots than journal.
    pub snapshot_every: Option<u64>,
    /// From so many records on, at least 1, a frame is not filled further when the disk is free for it; below, the sync costs
    /// more than what is in it.
    pub cut_at: usize,
    /// How many requests may wait to be decided.
    pub queue: usize,
    /// Open a store that has a mark: for copying and checking.
    pub despite_mark: bool,
}

impl Options {
    /// The usual ones, with this clock. A failed write ends the process.
    #[must_use]
    pub fn new(clock: Arc<dyn Fn() -> Micros + Send + Sync>) -> Self {
        let on_fatal = Arc::new(|_: &str| std::process::abort());
        Self {
            log: LogOptions::default(),
            clock,
            on_fatal,
            snapshot_every: None,
            cut_at: 512,
            queue: 65_536,
            despite_mark: false,
        }
    }
}

/// Why a store could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no store in {0}; `saldo init --store {0}` makes one")]
    NotFound(String),
    /// There is one already.
    #[error("there is a store in {0} already")]
    Exists(String),
    /// It is not to be used.
    #[error("this store takes no writes: {0}")]
    Marked(store::Mark),
    /// The log says no.
    #[error("{0}")]
    Log(LogError),
    /// A file could not be read or written.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// The keys of texts can't be read.
    #[error("{0}")]
    Vault(String),
    /// The keys that sign tokens can't be read.
    #[error("{0}")]
    SigningKeys(String),
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

/// Everything that opening found.
pub(crate) struct Opened {
    pub(crate) log: Log,
    pub(crate) published: Published,
    pub(crate) keys: KeyTable,
    pub(crate) hasher: Hasher,
    /// The pairs of the segment that is being filled, and its number.
    pub(crate) unsealed: (u32, Pairs),
    /// None where the file is not there.
    pub(crate) signing_keys: Option<SigningKeys>,
    pub(crate) vault: vault::Found,
    pub(crate) recovery: Recovery,
}

/// Makes an empty store on a disk that has none.
///
/// # Errors
/// [`OpenError::Exists`], or what the disk says.
pub fn create(disk: &Arc<dyn Disk>, options: &Options, place: &str) -> Result<(), OpenError> {
    let mut store: StoreId = [0; 16];
    getrandom::fill(&mut store).map_err(|error| OpenError::Random(error.to_string()))?;
    create_as(disk, options, place, store)
}

/// Makes a store of this id.
pub(crate) fn create_as(
    disk: &Arc<dyn Disk>,
    options: &Options,
    place: &str,
    store: StoreId,
) -> Result<(), OpenError> {
    match Log::identify(&**disk) {
        Err(LogError::NotFound) => {}
        Ok(_) => return Err(OpenError::Exists(place.into())),
        Err(error) => return Err(OpenError::Log(error)),
    }
    // The secrets come first, and the log last: what was interrupted in between is no store yet, and is made again.
    vault::create(&**disk, &store)?;
    signing::create(&**disk, (options.clock)())?;
    let log = Log::create(Arc::clone(disk), options.log, store).map_err(|error| match error {
        LogError::Exists => OpenError::Exists(place.into()),
        other => OpenError::Log(other),
    })?;
    let planner = log.planner();
    log.close(planner, (options.clock)().0).map_err(OpenError::Log)?;
    Ok(())
}

/// A disk in a folder that only its owner may enter: it holds the keys that sign tokens.
///
/// # Errors
/// What the system says.
pub fn folder(path: &Path, make: bool) -> Result<Arc<dyn Disk>, OpenError> {
    if !make {
        return Ok(Arc::new(RealDisk::new(path)));
    }
    let disk = RealDisk::create(path)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path, private)
        .map_err(|error| DiskError::from_io("protecting", &path.to_string_lossy(), error))?;
    Ok(Arc::new(disk))
}

pub(crate) fn open(disk: &Arc<dyn Disk>, options: &Options, place: &str) -> Result<Opened, OpenError> {
    let not_found = |error| match error {
        LogError::NotFound => OpenError::NotFound(place.into()),
        other => OpenError::Log(other),
    };
    let (store, origin) = Log::identify(&**disk).map_err(not_found)?;
    let hasher = Hasher::new(&store);
    let names = snapshot::list(&**disk)?;
    let restored = names
        .iter()
        .find_map(|name| snapshot::read(&**disk, &store, name, origin).ok());
    let (log, recovery, replay) = match restored {
        Some(restored) => match replay(disk, options, &hasher, Replay::new(restored)) {
            // Disposable: a snapshot of a frame that the log does not have gives way to the whole journal.
            Err(LogError::UnknownPosition { .. }) => replay_all(disk, options, &hasher, origin),
            other => other,
        },
        None => replay_all(disk, options, &hasher, origin),
    }
    .map_err(OpenError::Log)?;
    let Replay {
        restored,
        mut pairs,
        covered_from,
        ..
    } = replay;
    let mut published = restored.published;
    published.log = recovery.position;
    let spans = log.reader().segments();
    let (last, sealed) = spans.split_last().expect("a log has a segment");
    let mut known = |span: &Span| {
        let mine = pairs.extract_if(.., |(first, _)| (span.base..span.end()).contains(&first.get()));
        let mine = mine.fold(Pairs::default(), |all, (_, more)| all.and(more));
        (span.number >= covered_from).then_some(mine)
    };
    let make = |segment: u32, error: &RunError, mine: Option<Pairs>| {
        tracing::info!(segment, %error, "the run of a segment is made again");
        let mine = mine.map_or_else(|| scan(&log, segment, &published.tables, &hasher), Ok)?;
        let mut run = mine.into_vec();
        write_run(&**disk, &store, segment, &mut run)?;
        Ok::<_, OpenError>(run)
    };
    let (mut runs, mut made) = (Vec::new(), Vec::new());
    for span in sealed {
        let mine = known(span);
        match Run::of(&**disk, &store, span.number) {
            Ok(run) => runs.push(run),
            Err(error) => made.push(make(span.number, &error, mine)?),
        }
    }
    let unsealed = known(last).map_or_else(|| scan(&log, last.number, &published.tables, &hasher), Ok)?;
    let mut newest = unsealed.clone().into_vec();
    newest.sort_unstable();
    made.push(newest);
    let keys = loop {
        let keys = KeyTable::new();
        match load(&keys, &runs, &made) {
            Ok(()) => break keys,
            Err((nth, error)) => made.push(make(runs.swap_remove(nth).segment(), &error, None)?),
        }
    };
    let signing_keys = signing::read(&**disk)?;
    let vault = vault::open(&**disk, &store)?;
    // Now that it is locked, it stays so.
    if let Some(mark) = mark(&**disk)?.filter(|_| !options.despite_mark) {
        return Err(OpenError::Marked(mark));
    }
    Ok(Opened {
        log,
        published,
        keys,
        hasher,
        unsealed: (last.number, unsealed),
        signing_keys,
        vault,
        recovery,
    })
}

/// The pairs of a segment, from its records.
fn scan(log: &Log, segment: u32, tables: &Tables, hasher: &Hasher) -> Result<Pairs, OpenError> {
    let mut pairs = Pairs::default();
    let mut frames = log.reader().scan_segment(segment).map_err(OpenError::Log)?;
    while let Some(frame) = frames.next_frame().map_err(OpenError::Log)? {
        for (at, payload) in frame.records() {
            let (record, _) = read_payload(payload, at, &tables.state, hasher).map_err(|error| {
                OpenError::Log(LogError::damaged(segment, at.get(), None, error.to_string()))
            })?;
            pairs.take(hasher, &record, at);
        }
    }
    Ok(pairs)
}

/// A replay under way.
struct Replay {
    restored: Restored,
    /// Pairs by segment, each with a place in it.
    pairs: Vec<(Locator, Pairs)>,
    /// Segments from this one on have all their pairs in `pairs`.
    covered_from: u32,
    /// The byte after the frame before.
    end: Option<Locator>,
}

impl Replay {
    fn new(mut restored: Restored) -> Self {
        let unique = std::mem::take(&mut restored.pairs.2);
        let saved = Pairs {
            unique,
            ..Pairs::default()
        };
        let pairs = saved
            .unique
            .first()
            .map(|(_, at)| *at)
            .map(|at| (at, saved))
            .into_iter()
            .collect();
        let covered_from = restored.pairs.0;
        Self {
            restored,
            pairs,
            covered_from,
            end: None,
        }
    }

    fn take(&mut self, frame: &FrameView<'_>, hasher: &Hasher) -> Result<(), LogError> {
        let sequence = frame.header.sequence;
        // Frames are contiguous within a segment.
        if self.end.replace(frame.end()) != Some(frame.start) {
            self.pairs.push((frame.start, Pairs::default()));
        }
        for (at, payload) in frame.records() {
            let wrong = |what: String| LogError::damaged(0, at.get(), Some(sequence), what);
            let state = &self.restored.published.tables.state;
            let (record, _) =
                read_payload(payload, at, state, hasher).map_err(|error| wrong(error.to_string()))?;
            if sequence > self.restored.pairs.1 {
                self.pairs
                    .iter_mut()
                    .last()
                    .expect("pushed above")
                    .1
                    .take(hasher, &record, at);
            }
            if self.restored.has_book(record.book, sequence) {
                continue;
            }
            let (_, canonical) = split(payload).ok_or_else(|| wrong("its links are cut short".into()))?;
            let book = record.book;
            let touched = crate::payload::touched(&record);
            let known: HashMap<_, _> = touched
                .iter()
                .map(|(account, _)| (*account, self.restored.has_account(book, *account, sequence)))
                .collect();
            let has = |no| known.get(&no).copied().unwrap_or(false);
            let published = &mut self.restored.published;
            published.take(&Change::of(&record), &touched, at, has);
            published.digests.take(book, canonical);
        }
        Ok(())
    }
}

fn replay(
    disk: &Arc<dyn Disk>,
    options: &Options,
    hasher: &Hasher,
    mut replay: Replay,
) -> Result<(Log, Recovery, Replay), LogError> {
    let from = replay.restored.from;
    let (log, recovery) = Log::open_with(Arc::clone(disk), options.log, Some(from), |frame| {
        replay.take(&frame, hasher)
    })?;
    Ok((log, recovery, replay))
}

fn replay_all(
    disk: &Arc<dyn Disk>,
    options: &Options,
    hasher: &Hasher,
    origin: LogPosition,
) -> Result<(Log, Recovery, Replay), LogError> {
    replay(disk, options, hasher, Replay::new(Restored::nothing(origin)))
}
