//! The keys of texts: in a file of their own, which, unlike the journal, forgets.
//!
//! `texts.vault` begins with a header of 32 bytes: magic "SALDOVLT", version u16, two zeros, store id, CRC32C of those. Then come
//! groups, each written only after the one before is synced:
//!
//! ```text
//! 0   4  how many entries, from 1
//! 4   4  CRC32C of the group's offset (u64), the count and the entries
//! 8      entries: subject (16 bytes, big-endian), key (32 bytes)
//! ```
//!
//! What waits while a group is being synced shares the next one. To forget a key, all others are written to a new file that
//! takes the place of the old one. All keys are in memory, so that reading a name never waits.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use ledger::Subject;
use parking_lot::{Mutex, RwLock};
use store::{StoreError, TextKey};
use tokio::sync::{mpsc, oneshot};

use crate::log::disk::{read_whole, replace_whole, write_whole};
use crate::log::{Disk, DiskError, Log, OpenMode, StoreId};
use crate::open::OpenError;
use crate::store_impl::{Alarm, OnFatal};
use crate::task::{Spawn, Task, block_on};

/// The file.
pub(crate) const NAME: &str = "texts.vault";
const MAGIC: &[u8; 8] = b"SALDOVLT";
const VERSION: u16 = 1;
const HEADER: usize = 32;
const ENTRY: usize = 48;
/// The most entries of a group.
const MOST: usize = 4096;
/// So many may wait.
const QUEUE: usize = 65_536;

pub(crate) type Keys = BTreeMap<Subject, TextKey>;
type Kept = Result<Vec<TextKey>, StoreError>;

/// Keys to be kept, and who waits for that.
type Waiting = (Vec<(Subject, TextKey)>, oneshot::Sender<Kept>);

enum Order {
    Keep(Waiting),
    Forget(Subject, oneshot::Sender<Result<(), StoreError>>),
}

/// The vault of an open store.
pub(crate) struct Vault {
    keys: Arc<RwLock<Keys>>,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    task: Mutex<Option<Task<()>>>,
}

/// The bytes of a new vault.
pub(crate) fn create(disk: &dyn Disk, store: &StoreId) -> Result<(), DiskError> {
    write_whole(disk, NAME, &header(store))
}

pub(crate) fn header(store: &StoreId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(store);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn put_group(bytes: &mut Vec<u8>, offset: u64, entries: &[(Subject, TextKey)]) {
    let count = u32::try_from(entries.len()).expect("a group is small");
    let start = bytes.len();
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    for (subject, key) in entries {
        bytes.extend_from_slice(&subject.0.to_be_bytes());
        bytes.extend_from_slice(&key.0);
    }
    let sum = checksum(offset, count, &bytes[start + 8..]);
    bytes[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(offset: u64, count: u32, entries: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &count.to_le_bytes()), entries)
}

/// The whole group at `offset`, if there is one: its entries' bytes.
fn group(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let (head, rest) = bytes.get(offset..)?.split_first_chunk::<8>()?;
    let [c0, c1, c2, c3, s0, s1, s2, s3] = *head;
    let count = u32::from_le_bytes([c0, c1, c2, c3]);
    if count == 0 || count as usize > MOST {
        return None;
    }
    let entries = rest.get(..count as usize * ENTRY)?;
    let sum = checksum(offset as u64, count, entries);
    (sum == u32::from_le_bytes([s0, s1, s2, s3])).then_some(entries)
}

/// The whole groups, each with its place.
fn groups(bytes: &[u8]) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let entries = group(bytes, at)?;
        let place = at..at + 8 + entries.len();
        at = place.end;
        Some((place, entries))
    })
}

/// Where the last whole group is; without any, what is behind the header.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn last_group(bytes: &[u8]) -> Range<usize> {
    groups(bytes).last().map_or(HEADER..HEADER, |(place, _)| place)
}

fn entry(bytes: &[u8]) -> (Subject, TextKey) {
    let (subject, key) = bytes.split_at(16);
    let subject = u128::from_be_bytes(subject.try_into().expect("16 bytes"));
    (
        Subject(subject),
        TextKey(key.try_into().expect("an entry has 48 bytes")),
    )
}

fn unusable(why: &str) -> OpenError {
    OpenError::Vault(format!(
        "{NAME}, which keeps the keys of names, labels and references, {why}; restore it from its backup"
    ))
}

/// What the file holds.
struct Content {
    keys: Keys,
    bytes: Vec<u8>,
    /// Where the last whole group is, if there is one: what comes after it is a write that was cut off.
    last: Range<usize>,
}

