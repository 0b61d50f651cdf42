//! A disk in memory that keeps only what a real one promises to keep.
//!
//! Of each file it knows what reads give (the page cache), what the medium holds, and every version of every sector that
//! was written since the file was last synced; of the folder, what was made, renamed and removed since that was synced.
//! When the power goes, any part of what was not synced may be on the medium: which, follows from the seed. A sync that
//! fails drops the pages, as Linux does: they read as written until they are evicted, and no later sync writes them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use store::suite::Random;

use super::medium::{Kept, Medium};
use crate::log::disk::UNFINISHED;
use crate::log::{Disk, DiskError, DiskFile, DiskLock, OpenMode};
use crate::vault;

/// A defence of the store that the disk takes away, so that a test sees what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Without {
    /// Syncing a segment does nothing.
    DataSync,
    /// Syncing the folder does nothing.
    FolderSync,
    /// A segment's sync is answered first and done with the next operation: so replies go out before it.
    SyncBeforeReply,
    /// A segment's sync covers only what was written before the sync before: so frames are written ahead.
    SyncBeforeNextFrame,
    /// What is torn still matches its checksum: so checking it shows nothing.
    Checksums,
    /// The zeros that opening writes over a torn tail are not written.
    ZeroedTail,
    /// Zeros take no space: so writing a frame does, later.
    ReservedSpace,
    /// A sync that fails says that it is done.
    FailedSync,
    /// New segments are not synced before they get their name.
    SegmentSync,
    /// Snapshots are not synced before they get their name.
    SnapshotSync,
    /// Writing what a file already reads as is left out: so opening does not make the last frame durable.
    Confirming,
    /// Syncing the keys of texts does nothing.
    KeySync,
    /// Keys of texts that are written anew are not synced before they get their name.
    KeysAnewSync,
    /// The same as [`Self::Confirming`], for the keys of texts.
    KeyConfirming,
}

impl Without {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::DataSync,
        Self::FolderSync,
        Self::SyncBeforeReply,
        Self::SyncBeforeNextFrame,
        Self::Checksums,
        Self::ZeroedTail,
        Self::ReservedSpace,
        Self::FailedSync,
        Self::SegmentSync,
        Self::SnapshotSync,
        Self::Confirming,
        Self::KeySync,
        Self::KeysAnewSync,
        Self::KeyConfirming,
    ];
}

/// What the disk was asked for and did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Writes, syncs, creations, renames, removals: the points at which the power may go.
    pub points: u64,
    /// Reads.
    pub reads: u64,
    /// Folds all of them, in order: the same seed gives the same.
    pub trace: u64,
}

/// When something is to fail: after so many more of its kind.
type Countdown = Option<u64>;

fn now(countdown: &mut Countdown) -> bool {
    let due = *countdown == Some(0);
    *countdown = countdown.and_then(|left| left.checked_sub(1));
    due
}

#[derive(Clone, Default)]
struct Faults {
    power: Countdown,
    sync: Countdown,
    write: Countdown,
    read: Countdown,
    /// Every write or sync fails.
    writes: bool,
    syncs: bool,
}

