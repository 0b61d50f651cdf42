//! The store: its threads, and how it starts and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ledger::{BookNo, Micros, Position};
use parking_lot::{Mutex, RwLock};
use store::StoreError;
use store::gather::{Inbox, Submitter, queue};
use tokio::sync::mpsc;

use crate::committer::{Committer, Unsealed, Watchers};
use crate::index::Hasher;
use crate::log::{Disk, KeyTable, Log, Planner, Recovery};
use crate::open::{OpenError, Opened, Options, open};
use crate::reads::View;
use crate::snapshot::{self, Due};
use crate::tables::Published;
use crate::writer::Writer;

/// How long a reader waits for a position.
const REACH: Duration = Duration::from_secs(1);

/// A store in a folder: the journal on the disk, the rows in memory.
pub struct JournalStore {
    pub(crate) view: View,
    pub(crate) signing_key: [u8; 32],
    watchers: Arc<Watchers>,
    submitter: Mutex<Option<Submitter>>,
    /// Held while it is being closed, so that who closes it again waits too.
    running: tokio::sync::Mutex<Option<Running>>,
    recovery: Recovery,
}

type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

struct Threads {
    writer: JoinHandle<Planner>,
    committer: JoinHandle<()>,
    snapshots: JoinHandle<()>,
    due: Arc<Due>,
}

/// What is needed to stop.
struct Running {
    threads: Threads,
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    published: Arc<RwLock<Published>>,
    unsealed: Arc<Mutex<Unsealed>>,
    failed: Arc<AtomicBool>,
    clock: Arc<dyn Fn() -> Micros + Send + Sync>,
}

impl JournalStore {
    /// Opens the store on a disk. `place` is how messages call it.
    ///
    /// # Errors
    /// There is none, another process has it, it is damaged, or the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: Options, place: &str) -> Result<Self, OpenError> {
        let opened = open(&disk, &options, place)?;
        let (signing_key, recovery) = (opened.signing_key, opened.recovery.clone());
        let shared = Shared::new(disk, &options, opened);
        let watchers = Arc::new(Watchers::new());
        let (submitter, inbox) = queue(options.queue);
        let threads = shared.start(inbox, Arc::clone(&watchers), &options)?;
        let Shared {
            log,
            disk,
            published,
            unsealed,
            keys,
            hasher,
            failed,
            ..
        } = shared;
        let view = View {
            published: Arc::clone(&published),
            keys,
            hasher,
            reader: log.reader(),
            clock: Arc::clone(&options.clock),
        };
        let running = Running {
            threads,
            log,
            disk,
            published,
            unsealed,
            failed,
            clock: options.clock,
        };
        Ok(Self {
            view,
            signing_key,
            watchers,
            submitter: Mutex::new(Some(submitter)),
            running: tokio::sync::Mutex::new(Some(running)),
            recovery,
        })
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    pub(crate) fn submitter(&self) -> Option<Submitter> {
        self.submitter.lock().clone()
    }

    /// Takes nothing any more, finishes what waits, writes a snapshot and a closing frame.
    pub(crate) async fn close_now(&self) -> Result<(), StoreError> {
        self.submitter.lock().take();
        let mut place = self.running.lock().await;
        let Some(running) = place.take() else {
            return Ok(());
        };
        // Not on this thread: whoever submitted keeps the queue open until they have taken their answer, perhaps here.
        let ended = tokio::task::spawn_blocking(move || running.close()).await;
        ended.map_err(|_| StoreError::Closed("closing it ended badly".into()))?
    }

