//! Backups of a store that servers may be using: a folder of segments, and a manifest that says what counts.
//!
//! Each run copies what is new. Segments that are full are copied once; of the one that is being filled there is a copy of its
//! frames so far, `segment-00000005-000001234567.part`, in place of the one before. The manifest is written last and takes the place of
//! the one before, so whatever ends a run, the backup before it is whole. Files that no manifest names are removed afterwards.
//!
//! Nothing about people can be read from it: the keys of texts are not in it, nor is the secret that signs tokens.

mod manifest;
mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{BookNo, Micros, Position, peek};
use parking_lot::Mutex;
use store::audit;

pub use self::manifest::{Entry, Manifest};
pub use self::shelf::Backup;
use crate::frozen::Frozen;
use crate::log::disk::{Beside, UNFINISHED};
use crate::log::frame::Seal;
use crate::log::recover::check_position;
use crate::log::scan::{LogPosition, Scan, Shared};
use crate::log::segment::{SEGMENT_HEADER, Segments, file_name};
use crate::log::{Disk, DiskError, LogError, OpenMode};
use crate::open::OpenError;
use crate::payload::split;
use crate::verify::Progress;

/// The file through which a backup's folder is locked.
const LOCK: &str = "backup.lock";
/// Bytes are copied in pieces of this size.
const PIECE: usize = 1 << 20;

/// Why there is no backup, or none that is whole.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store can't be read.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// The backup's folder can't be read or written.
    #[error("{0}; a backup that was complete before is still good")]
    Folder(#[from] DiskError),
    /// The folder is used for something else.
    #[error(
        "there are other things in this folder, such as {0}; name an empty one, or that of an earlier backup"
    )]
    OtherThings(String),
    /// Another run is at it.
    #[error("{0} is writing to this backup; wait for it, or name another folder")]
    Busy(String),
    /// There is no backup.
    #[error("there is no backup here: no file {}", manifest::NAME)]
    Missing,
    /// The manifest is not what was written.
    #[error(
        "{}, line {line}: {what}; use another copy of this backup, or take a new one into an empty folder",
        manifest::NAME
    )]
    Manifest {
        /// The line.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// A file is not what was written.
    #[error("{name}: {what}; use another copy of this backup, or take a new one into an empty folder")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The folder has the backup of another store.
    #[error("this folder has the backup of another store; name an empty folder")]
    OtherStore,
    /// The store has not what its backup has.
    #[error(
        "this folder has a backup of this store up to frame {sequence}, which the store has not: it is damaged there, or a copy of it \
         was used. Check the store with `saldo verify`; to begin a new backup, name an empty folder"
    )]
    OtherHistory {
        /// The last frame in the backup.
        sequence: u64,
    },
}

/// What a run did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackedUp {
    /// The backup as it is now.
    pub manifest: Manifest,
    /// How many records are new in it.
    pub records: u64,
    /// How many bytes were copied.
    pub bytes: u64,
}

/// Brings the backup in `to` up to date with the store in `from`, which servers may be using.
///
/// # Errors
/// Nothing was changed in the backup that was there before.
pub fn back_up(
    from: &dyn Disk,
    place: &str,
    to: &dyn Disk,
    now: Micros,
    mut progress: impl FnMut(Progress),
) -> Result<BackedUp, BackupError> {
    if let Some(other) = to.list()?.into_iter().find(|name| !is_ours(name)) {
        return Err(BackupError::OtherThings(other));
    }
    let _lock = to.lock(LOCK).map_err(|error| match error {
        DiskError::Locked { holder, .. } => BackupError::Busy(holder),
        other => other.into(),
    })?;
    let before = match Manifest::read(to) {
        Err(BackupError::Missing) => None,
        other => Some(other?),
    };
    let frozen = Frozen::take(from, place)?;
    let run = Run::begin(&frozen, before.as_ref())?;
    let total = 2 * (frozen.end.end.get() - run.from.end.get());
    let read = run.read(|bytes| progress(Progress { bytes, total }))?;
    let mut copied = 0;
    let mut files = Vec::new();
    for (name, segment, bytes) in run.wanted(&read, before.as_ref()) {
        let known = before.iter().flat_map(|before| &before.files);
        let entry = match known
            .into_iter()
            .find(|entry| entry.name == name && entry.bytes == bytes)
        {
            Some(entry) => entry.clone(),
            None => {
                let blake3 = copy(&frozen, segment, bytes, to, &name, |piece| {
                    copied += piece;
                    let bytes = (total / 2 + copied).min(total);
                    progress(Progress { bytes, total });
                })?;
                Entry { name, bytes, blake3 }
            }
        };
        files.push(entry);
    }
    let manifest = Manifest {
        store: frozen.store,
        taken_at: now,
        end: frozen.end,
        files,
        books: read
            .books
            .into_iter()
            .map(|(no, (position, digest))| (no, position, digest))
            .collect(),
    };
    manifest.write(to)?;
    remove_others(to, &manifest)?;
    Ok(BackedUp {
        manifest,
        records: read.records,
        bytes: copied,
    })
}

/// Whether a file is a backup's, or what a file system brings along.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    [LOCK, manifest::NAME, "lost+found"].contains(&name) || manifest::segment_of(name).is_some()
}

/// Removes what no manifest names. The backup is complete without it.
fn remove_others(to: &dyn Disk, manifest: &Manifest) -> Result<(), DiskError> {
    for name in to.list()? {
        let segment = manifest::segment_of(name.strip_suffix(UNFINISHED).unwrap_or(&name));
        if segment.is_some() && !manifest.files.iter().any(|entry| entry.name == name) {
            to.remove(&name)?;
        }
    }
    to.sync_dir()
}

