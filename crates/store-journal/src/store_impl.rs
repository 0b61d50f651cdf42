//! The store: its tasks, and how it starts and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::{BookNo, Micros, Position};
use parking_lot::{Mutex, RwLock};
use store::StoreError;
use store::gather::{Inbox, Submitter, queue};
use store::meter::Meter;
use tokio::sync::{mpsc, watch};

use crate::committer::{Committer, Unsealed, Watchers};
use crate::index::Hasher;
use crate::log::{Disk, KeyTable, Log, Planner, Recovery, Span};
use crate::open::{OpenError, Opened, Options, open};
use crate::reads::View;
use crate::signing::Signing;
use crate::snapshot::{self, Due};
use crate::tables::Published;
use crate::task::{EndedBadly, Spawn, Task, Threads, block_on};
use crate::vault::Vault;
use crate::writer::Writer;

/// How long a reader waits for a position.
const REACH: Duration = Duration::from_secs(1);

/// A store in a folder: the journal on the disk, the rows in memory.
pub struct JournalStore {
    pub(crate) view: View,
    pub(crate) signing: Arc<Signing>,
    pub(crate) vault: Arc<Vault>,
    watchers: Arc<Watchers>,
    submitter: Mutex<Option<Submitter>>,
    /// Held while it is being closed, so that who closes it again waits too.
    running: tokio::sync::Mutex<Option<Running>>,
    recovery: Recovery,
}

pub(crate) type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

pub(crate) struct Tasks {
    writer: Task<Planner>,
    committer: Task<()>,
    ahead: Task<()>,
    snapshots: Task<()>,
    due: Arc<Due>,
}