struct State {
    medium: Medium,
    random: Random,
    operations: Operations,
    faults: Faults,
    without: Option<Without>,
    locks: BTreeSet<String>,
    /// Nothing is done any more until the power is back.
    off: bool,
    /// A store is being opened.
    opening: bool,
    /// Syncs that were answered and are still to be done.
    owed: Vec<usize>,
    /// At most so many bytes may be taken.
    limit: u64,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Medium::default(), Random::new(seed))
    }

    fn of(medium: Medium, random: Random) -> Self {
        Self(Arc::new(Mutex::new(State {
            medium,
            random,
            operations: Operations::default(),
            faults: Faults::default(),
            without: None,
            locks: BTreeSet::new(),
            off: false,
            opening: false,
            owed: Vec::new(),
            limit: u64::MAX,
        })))
    }

    /// Another disk with the same files as they read now, all of it durable.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut state = self.0.lock();
        let random = Random::new(state.random.bits());
        let copy = Self::of(state.medium.settled(), random);
        copy.0.lock().without = state.without;
        copy
    }

    /// As the trait that the store takes.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Takes a defence of the store away.
    pub fn take_away(&self, defence: Option<Without>) {
        self.0.lock().without = defence;
    }

    /// The power goes in the midst of the write point after so many more.
    pub fn lose_power_after(&self, points: Countdown) {
        self.0.lock().faults.power = points;
    }

    /// The sync after so many more fails, and drops what was written.
    pub fn fail_sync_after(&self, syncs: Countdown) {
        self.0.lock().faults.sync = syncs;
    }

    /// The write after so many more fails.
    pub fn fail_write_after(&self, writes: Countdown) {
        self.0.lock().faults.write = writes;
    }

    /// The read after so many more fails.
    pub fn fail_read_after(&self, reads: Countdown) {
        self.0.lock().faults.read = reads;
    }

    /// Whether every write fails.
    pub fn fail_writes(&self, fail: bool) {
        self.0.lock().faults.writes = fail;
    }

    /// Whether every sync fails. Nothing is dropped by it.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.lock().faults.syncs = fail;
    }

    /// Nothing fails any more, and there is space.
    pub fn heal(&self) {
        let mut state = self.0.lock();
        (state.faults, state.limit) = (Faults::default(), u64::MAX);
    }

    /// Lets files take only so many bytes more than now.
    pub fn leave(&self, bytes: u64) {
        let mut state = self.0.lock();
        state.limit = state.medium.taken().saturating_add(bytes);
    }

    /// Whether a store is being opened: some defences are of that time alone.
    pub fn opening(&self, opening: bool) {
        self.0.lock().opening = opening;
    }

    /// Nothing is done any more: the process has ended, even where it does not know yet.
    pub fn stop(&self) {
        self.0.lock().off = true;
    }

    /// Whether the power has gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.lock().off
    }

    /// The power is gone and comes back: of what was not synced, any part is there.
    pub fn lose_power(&self) {
        let state = &mut *self.0.lock();
        let kept = Kept::by_chance(&mut state.random, state.operations.points);
        let checksums_hold = state.without == Some(Without::Checksums);
        state.medium.lose_power(&mut state.random, kept, checksums_hold);
        state.owed.clear();
        state.locks.clear();
        state.faults = Faults::default();
        state.off = false;
    }

    /// The process ends and the machine goes on: what was written is still there to be read, but for pages that a sync
    /// dropped, some of which may be evicted.
    pub fn end_process(&self) {
        let state = &mut *self.0.lock();
        while let Some(file) = state.owed.pop() {
            state.medium.file(file).sync();
        }
        state.medium.evict(&mut state.random);
        state.locks.clear();
        state.faults = Faults::default();
        state.off = false;
    }

    /// What was done so far.
    #[must_use]
    pub fn operations(&self) -> Operations {
        self.0.lock().operations
    }

    /// The names of all files, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.lock().medium.names().cloned().collect()
    }

    /// What a file reads as.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    pub fn content(&self, name: &str) -> Vec<u8> {
        let state = &mut *self.0.lock();
        let file = state.medium.find(name).expect("there is such a file");
        state.medium.file(file).bytes().to_vec()
    }

    /// Makes or replaces a file, durably.
    pub fn set(&self, name: &str, bytes: Vec<u8>) {
        self.0.lock().medium.set(name, bytes);
    }

    /// Changes these bits of a byte, durably: the medium has aged.
    ///
    /// # Panics
    /// When there is no such file, or it is not so long.
    pub fn flip(&self, name: &str, at: usize, bits: u8) {
        let state = &mut *self.0.lock();
        let file = state.medium.find(name).expect("there is such a file");
        state.medium.file(file).flip(at, bits);
    }
}

fn failed(doing: &'static str, name: &str, why: &'static str) -> DiskError {
    DiskError::from_io(doing, name, io::Error::other(why))
}

fn missing(name: &str) -> DiskError {
    DiskError::NotFound {
        name: name.to_owned(),
    }
}

