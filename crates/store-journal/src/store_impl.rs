//! The store: its threads, and how it starts and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ledger::{BookNo, Position};
use parking_lot::{Mutex, RwLock};
use store::StoreError;
use store::gather::{Submitter, queue};
use tokio::sync::mpsc;

use crate::committer::{Committer, Unsealed, Watchers};
use crate::log::{Disk, Log, Planner, Recovery};
use crate::open::{OpenError, Opened, Options, open};
use crate::reads::View;
use crate::snapshot::{self, Due};
use crate::writer::Writer;

/// How long a reader waits for a position.
const REACH: Duration = Duration::from_secs(1);

/// A store in a folder: the journal on the disk, the rows in memory.
pub struct JournalStore {
    pub(crate) view: View,
    pub(crate) signing_key: [u8; 32],
    watchers: Arc<Watchers>,
    submitter: Mutex<Option<Submitter>>,
    threads: Mutex<Option<Threads>>,
    recovery: Recovery,
}

struct Threads {
    writer: JoinHandle<Planner>,
    committer: JoinHandle<()>,
    snapshots: JoinHandle<()>,
    due: Arc<Due>,
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    unsealed: Arc<Mutex<Unsealed>>,
    failed: Arc<AtomicBool>,
    options: Options,
}

impl JournalStore {
    /// Opens the store on a disk. `place` is how messages call it.
    ///
    /// # Errors
    /// There is none, another process has it, it is damaged, or the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: Options, place: &str) -> Result<Self, OpenError> {
        let Opened {
            log,
            published,
            keys,
            hasher,
            unsealed,
            signing_key,
            recovery,
        } = open(&disk, &options, place)?;
        let log = Arc::new(log);
        let reader = log.reader();
        let keys = Arc::new(keys);
        let tables = published.tables.clone();
        let sequence = published.log.sequence;
        let published = Arc::new(RwLock::new(published));
        let unsealed = Unsealed {
            segment: unsealed.0,
            pairs: unsealed.1,
            sequence,
        };
        let unsealed = Arc::new(Mutex::new(unsealed));
        let (watchers, failed) = (Arc::new(Watchers::new()), Arc::new(AtomicBool::new(false)));
        let (submitter, inbox) = queue(options.queue);
        // One batch may wait while another is written; the third is being decided.
        let (batches, decided) = mpsc::channel(1);
        let (spare, spares) = std::sync::mpsc::channel();
        let (done, due) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(Due::every(options.snapshot_every)),
        );
        let on_fatal: Arc<dyn Fn(&str) + Send + Sync> = {
            let (failed, outer) = (Arc::clone(&failed), Arc::clone(&options.on_fatal));
            Arc::new(move |why: &str| {
                failed.store(true, Ordering::Release);
                outer(why);
            })
        };
        let committer = Committer {
            log: Arc::clone(&log),
            disk: Arc::clone(&disk),
            keys: Arc::clone(&keys),
            published: Arc::clone(&published),
            unsealed: Arc::clone(&unsealed),
            watchers: Arc::clone(&watchers),
            done: Arc::clone(&done),
            spare,
            on_fatal,
            snapshots: Arc::clone(&due),
        };
        let (clock, reading) = (Arc::clone(&options.clock), Arc::clone(&options.clock));
        let writer = Writer::new(
            tables,
            Arc::clone(&log),
            Arc::clone(&keys),
            hasher,
            clock,
            done,
            batches,
            spares,
        );
        let snapshots = {
            let (due, disk, store) = (Arc::clone(&due), Arc::clone(&disk), log.store_id());
            let (published, unsealed) = (Arc::clone(&published), Arc::clone(&unsealed));
            move || {
                while due.wait() {
                    if let Err(error) = snapshot::write(&*disk, &store, &published, &unsealed) {
                        tracing::warn!(%error, "no snapshot was written; opening will take longer");
                    }
                }
            }
        };
        let threads = Threads {
            writer: spawn("saldo-writer", move || writer.run(inbox))?,
            committer: spawn("saldo-committer", move || committer.run(decided))?,
            snapshots: spawn("saldo-snapshots", snapshots)?,
            due,
            log,
            disk,
            unsealed,
            failed,
            options,
        };
        Ok(Self {
            view: View {
                published,
                keys,
                hasher,
                reader,
                clock: reading,
            },
            signing_key,
            watchers,
            submitter: Mutex::new(Some(submitter)),
            threads: Mutex::new(Some(threads)),
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

    /// Takes nothing any more, finishes what waits, writes a snapshot and a closing frame. Blocks.
    pub(crate) fn close_now(&self) -> Result<(), StoreError> {
        self.submitter.lock().take();
        let Some(threads) = self.threads.lock().take() else {
            return Ok(());
        };
        let ended = |what: &str| StoreError::Closed(format!("{what} ended badly"));
        threads.due.stop();
        threads
            .snapshots
            .join()
            .map_err(|_| ended("the snapshot thread"))?;
        let planner = threads.writer.join().map_err(|_| ended("the writer"))?;
        threads.committer.join().map_err(|_| ended("the committer"))?;
        if threads.failed.load(Ordering::Acquire) {
            return Err(StoreError::Closed("a write or sync failed before".into()));
        }
        let store = threads.log.store_id();
        if let Err(error) = snapshot::write(&*threads.disk, &store, &self.view.published, &threads.unsealed) {
            tracing::warn!(%error, "no snapshot was written; opening will take longer");
        }
        let log = Arc::into_inner(threads.log).expect("its threads have ended");
        let closed = log.close(planner, (threads.options.clock)().0);
        closed
            .map(|_| ())
            .map_err(|error| StoreError::Closed(error.to_string()))
    }

    /// Waits until the book is at `position`.
    pub(crate) async fn reach_position(&self, book: BookNo, position: Position) -> Result<(), StoreError> {
        let mut watch = self.watchers.watch(book);
        let reached = || {
            self.view
                .published
                .read()
                .tables
                .state
                .book(book)
                .map_or(Position(0), |b| b.head.position)
        };
        let wait = async {
            while reached() < position {
                if watch.changed().await.is_err() {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(REACH, wait).await;
        let reached = reached();
        if in_time.is_ok() && reached >= position {
            Ok(())
        } else {
            Err(StoreError::PositionNotReached {
                wanted: position,
                reached,
            })
        }
    }
}

impl Drop for JournalStore {
    /// Without a clean stop: what was taken is finished, and the next opening replays.
    fn drop(&mut self) {
        self.submitter.lock().take();
        if let Some(threads) = self.threads.lock().take() {
            threads.due.stop();
            let _ = threads.snapshots.join();
            let _ = threads.writer.join();
            let _ = threads.committer.join();
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
