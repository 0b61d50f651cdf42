//! A disk in memory for this crate's unit tests: it can be full and it can fail; nothing is lost or torn by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::disk::{Disk, DiskError, DiskFile, DiskLock, OpenMode};

#[derive(Default)]
struct State {
    files: Mutex<BTreeMap<String, Arc<Mutex<Vec<u8>>>>>,
    locks: Mutex<BTreeSet<String>>,
    limit: AtomicU64,
    reads: AtomicU64,
    fail_writes: AtomicBool,
    fail_syncs: AtomicBool,
}

impl State {
    fn used(&self) -> u64 {
        self.files
            .lock()
            .values()
            .map(|file| file.lock().len() as u64)
            .sum()
    }
}

#[derive(Clone)]
pub(crate) struct MemDisk(Arc<State>);

impl MemDisk {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            limit: AtomicU64::new(u64::MAX),
            ..State::default()
        };
        Arc::new(Self(Arc::new(state)))
    }

    /// Another disk with the same files.
    pub(crate) fn copy(&self) -> Arc<Self> {
        let copy = Self::new();
        for (name, bytes) in self.0.files.lock().iter() {
            copy.set(name, bytes.lock().clone());
        }
        copy
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        self.0.files.lock()[name].lock().clone()
    }

    pub(crate) fn set(&self, name: &str, bytes: Vec<u8>) {
        self.0
            .files
            .lock()
            .insert(name.to_owned(), Arc::new(Mutex::new(bytes)));
    }

    pub(crate) fn flip(&self, name: &str, at: usize) {
        self.0.files.lock()[name].lock()[at] ^= 0x5A;
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.files.lock().keys().cloned().collect()
    }

    /// Lets files have only so many bytes more than now.
    pub(crate) fn leave(&self, bytes: u64) {
        self.0
            .limit
            .store(self.0.used().saturating_add(bytes), Ordering::SeqCst);
    }

    pub(crate) fn fail_writes(&self, fail: bool) {
        self.0.fail_writes.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.0.fail_syncs.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::SeqCst)
    }
}

struct MemFile {
    name: String,
    bytes: Arc<Mutex<Vec<u8>>>,
    state: Arc<State>,
}

struct Held(Arc<State>, String);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.locks.lock().remove(&self.1);
    }
}

fn missing(name: &str) -> DiskError {
    DiskError::NotFound {
        name: name.to_owned(),
    }
}

fn broken(doing: &'static str, name: &str) -> DiskError {
    DiskError::Io {
        doing,
        name: name.to_owned(),
        source: io::Error::other("the test says so"),
    }
}

impl Disk for MemDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.names())
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        if mode == OpenMode::Create {
            self.set(name, Vec::new());
        }
        let bytes = self
            .0
            .files
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| missing(name))?;
        Ok(Arc::new(MemFile {
            name: name.to_owned(),
            bytes,
            state: Arc::clone(&self.0),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut files = self.0.files.lock();
        let bytes = files.remove(from).ok_or_else(|| missing(from))?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.0
            .files
            .lock()
            .remove(name)
            .map(|_| ())
            .ok_or_else(|| missing(name))
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        if !self.0.locks.lock().insert(name.to_owned()) {
            return Err(DiskError::Locked {
                name: name.to_owned(),
                holder: "a test".to_owned(),
            });
        }
        Ok(Box::new(Held(Arc::clone(&self.0), name.to_owned())))
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.bytes.lock().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        let bytes = self.bytes.lock();
        let from = bytes.len().min(offset as usize);
        let length = buffer.len().min(bytes.len() - from);
        buffer[..length].copy_from_slice(&bytes[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> Result<(), DiskError> {
        if self.state.fail_writes.load(Ordering::SeqCst) {
            return Err(broken("write", &self.name));
        }
        let end = offset as usize + new.len();
        let grows = end.saturating_sub(self.bytes.lock().len()) as u64;
        if grows > 0 && self.state.used() + grows > self.state.limit.load(Ordering::SeqCst) {
            return Err(DiskError::NoSpace {
                name: self.name.clone(),
            });
        }
        let mut bytes = self.bytes.lock();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(new);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        if self.state.fail_syncs.load(Ordering::SeqCst) {
            return Err(broken("sync", &self.name));
        }
        Ok(())
    }
}