impl State {
    /// A write point: answers its number, and whether the power goes in its midst.
    fn point(&mut self, doing: &'static str, name: &str, size: u64) -> Result<(u64, bool), DiskError> {
        self.check_power(doing, name)?;
        let goes = now(&mut self.faults.power);
        if !goes {
            while let Some(file) = self.owed.pop() {
                self.medium.file(file).sync();
            }
        }
        self.operations.points += 1;
        let mut trace = self.operations.trace;
        for byte in doing.bytes().chain(name.bytes()).chain(size.to_le_bytes()) {
            trace = (trace ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.operations.trace = trace;
        self.off = goes;
        Ok((self.operations.points, goes))
    }

    fn check_power(&self, doing: &'static str, name: &str) -> Result<(), DiskError> {
        match self.off {
            true => Err(failed(doing, name, "the power is off")),
            false => Ok(()),
        }
    }

    fn off(goes: bool, doing: &'static str, name: &str) -> Result<(), DiskError> {
        match goes {
            true => Err(failed(doing, name, "the power went")),
            false => Ok(()),
        }
    }

    fn write(&mut self, file: usize, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let name = self.medium.file(file).name.clone();
        let (point, goes) = self.point("write", &name, offset)?;
        if now(&mut self.faults.write) || self.faults.writes {
            return Err(failed("write", &name, "the medium does not take it"));
        }
        let zeros = bytes.iter().all(|byte| *byte == 0);
        if self.opening && name.ends_with(".log") {
            match self.without {
                Some(Without::ZeroedTail) if zeros => return Ok(()),
                Some(Without::Confirming) if self.medium.file(file).reads(bytes, offset) => return Ok(()),
                _ => {}
            }
        }
        if self.opening
            && name == vault::NAME
            && self.without == Some(Without::KeyConfirming)
            && self.medium.file(file).reads(bytes, offset)
        {
            return Ok(());
        }
        let takes = !(zeros && self.without == Some(Without::ReservedSpace));
        let more = if takes {
            self.medium.file(file).growth(bytes.len(), offset)
        } else {
            0
        };
        if more > 0 && self.medium.taken() + more > self.limit {
            return Err(DiskError::NoSpace { name });
        }
        self.medium.file(file).write(point, bytes, offset, takes);
        Self::off(goes, "write", &name)
    }

    fn sync(&mut self, file: usize) -> Result<(), DiskError> {
        let name = self.medium.file(file).name.clone();
        let (point, goes) = self.point("sync", &name, 0)?;
        Self::off(goes, "sync", &name)?;
        if self.faults.syncs {
            return Err(failed("sync", &name, "the medium does not take it"));
        }
        if now(&mut self.faults.sync) {
            self.medium.file(file).drop_pages(&mut self.random);
            return match self.without {
                Some(Without::FailedSync) => Ok(()),
                _ => Err(failed("sync", &name, "the medium did not take it")),
            };
        }
        let is_segment = name.ends_with(".log");
        match self.without {
            Some(Without::DataSync) if is_segment => {}
            Some(Without::SyncBeforeReply) if is_segment => self.owed.push(file),
            Some(Without::SyncBeforeNextFrame) if is_segment && !self.opening => {
                self.medium.file(file).sync_late(point);
            }
            Some(Without::SegmentSync) if name.ends_with(".log.new") => {}
            Some(Without::KeySync) if name == vault::NAME => {}
            Some(Without::KeysAnewSync) if name.strip_suffix(UNFINISHED) == Some(vault::NAME) => {}
            Some(Without::SnapshotSync) if name.ends_with(".snap.new") => {}
            _ => self.medium.file(file).sync(),
        }
        Ok(())
    }
}

struct Held(Arc<Mutex<State>>, String);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().locks.remove(&self.1);
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let state = self.0.lock();
        state.check_power("list", "the folder")?;
        Ok(state.medium.names().cloned().collect())
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let state = &mut *self.0.lock();
        state.check_power("open", name)?;
        let file = match mode {
            OpenMode::Existing => state.medium.find(name).ok_or_else(|| missing(name))?,
            OpenMode::Create => {
                let (point, goes) = state.point("create", name, 0)?;
                let file = state.medium.create(point, name);
                State::off(goes, "create", name)?;
                file
            }
        };
        let state = Arc::clone(&self.0);
        Ok(Arc::new(SimFile { state, file }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let state = &mut *self.0.lock();
        let (point, goes) = state.point("rename", to, 0)?;
        let file = state.medium.find(from).ok_or_else(|| missing(from))?;
        state.medium.rename(point, file, from, to);
        State::off(goes, "rename", to)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        let state = &mut *self.0.lock();
        let (point, goes) = state.point("remove", name, 0)?;
        state.medium.find(name).ok_or_else(|| missing(name))?;
        state.medium.remove(point, name);
        State::off(goes, "remove", name)
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        let state = &mut *self.0.lock();
        let (_, goes) = state.point("sync", "the folder", 0)?;
        State::off(goes, "sync", "the folder")?;
        if state.without != Some(Without::FolderSync) {
            state.medium.sync_names();
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        let mut state = self.0.lock();
        state.check_power("lock", name)?;
        if !state.locks.insert(name.to_owned()) {
            return Err(DiskError::Locked {
                name: name.to_owned(),
                holder: "this process".to_owned(),
            });
        }
        Ok(Box::new(Held(Arc::clone(&self.0), name.to_owned())))
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    file: usize,
}

impl DiskFile for SimFile {
    fn len(&self) -> Result<u64, DiskError> {
        let state = &mut *self.state.lock();
        state.check_power("measure", "a file")?;
        Ok(state.medium.file(self.file).bytes().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let state = &mut *self.state.lock();
        let name = state.medium.file(self.file).name.clone();
        state.check_power("read", &name)?;
        state.operations.reads += 1;
        if now(&mut state.faults.read) {
            return Err(failed("read", &name, "the medium gives nothing back"));
        }
        let bytes = state.medium.file(self.file).bytes();
        let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let length = buffer.len().min(bytes.len() - from);
        buffer[..length].copy_from_slice(&bytes[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.state.lock().write(self.file, bytes, offset)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.state.lock().sync(self.file)
    }
}