    /// Waits until the book is at `position`.
    pub(crate) async fn reach_position(&self, book: BookNo, position: Position) -> Result<(), StoreError> {
        let reached = || self.view.position(book);
        if reached()? >= position {
            return Ok(());
        }
        let mut watch = self.watchers.watch(book);
        let wait = async {
            while reached()? < position {
                if watch.changed().await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        if let Ok(failed @ Err(_)) = tokio::time::timeout(REACH, wait).await {
            return failed;
        }
        let reached = reached()?;
        if reached >= position {
            return Ok(());
        }
        Err(StoreError::PositionNotReached {
            wanted: position,
            reached,
        })
    }
}

/// What the threads work on together.
struct Shared {
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    published: Arc<RwLock<Published>>,
    unsealed: Arc<Mutex<Unsealed>>,
    keys: Arc<KeyTable>,
    hasher: Hasher,
    failed: Arc<AtomicBool>,
    on_fatal: OnFatal,
}

impl Shared {
    fn new(disk: Arc<dyn Disk>, options: &Options, opened: Opened) -> Self {
        let unsealed = Unsealed {
            segment: opened.unsealed.0,
            pairs: opened.unsealed.1,
            sequence: opened.published.log.sequence,
        };
        let failed = Arc::new(AtomicBool::new(false));
        let (told, outer) = (Arc::clone(&failed), Arc::clone(&options.on_fatal));
        Self {
            log: Arc::new(opened.log),
            disk,
            published: Arc::new(RwLock::new(opened.published)),
            unsealed: Arc::new(Mutex::new(unsealed)),
            keys: Arc::new(opened.keys),
            hasher: opened.hasher,
            failed,
            on_fatal: Arc::new(move |why: &str| {
                told.store(true, Ordering::Release);
                outer(why);
            }),
        }
    }

    fn start(&self, inbox: Inbox, watchers: Arc<Watchers>, options: &Options) -> Result<Threads, OpenError> {
        // One batch may wait while another is written; the third is being decided.
        let (batches, decided) = mpsc::channel(1);
        let (spare, spares) = std::sync::mpsc::channel();
        let done = Arc::new(AtomicU64::new(0));
        let due = Arc::new(Due::every(options.snapshot_every));
        let writer = Writer::new(
            self.published.read().tables.clone(),
            Arc::clone(&self.log),
            Arc::clone(&self.keys),
            self.hasher,
            Arc::clone(&options.clock),
            Arc::clone(&done),
            batches,
            spares,
        );
        let committer = Committer {
            log: Arc::clone(&self.log),
            disk: Arc::clone(&self.disk),
            keys: Arc::clone(&self.keys),
            published: Arc::clone(&self.published),
            unsealed: Arc::clone(&self.unsealed),
            watchers,
            done,
            spare,
            on_fatal: Arc::clone(&self.on_fatal),
            snapshots: Arc::clone(&due),
            runs: Vec::new(),
        };
        let alarm = || Alarm(Arc::clone(&self.on_fatal));
        Ok(Threads {
            writer: spawn("saldo-writer", alarm().around(move || writer.run(inbox)))?,
            committer: spawn("saldo-committer", alarm().around(move || committer.run(decided)))?,
            snapshots: spawn("saldo-snapshots", self.snapshots(Arc::clone(&due)))?,
            due,
        })
    }

    fn snapshots(&self, due: Arc<Due>) -> impl FnOnce() + use<> {
        let (disk, store) = (Arc::clone(&self.disk), self.log.store_id());
        let (published, unsealed) = (Arc::clone(&self.published), Arc::clone(&self.unsealed));
        move || {
            while due.wait() {
                if let Err(error) = snapshot::write(&*disk, &store, &published, &unsealed) {
                    tracing::warn!(%error, "no snapshot was written; opening will take longer");
                }
            }
        }
    }
}

impl Threads {
    /// Waits until what was taken is finished; gives the planner back for the closing frame.
    fn join(self) -> Result<Planner, StoreError> {
        self.due.stop();
        // All of them, whatever became of one: then nothing works on the folder any more.
        let (snapshots, writer, committer) =
            (self.snapshots.join(), self.writer.join(), self.committer.join());
        let ended = |what: &str| StoreError::Closed(format!("{what} ended badly"));
        let planner = writer.map_err(|_| ended("the writer"))?;
        committer.map_err(|_| ended("the committer"))?;
        snapshots.map_err(|_| ended("the snapshot thread"))?;
        Ok(planner)
    }
}

impl Running {
    fn close(self) -> Result<(), StoreError> {
        let planner = self.threads.join()?;
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Closed("a write or sync failed before".into()));
        }
        let store = self.log.store_id();
        if let Err(error) = snapshot::write(&*self.disk, &store, &self.published, &self.unsealed) {
            tracing::warn!(%error, "no snapshot was written; opening will take longer");
        }
        let log = Arc::into_inner(self.log).expect("its threads have ended");
        let closed = log.close(planner, (self.clock)().0);
        closed
            .map(|_| ())
            .map_err(|error| StoreError::Closed(error.to_string()))
    }
}

impl Drop for JournalStore {
    /// Without a clean stop: what was taken is finished, and the next opening replays.
    fn drop(&mut self) {
        self.submitter.get_mut().take();
        if let Some(running) = self.running.get_mut().take() {
            let _ = running.threads.join();
        }
    }
}

/// Says so when its thread panics: half a batch may be decided or shown, and nobody takes commands any more.
struct Alarm(OnFatal);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)("a thread of the store panicked");
        }
    }
}

impl Alarm {
    fn around<T>(self, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        move || {
            let _alarm = self;
            work()
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OpenError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|error| OpenError::Disk(crate::log::DiskError::from_io("starting", name, error)))
}