fn read(disk: &dyn Disk, store: &StoreId) -> Result<Content, OpenError> {
    let bytes = match read_whole(disk, NAME) {
        Err(DiskError::NotFound { .. }) => return Err(unusable("is not there")),
        other => other?,
    };
    let expected = header(store);
    match bytes.get(..HEADER) {
        Some(found) if found == expected => {}
        Some(found) if found[..8] == expected[..8] && found[8..12] != expected[8..12] => {
            return Err(unusable("is of a version that this program does not know"));
        }
        Some(found) if found[..12] == expected[..12] && found[12..28] != expected[12..28] => {
            return Err(unusable("belongs to another store"));
        }
        _ => return Err(unusable("is damaged at its head")),
    }
    let (mut keys, mut last) = (Keys::new(), HEADER..HEADER);
    for (place, entries) in groups(&bytes) {
        keys.extend(entries.chunks_exact(ENTRY).map(entry));
        last = place;
    }
    let at = last.end;
    // As in the journal: a bad group is a write that was cut off exactly when no good one follows.
    if let Some(later) = (at + 1..bytes.len()).find(|later| group(&bytes, *later).is_some()) {
        return Err(unusable(&format!("is damaged between bytes {at} and {later}")));
    }
    Ok(Content { keys, bytes, last })
}

/// A vault that was read and is as durable as it reads.
#[derive(Default)]
pub(crate) struct Found {
    keys: Keys,
    end: u64,
}