/// A run under way.
struct Run<'a> {
    frozen: &'a Frozen,
    shared: Arc<Shared>,
    /// The last frame that the backup has.
    from: LogPosition,
    /// Where its books stand.
    books: BTreeMap<BookNo, (Position, [u8; 32])>,
}

/// What was read.
struct Read {
    books: BTreeMap<BookNo, (Position, [u8; 32])>,
    records: u64,
    /// Where the frames end, in each segment that has new ones.
    ends: BTreeMap<u32, u64>,
}

impl<'a> Run<'a> {
    fn begin(frozen: &'a Frozen, before: Option<&Manifest>) -> Result<Self, BackupError> {
        let (segments, store) = Segments::open(frozen).map_err(OpenError::Log)?;
        let seal = Seal::new(&store);
        let from = before.map_or_else(|| Shared::origin(&seal), |before| before.end);
        if before.is_some_and(|before| before.store != store) {
            return Err(BackupError::OtherStore);
        }
        let other = BackupError::OtherHistory {
            sequence: from.sequence,
        };
        match check_position(&segments, &seal, &from) {
            Ok(_) if from.sequence <= frozen.end.sequence => {}
            Ok(_)
            | Err(
                LogError::UnknownPosition { .. }
                | LogError::MissingSegment { .. }
                | LogError::BadLocator(_)
                | LogError::Damaged(_),
            ) => return Err(other),
            Err(error) => return Err(OpenError::Log(error).into()),
        }
        let books = before.iter().flat_map(|before| &before.books);
        Ok(Self {
            frozen,
            shared: Arc::new(Shared {
                segments: Arc::new(segments),
                store,
                seal,
                synced: Mutex::new(frozen.end),
            }),
            from,
            books: books
                .map(|(no, position, digest)| (*no, (*position, *digest)))
                .collect(),
        })
    }

    /// Reads and checks the new frames: the chain of their hashes goes on where the backup ends.
    fn read(&self, mut progress: impl FnMut(u64)) -> Result<Read, BackupError> {
        let failed = |error| BackupError::Store(OpenError::Log(error));
        let mut read = Read {
            books: self.books.clone(),
            records: 0,
            ends: BTreeMap::new(),
        };
        let mut scan = Scan::after(Arc::clone(&self.shared), self.from).map_err(failed)?;
        while let Some(frame) = scan.next_frame().map_err(failed)? {
            let end = frame.end();
            let damaged =
                |at: u64, what: &str| failed(LogError::damaged(0, at, Some(frame.header.sequence), what));
            frame
                .check_records()
                .map_err(|at| damaged(at, "a record does not match its checksum"))?;
            for (at, payload) in frame.records() {
                let unreadable = || damaged(at.get(), "a record can't be read");
                let (_, canonical) = split(payload).ok_or_else(unreadable)?;
                let (book, position, _) = peek(canonical).map_err(|_| unreadable())?;
                let book = read.books.entry(book).or_default();
                if position != book.0.next() {
                    return Err(damaged(at.get(), "a record is not the next one of its book"));
                }
                *book = (position, audit::next_digest(&book.1, canonical));
                read.records += 1;
            }
            let number = scan.segment();
            let base = self
                .shared
                .segments
                .get(number)
                .map_or(0, |segment| segment.span.base);
            read.ends.insert(number, end.get() - base);
            progress(end.get() - self.from.end.get());
        }
        Ok(read)
    }

    /// The files that the backup is to have: name, segment, bytes.
    fn wanted(&self, read: &Read, before: Option<&Manifest>) -> Vec<(String, u32, u64)> {
        let last = self
            .shared
            .segments
            .holding(self.frozen.end.start)
            .map_or(1, |segment| segment.span.number);
        let known = |number: u32| {
            let files = before.iter().flat_map(|before| &before.files);
            files
                .into_iter()
                .find(|entry| manifest::segment_of(&entry.name) == Some(number))
                .map(|entry| entry.bytes)
        };
        (1..=last)
            .map(|number| {
                let bytes = read
                    .ends
                    .get(&number)
                    .copied()
                    .or_else(|| known(number))
                    .unwrap_or(SEGMENT_HEADER);
                let name = match number < last {
                    true => manifest::full_name(number),
                    false => manifest::part_name(number, bytes),
                };
                (name, number, bytes)
            })
            .collect()
    }
}

/// Copies the beginning of a segment; answers its hash.
fn copy(
    from: &Frozen,
    segment: u32,
    bytes: u64,
    to: &dyn Disk,
    name: &str,
    mut progress: impl FnMut(u64),
) -> Result<[u8; 32], BackupError> {
    let source = from
        .open(&file_name(segment), OpenMode::Existing)
        .map_err(OpenError::Disk)?;
    let mut file = Beside::create(to, name)?;
    let (mut hasher, mut piece, mut at) = (blake3::Hasher::new(), vec![0; PIECE], 0);
    while at < bytes {
        let wanted = usize::try_from(bytes - at).map_or(PIECE, |left| left.min(PIECE));
        let read = source
            .read_at(&mut piece[..wanted], at)
            .map_err(OpenError::Disk)?;
        if read == 0 {
            let error = LogError::damaged(segment, at, None, "the segment is cut off");
            return Err(OpenError::Log(error).into());
        }
        hasher.update(&piece[..read]);
        file.write(&piece[..read])?;
        at += read as u64;
        progress(read as u64);
    }
    file.commit()?;
    Ok(hasher.finalize().into())
}