/// What is needed to stop.
pub(crate) struct Running {
    tasks: Tasks,
    vault: Arc<Vault>,
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
        let recovery = opened.recovery.clone();
        let spawn: Arc<dyn Spawn> = Arc::new(Threads);
        let watchers = Arc::new(Watchers::new());
        let started = start(disk, options, opened, Arc::clone(&watchers), spawn)?;
        let Started {
            view,
            submitter,
            vault,
            signing,
            running,
        } = started;
        Ok(Self {
            view,
            signing,
            vault,
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
        self.signing.close();
        let mut place = self.running.lock().await;
        let Some(running) = place.take() else {
            return Ok(());
        };
        // Not on this thread: whoever submitted keeps the queue open until they have taken their answer, perhaps here.
        let ended = tokio::task::spawn_blocking(move || block_on(running.close())).await;
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

/// A store whose tasks run.
pub(crate) struct Started {
    /// What readers need.
    pub(crate) view: View,
    /// Where commands go.
    pub(crate) submitter: Submitter,
    pub(crate) vault: Arc<Vault>,
    pub(crate) signing: Arc<Signing>,
    /// What stops it.
    pub(crate) running: Running,
}

/// Starts the tasks of a store that was opened.
pub(crate) fn start(
    disk: Arc<dyn Disk>,
    options: Options,
    mut opened: Opened,
    watchers: Arc<Watchers>,
    spawn: Arc<dyn Spawn>,
) -> Result<Started, OpenError> {
    let (submitter, inbox) = queue(options.queue);
    let (store, found) = (opened.log.store_id(), std::mem::take(&mut opened.vault));
    let signing_keys = opened.signing_keys.take();
    let shared = Shared::new(disk, &options, opened, spawn);
    let (disk, on_fatal) = (Arc::clone(&shared.disk), Arc::clone(&shared.on_fatal));
    let now = (options.clock)();
    let signing = Signing::open(Arc::clone(&disk), signing_keys, now, Arc::clone(&on_fatal))?;
    let vault = Arc::new(Vault::start(disk, store, found, on_fatal, &*shared.spawn)?);
    let tasks = shared.start(inbox, watchers, &options)?;
    let Shared {
        log,
        disk,
        published,
        unsealed,
        keys,
        hasher,
        failed,
        meter,
        ..
    } = shared;
    let view = View {
        published: Arc::clone(&published),
        keys,
        hasher,
        reader: log.reader(),
        clock: Arc::clone(&options.clock),
        meter,
    };
    let running = Running {
        tasks,
        vault: Arc::clone(&vault),
        log,
        disk,
        published,
        unsealed,
        failed,
        clock: options.clock,
    };
    Ok(Started {
        view,
        submitter,
        vault,
        signing,
        running,
    })
}

/// What the tasks work on together.
struct Shared {
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    published: Arc<RwLock<Published>>,
    unsealed: Arc<Mutex<Unsealed>>,
    keys: Arc<KeyTable>,
    hasher: Hasher,
    failed: Arc<AtomicBool>,
    on_fatal: OnFatal,
    spawn: Arc<dyn Spawn>,
    meter: Arc<Meter>,
}

impl Shared {
    fn new(disk: Arc<dyn Disk>, options: &Options, opened: Opened, spawn: Arc<dyn Spawn>) -> Self {
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
            spawn,
            meter: Arc::default(),
        }
    }

    fn start(&self, inbox: Inbox, watchers: Arc<Watchers>, options: &Options) -> Result<Tasks, OpenError> {
        // One batch may wait while another is written; the third is being decided.
        let (batches, decided) = mpsc::channel(1);
        let (spare, spares) = std::sync::mpsc::channel();
        let (ahead, filling) = mpsc::unbounded_channel();
        let (done, published) = watch::channel(0);
        let due = Arc::new(Due::every(options.snapshot_every));
        let writer = Writer::new(
            self.published.read().tables.clone(),
            Arc::clone(&self.log),
            Arc::clone(&self.keys),
            self.hasher,
            Arc::clone(&options.clock),
            published,
            batches,
            ahead,
            spares,
            options.cut_at,
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
            spawn: Arc::clone(&self.spawn),
            meter: Arc::clone(&self.meter),
            digests: self.published.read().digests.clone(),
        };
        let alarm = || Alarm(Arc::clone(&self.on_fatal));
        Ok(Tasks {
            writer: Task::start(&*self.spawn, "saldo-writer", alarm().around(writer.run(inbox)))?,
            committer: Task::start(
                &*self.spawn,
                "saldo-committer",
                alarm().around(committer.run(decided)),
            )?,
            ahead: Task::start(&*self.spawn, "saldo-space", self.make_ahead(filling))?,
            snapshots: Task::start(&*self.spawn, "saldo-snapshots", self.snapshots(Arc::clone(&due)))?,
            due,
        })
    }

    /// Makes the next segment while the current one is still being filled.
    fn make_ahead(&self, mut filling: mpsc::UnboundedReceiver<Span>) -> impl Future<Output = ()> + use<> {
        let log = Arc::clone(&self.log);
        async move {
            while let Some(span) = filling.recv().await {
                if let Err(error) = log.prepare(span) {
                    // The writer meets the same error when it really needs the segment, and answers it then.
                    tracing::warn!(%error, "cannot make the next journal segment ahead of time");
                }
            }
        }
    }

    fn snapshots(&self, due: Arc<Due>) -> impl Future<Output = ()> + use<> {
        let (disk, store) = (Arc::clone(&self.disk), self.log.store_id());
        let (published, unsealed) = (Arc::clone(&self.published), Arc::clone(&self.unsealed));
        async move {
            while due.wait().await {
                match snapshot::write(&*disk, &store, &published, &unsealed).await {
                    Ok(bytes) => due.made(bytes),
                    Err(error) => {
                        tracing::warn!(%error, "no snapshot was written; opening will take longer");
                    }
                }
            }
        }
    }
}

impl Tasks {
    /// Waits until what was taken is finished; gives the planner back for the closing frame.
    async fn end(self) -> Result<Planner, StoreError> {
        self.due.stop();
        // All of them, whatever became of one: then nothing works on the folder any more.
        let (snapshots, writer) = (self.snapshots.end().await, self.writer.end().await);
        let (committer, ahead) = (self.committer.end().await, self.ahead.end().await);
        let badly = |what: &'static str| move |EndedBadly| StoreError::Closed(format!("{what} ended badly"));
        let planner = writer.map_err(badly("the writer"))?;
        committer.map_err(badly("the committer"))?;
        ahead.map_err(badly("who makes segments"))?;
        snapshots.map_err(badly("who makes snapshots"))?;
        Ok(planner)
    }
}

impl Running {
    /// Finishes what was taken, once nobody can submit any more; writes a snapshot and a closing frame.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        self.vault.close().await;
        let planner = self.tasks.end().await?;
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Closed("a write or sync failed before".into()));
        }
        let store = self.log.store_id();
        let written = snapshot::write(&*self.disk, &store, &self.published, &self.unsealed).await;
        if let Err(error) = written {
            tracing::warn!(%error, "no snapshot was written; opening will take longer");
        }
        let log = Arc::into_inner(self.log).expect("its tasks have ended");
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
        self.signing.close();
        if let Some(running) = self.running.get_mut().take() {
            let _ = block_on(running.tasks.end());
        }
    }
}

/// Says so when its task panics: half a batch may be decided or shown, and nobody takes commands any more.
pub(crate) struct Alarm(pub(crate) OnFatal);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)("a thread of the store panicked");
        }
    }
}

impl Alarm {
    pub(crate) async fn around<T>(self, work: impl Future<Output = T>) -> T {
        work.await
    }
}
