//! A folder's disk on which a test can hold the store back at a file, let its syncs fail, and see what it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use store_journal::log::{Disk, DiskError, DiskFile, DiskLock, OpenMode};

/// Longer than anything that a test waits for takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Scene {
    /// Whoever makes a file of this ending waits.
    held_back: Option<&'static str>,
    /// How many writes to snapshots are left until whoever makes one waits.
    writes_left: Option<u64>,
    syncs: Syncs,
    /// What was made, renamed, unlocked and held back, in order.
    done: Vec<String>,
}

/// What becomes of syncs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Syncs {
    #[default]
    Done,
    /// Those of segments wait.
    HeldBack,
    Failing,
}

#[derive(Default)]
struct Play {
    scene: Mutex<Scene>,
    changed: Condvar,
    full: AtomicBool,
    /// There is no space for files that are to be called so in the end.
    refused: Mutex<Option<&'static str>>,
}

impl Play {
    fn did(&self, what: String) {
        self.scene.lock().done.push(what);
        self.changed.notify_all();
    }
}

/// The disk.
#[derive(Clone)]
pub(crate) struct Stage {
    inner: Arc<dyn Disk>,
    play: Arc<Play>,
}

impl Stage {
    pub(crate) fn new(inner: Arc<dyn Disk>) -> Self {
        Self {
            inner,
            play: Arc::default(),
        }
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// From now on whoever makes a file of this ending waits until [`Stage::let_go`].
    pub(crate) fn hold_back(&self, ending: &'static str) {
        self.play.scene.lock().held_back = Some(ending);
    }

    pub(crate) fn let_go(&self) {
        let mut scene = self.play.scene.lock();
        (scene.held_back, scene.writes_left) = (None, None);
        self.play.changed.notify_all();
    }

    /// So many pieces more may be written to snapshots.
    pub(crate) fn let_write(&self, pieces: u64) {
        *self.play.scene.lock().writes_left.get_or_insert(0) += pieces;
        self.play.changed.notify_all();
    }

    /// From now on syncs fail; one that was held back is done.
    pub(crate) fn fail_syncs(&self) {
        self.sync_from_now_on(Syncs::Failing);
    }

    /// From now on syncs of segments wait until [`Stage::sync_again`] or [`Stage::fail_syncs`].
    pub(crate) fn hold_syncs_back(&self) {
        self.sync_from_now_on(Syncs::HeldBack);
    }

    pub(crate) fn sync_again(&self) {
        self.sync_from_now_on(Syncs::Done);
    }

    fn sync_from_now_on(&self, syncs: Syncs) {
        self.play.scene.lock().syncs = syncs;
        self.play.changed.notify_all();
    }

    /// Whether there is no space for another segment.
    pub(crate) fn be_full(&self, full: bool) {
        self.play.full.store(full, Ordering::Release);
        *self.play.refused.lock() = None;
    }

    /// From now on there is no space for files of this ending.
    pub(crate) fn refuse(&self, ending: &'static str) {
        *self.play.refused.lock() = Some(ending);
    }

    /// Waits until something was done that begins and ends so; answers whether it was before `patience` ended.
    pub(crate) fn saw_within(&self, begins: &str, ends: &str, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut scene = self.play.scene.lock();
        loop {
            if scene
                .done
                .iter()
                .any(|what| what.starts_with(begins) && what.ends_with(ends))
            {
                return true;
            }
            if self.play.changed.wait_until(&mut scene, end).timed_out() {
                return false;
            }
        }
    }

    pub(crate) fn wait_for(&self, begins: &str, ends: &str) {
        assert!(
            self.saw_within(begins, ends, PATIENCE),
            "it never came to {begins} …{ends}"
        );
    }

    /// What was done, in order.
    pub(crate) fn done(&self) -> Vec<String> {
        self.play.scene.lock().done.clone()
    }
}

struct Unlocks(Option<DiskLock>, Arc<Play>);

impl Drop for Unlocks {
    fn drop(&mut self) {
        self.1.did("unlock".into());
        self.0.take();
    }
}

struct File {
    inner: Arc<dyn DiskFile>,
    play: Arc<Play>,
    is_snapshot: bool,
    /// What it is to be called.
    name: String,
}

impl Disk for Stage {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.inner.list()
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        if name.ends_with(".log.new") && self.play.full.load(Ordering::Acquire) {
            self.play.did(format!("refuse {name}"));
            return Err(DiskError::NoSpace { name: name.into() });
        }
        if mode == OpenMode::Create {
            self.play.did(format!("make {name}"));
            let mut scene = self.play.scene.lock();
            while scene.held_back.is_some_and(|ending| name.ends_with(ending)) {
                self.play.changed.wait(&mut scene);
            }
        }
        let file = self.inner.open(name, mode)?;
        Ok(Arc::new(File {
            inner: file,
            play: Arc::clone(&self.play),
            is_snapshot: name.ends_with(".snap.new"),
            name: name.strip_suffix(".new").unwrap_or(name).to_owned(),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.inner.rename(from, to)?;
        self.play.did(format!("rename {to}"));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.inner.remove(name)
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        self.inner.sync_dir()
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        let lock = self.inner.lock(name)?;
        Ok(Box::new(Unlocks(Some(lock), Arc::clone(&self.play))))
    }
}

impl DiskFile for File {
    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        if self.is_snapshot {
            let mut scene = self.play.scene.lock();
            while scene.writes_left == Some(0) {
                self.play.changed.wait(&mut scene);
            }
            scene.writes_left = scene.writes_left.map(|left| left - 1);
        }
        if self
            .play
            .refused
            .lock()
            .is_some_and(|ending| self.name.ends_with(ending))
        {
            return Err(DiskError::NoSpace {
                name: self.name.clone(),
            });
        }
        self.inner.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let mut scene = self.play.scene.lock();
        if scene.syncs == Syncs::Failing {
            let error = std::io::Error::other("the test says so");
            return Err(DiskError::from_io("sync", "a file", error));
        }
        if scene.syncs == Syncs::HeldBack && self.name.ends_with(".log") {
            scene.done.push(format!("hold {}", self.name));
            self.play.changed.notify_all();
            while scene.syncs == Syncs::HeldBack {
                self.play.changed.wait(&mut scene);
            }
        }
        drop(scene);
        self.inner.sync_data()
    }
}