/// Reads the vault of a store that nobody else has open.
///
/// Its last group may be one whose sync failed: then it can be read, and the disk may not have it. So it is written once more,
/// and the folder is synced, before anybody relies on it. What was cut off behind it is removed.
pub(crate) fn open(disk: &dyn Disk, store: &StoreId) -> Result<Found, OpenError> {
    let Content { keys, bytes, last } = read(disk, store)?;
    let file = disk.open(NAME, OpenMode::Existing)?;
    file.write_at(&bytes[last.clone()], last.start as u64)?;
    file.sync_data()?;
    disk.sync_dir()?;
    if last.end < bytes.len() {
        let cut = bytes.len() - last.end;
        tracing::warn!(bytes = cut, "an incomplete last write to {NAME} was cut off");
        match write_whole(disk, NAME, &bytes[..last.end]) {
            // What is kept next is written over it.
            Ok(()) | Err(DiskError::NoSpace { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Found {
        keys,
        end: last.end as u64,
    })
}

/// The keys of texts of the store on a disk, which a server may have open.
///
/// # Errors
/// There is no store, or its vault can't be read.
pub fn text_keys(disk: &dyn Disk) -> Result<Vec<(Subject, TextKey)>, OpenError> {
    let (store, _) = Log::identify(disk).map_err(OpenError::Log)?;
    Ok(text_keys_of(disk, &store)?.into_iter().collect())
}

/// The vault of the store on a disk as a file of its own, without what was forgotten. A server may have the store open.
///
/// # Errors
/// There is no store, or its vault can't be read.
pub fn vault_copy(disk: &dyn Disk) -> Result<Vec<u8>, OpenError> {
    let (store, _) = Log::identify(disk).map_err(OpenError::Log)?;
    Ok(whole(&store, &text_keys_of(disk, &store)?))
}

/// A whole vault with these keys.
fn whole(store: &StoreId, keys: &Keys) -> Vec<u8> {
    let mut bytes = header(store);
    let all: Vec<_> = keys.iter().map(|(subject, key)| (*subject, *key)).collect();
    for some in all.chunks(MOST) {
        let offset = bytes.len() as u64;
        put_group(&mut bytes, offset, some);
    }
    bytes
}

/// The keys of texts of a store of this id.
pub(crate) fn text_keys_of(disk: &dyn Disk, store: &StoreId) -> Result<Keys, OpenError> {
    Ok(read(disk, store)?.keys)
}

/// The side that writes.
struct Writer {
    disk: Arc<dyn Disk>,
    store: StoreId,
    keys: Arc<RwLock<Keys>>,
    /// The length of the file.
    end: u64,
    on_fatal: OnFatal,
}

impl Vault {
    /// Starts the task that writes.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        store: StoreId,
        found: Found,
        on_fatal: OnFatal,
        spawn: &dyn Spawn,
    ) -> Result<Self, OpenError> {
        let keys = Arc::new(RwLock::new(found.keys));
        let alarm = Alarm(Arc::clone(&on_fatal));
        let writer = Writer {
            disk,
            store,
            keys: Arc::clone(&keys),
            end: found.end,
            on_fatal,
        };
        let (orders, inbox) = mpsc::channel(QUEUE);
        let task = Task::start(spawn, "saldo-vault", alarm.around(writer.run(inbox)))?;
        Ok(Self {
            keys,
            orders: Mutex::new(Some(orders)),
            task: Mutex::new(Some(task)),
        })
    }

    pub(crate) fn get(&self, subjects: &[Subject]) -> Vec<Option<TextKey>> {
        let keys = self.keys.read();
        subjects
            .iter()
            .map(|subject| keys.get(subject).copied())
            .collect()
    }

    pub(crate) fn all(&self, after: Option<Subject>, limit: usize) -> Vec<(Subject, TextKey)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.keys.read();
        let behind = keys.range((from, Bound::Unbounded)).take(limit);
        behind.map(|(subject, key)| (*subject, *key)).collect()
    }

    pub(crate) async fn keep(&self, new: Vec<(Subject, TextKey)>) -> Kept {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.order(|reply| Order::Keep((new, reply))).await
    }

    pub(crate) async fn forget(&self, subject: Subject) -> Result<(), StoreError> {
        self.order(|reply| Order::Forget(subject, reply)).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Closed("it takes no keys any more".into());
        let orders = self.orders.lock().clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let sent = orders.try_send(order(reply));
        // Whoever waits for the task to end must not wait for this answer to be taken.
        drop(orders);
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answer.await.unwrap_or(Err(StoreError::UnknownFate))
    }

    /// Takes nothing any more, and finishes what was taken.
    pub(crate) async fn close(&self) {
        self.orders.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task {
            // Should it have panicked, nothing is kept any more, which is what was asked for.
            let _ = task.end().await;
        }
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        block_on(self.close());
    }
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        while let Some(first) = inbox.recv().await {
            let (mut keeping, mut next) = (Vec::new(), Some(first));
            while let Some(order) = next {
                match order {
                    Order::Keep(waiting) => keeping.push(waiting),
                    Order::Forget(subject, reply) => {
                        self.keep(std::mem::take(&mut keeping));
                        let _ = reply.send(self.forget(subject));
                    }
                }
                next = inbox.try_recv().ok();
            }
            self.keep(keeping);
        }
    }

    fn keep(&mut self, waiting: Vec<Waiting>) {
        let mut fresh = Keys::new();
        {
            let keys = self.keys.read();
            for (subject, key) in waiting.iter().flat_map(|(new, _)| new) {
                if !keys.contains_key(subject) {
                    fresh.entry(*subject).or_insert(*key);
                }
            }
        }
        let fresh: Vec<_> = fresh.into_iter().collect();
        let done = self.append(&fresh);
        for (new, reply) in waiting {
            let keys = self.keys.read();
            let kept: Option<_> = new
                .iter()
                .map(|(subject, _)| keys.get(subject).copied())
                .collect();
            let failed = || done.clone().err().unwrap_or(StoreError::UnknownFate);
            // Whoever asked may have gone.
            let _ = reply.send(kept.ok_or_else(failed));
        }
    }

    /// Writes keys behind the others. Only when they are synced are they there.
    fn append(&mut self, fresh: &[(Subject, TextKey)]) -> Result<(), StoreError> {
        for fresh in fresh.chunks(MOST) {
            let mut bytes = Vec::with_capacity(8 + fresh.len() * ENTRY);
            put_group(&mut bytes, self.end, fresh);
            let write = || -> Result<(), DiskError> {
                let file = self.disk.open(NAME, OpenMode::Existing)?;
                file.write_at(&bytes, self.end)?;
                file.sync_data()
            };
            write().map_err(|error| self.failed(&error))?;
            self.end += bytes.len() as u64;
            self.keys.write().extend(fresh.iter().copied());
        }
        Ok(())
    }

    fn forget(&mut self, subject: Subject) -> Result<(), StoreError> {
        let Some(key) = self.keys.write().remove(&subject) else {
            return Ok(());
        };
        self.rewrite().map_err(|error| {
            self.keys.write().insert(subject, key);
            self.failed(&error)
        })
    }

    /// Writes all keys to a new file, in place of the old one.
    fn rewrite(&mut self) -> Result<(), DiskError> {
        let bytes = whole(&self.store, &self.keys.read());
        replace_whole(&*self.disk, NAME, &bytes)?;
        self.end = bytes.len() as u64;
        Ok(())
    }

    /// Without space nothing was kept; after any other error nobody knows what was.
    fn failed(&self, error: &DiskError) -> StoreError {
        if matches!(error, DiskError::NoSpace { .. }) {
            return StoreError::NoSpace;
        }
        (self.on_fatal)(&format!("the keys of texts can't be kept: {error}"));
        StoreError::Closed("a write or sync failed before".into())
    }
}
