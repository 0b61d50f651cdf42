//! The committer: one task that writes each frame, syncs it, publishes what is in it, and only then replies.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{BookNo, Map, Micros, Position};
use parking_lot::{Mutex, RwLock};
use store::StoreError;
use store::meter::Meter;
use tokio::sync::{mpsc, watch};

use crate::batch::{Batch, Item};
use crate::index::Pairs;
use crate::log::frame::FrameKind;
use crate::log::run::write_run;
use crate::log::{Disk, FrameBuf, FrameInfo, FrameStart, KeyTable, Log, LogError, LogPosition};
use crate::payload::split;
use crate::snapshot::Due;
use crate::tables::{Digests, Published, Tables};
use crate::task::{Spawn, Task, pause};

/// The pairs of the segment that is being filled; with a sealed segment they become its run.
pub(crate) struct Unsealed {
    /// The segment.
    pub(crate) segment: u32,
    pub(crate) pairs: Pairs,
    /// The last frame whose pairs are here.
    pub(crate) sequence: u64,
}

/// Wakes readers that wait for a position.
pub(crate) struct Watchers {
    senders: Mutex<HashMap<BookNo, watch::Sender<Position>>>,
}

impl Watchers {
    pub(crate) fn new() -> Self {
        Self {
            senders: Mutex::new(HashMap::new()),
        }
    }

    /// The position of a book as it moves; it starts at 0, so look at the book after subscribing.
    pub(crate) fn watch(&self, book: BookNo) -> watch::Receiver<Position> {
        let mut senders = self.senders.lock();
        senders
            .entry(book)
            .or_insert_with(|| watch::channel(Position(0)).0)
            .subscribe()
    }

    fn reached(&self, book: BookNo, position: Position) {
        let mut senders = self.senders.lock();
        if let Some(sender) = senders.get(&book)
            && sender.send(position).is_err()
        {
            // Nobody waits any more.
            senders.remove(&book);
        }
    }
}

/// The committer's task.
pub(crate) struct Committer {
    pub(crate) log: Arc<Log>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) published: Arc<RwLock<Published>>,
    pub(crate) unsealed: Arc<Mutex<Unsealed>>,
    pub(crate) watchers: Arc<Watchers>,
    /// The last batch that is published, for the writer.
    pub(crate) done: watch::Sender<u64>,
    pub(crate) spare: std::sync::mpsc::Sender<Vec<Item>>,
    /// Told when a write or sync failed: what is on the disk is not known any more, so the process has to stop.
    pub(crate) on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    /// Told how many bytes were written, so that a snapshot is made from time to time.
    pub(crate) snapshots: Arc<Due>,
    /// Those who write runs.
    pub(crate) runs: Vec<Task<()>>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) meter: Arc<Meter>,
    /// With what is about to be published.
    pub(crate) digests: Digests,
}

impl Committer {
    /// Commits until the writer is gone or the disk fails.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Batch>) {
        while let Some(batch) = inbox.recv().await {
            if let Err(error) = self.commit(batch).await {
                tracing::error!(%error, "the journal could not be written; the store stops");
                (self.on_fatal)(&error.to_string());
                break;
            }
        }
        // When the lock is free, the next process may make the same files.
        for run in self.runs {
            if run.end().await.is_err() {
                tracing::warn!("a run was not written; opening will read the segment again");
            }
        }
    }

    async fn commit(&mut self, mut batch: Batch) -> Result<(), LogError> {
        if let Some((start, frame)) = batch.frame.take() {
            let (info, position) = match self.write(start, &frame, batch.time).await {
                Ok(done) => done,
                Err(error) => {
                    for (reply, answers) in batch.replies {
                        reply.send(vec![Err(StoreError::UnknownFate); answers.len()]);
                    }
                    return Err(error);
                }
            };
            if let Some(sealed) = info.sealed {
                self.seal(sealed);
            }
            self.publish(&batch.items, &frame, position).await;
            let bytes = frame.lock().frame_len();
            self.snapshots.wrote(bytes);
            self.meter.journal_bytes.add(bytes);
            self.meter.batches.observe(batch.items.len() as u64);
            // Before the writer hears that it is done: then it alone has the frame, and can use it again.
            drop(frame);
        }
        pause().await;
        // The writer may be gone.
        self.done.send_replace(batch.number);
        for (reply, answers) in batch.replies {
            reply.send(answers);
        }
        // To drop what is in them takes time, which this task has and the writer has not. It may be gone.
        batch.items.clear();
        let _ = self.spare.send(batch.items);
        Ok(())
    }

    async fn write(
        &self,
        start: FrameStart,
        frame: &Mutex<FrameBuf>,
        time: Micros,
    ) -> Result<(FrameInfo, LogPosition), LogError> {
        let written = self
            .log
            .write_frame(start, FrameKind::Data, time.0, &mut frame.lock());
        let info = written?;
        pause().await;
        let position = self.log.sync()?;
        pause().await;
        Ok((info, position))
    }

    /// Shows the batch to readers. The writer put its unique keys into the table when it decided, and readers leave out what
    /// lies behind the end that they see. Reading past a newer record takes the names in it, so the keys that repeat move
    /// on in one step with the rows.
    async fn publish(&mut self, items: &[Item], frame: &Mutex<FrameBuf>, position: LogPosition) {
        {
            let mut unsealed = self.unsealed.lock();
            unsealed.sequence = position.sequence;
            for item in items {
                let unique = item.unique.iter().map(|hash| (*hash, item.at));
                unsealed.pairs.unique.extend(unique);
                let repeats = item.repeats.iter().map(|(hash, _)| (*hash, item.at));
                unsealed.pairs.repeats.extend(repeats);
            }
        }
        pause().await;
        {
            let frame = frame.lock();
            debug_assert_eq!(items.len(), frame.count() as usize, "one for each");
            for (item, payload) in items.iter().zip(frame.payloads()) {
                let (_, canonical) = split(payload).expect("the writer put links before the record");
                self.digests.take(item.change.book(), canonical);
            }
        }
        let same_book = |one: &Item, next: &Item| one.change.book() == next.change.book();
        let newest = items.chunk_by(same_book).filter_map(<[Item]>::last);
        let tips: Map<_, _> = newest
            .map(|item| (item.change.book(), item.change.when().0))
            .collect();
        {
            let mut published = self.published.write();
            for (nth, item) in items.iter().enumerate() {
                fetch_ahead(&published.tables, &items[nth..]);
                published.take(&item.change, &item.touched, item.at, |_| false);
                if let Some(account) = &item.account {
                    published.tables.share(item.change.book(), account);
                }
                for (hash, before) in &item.repeats {
                    let replaced = before.is_some_and(|before| self.keys.replace(*hash, before, item.at));
                    if !replaced {
                        self.keys.insert(*hash, item.at);
                    }
                }
            }
            for book in tips.keys() {
                published.digests.put(*book, self.digests.of(*book));
            }
            published.log = position;
        }
        for (book, position) in tips {
            self.watchers.reached(book, position);
        }
    }

    /// Writes the run of a sealed segment, beside the work. Without it, opening reads the segment again.
    fn seal(&mut self, segment: u32) {
        let pairs = {
            let mut unsealed = self.unsealed.lock();
            unsealed.segment = segment + 1;
            std::mem::take(&mut unsealed.pairs)
        };
        let (disk, store) = (Arc::clone(&self.disk), self.log.store_id());
        let write = async move {
            pause().await;
            if let Err(error) = write_run(&*disk, &store, segment, &mut pairs.into_vec()) {
                tracing::warn!(%error, segment, "the run of a sealed segment could not be written");
            }
        };
        self.runs.retain_mut(Task::is_running);
        match Task::start(&*self.spawn, "saldo-run", write) {
            Ok(run) => self.runs.push(run),
            Err(error) => tracing::warn!(%error, segment, "no thread for the run of a sealed segment"),
        }
    }
}

/// Has brought into the caches what the records behind the first of these will change: of one the rows, and of one that is nearer
/// what its rows lead to, once they have come.
fn fetch_ahead(tables: &Tables, items: &[Item]) {
    const NEAR: usize = 8;
    const FAR: usize = 16;
    let ahead = |nth: usize| {
        let item = items.get(nth)?;
        Some((tables.rows(item.change.book())?, &item.touched))
    };
    if let Some((rows, touched)) = ahead(FAR) {
        touched.iter().for_each(|(account, _)| rows.prefetch(*account));
    }
    if let Some((rows, touched)) = ahead(NEAR) {
        touched
            .iter()
            .for_each(|(account, _)| rows.prefetch_links(*account));
    }
}
