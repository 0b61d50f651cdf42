//! Snapshots: the published rows in a file, so that opening need not replay the whole journal. Disposable.
//!
//! A snapshot is fuzzy: its chunks are copied one after the other, each under one read lock and stamped with the last
//! frame that was published then. The first chunk of all is the oldest; opening replays the frames after it. A book's
//! register comes before its accounts, so that a replayed record finds what it changes. Book 0 comes first, copied in the
//! same moment in which the books are listed: its records make the others.
//!
//! ```text
//! "SALDOSNP", version u16, store id 16 bytes, then chunks: length u32, CRC32C u32, postcard bytes; the last is `End`
//! ```

use std::sync::Arc;

use ledger::{
    Account, AccountNo, ApiKey, Asset, AssetNo, Balance, BookNo, Client, ClientId, Customer, Head, Hold,
    Owner, Purpose, RateRow,
};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::chains::chain_of;
use crate::committer::Unsealed;
use crate::effective::{Deviation, Deviations};
use crate::log::disk::{Beside, read_whole};
use crate::log::skew::Roots;
use crate::log::{Disk, DiskError, Locator, LogPosition, OpenMode, StoreId};
use crate::milestones::{Milestone, Milestones};
use crate::tables::Published;
use crate::task::pause;

const MAGIC: &[u8; 8] = b"SALDOSNP";
const VERSION: u16 = 5;
const HEADER: usize = 8 + 2 + 16;
/// Accounts are copied so many at a time.
const ACCOUNTS: u32 = 2048;
pub(crate) const ENDING: &str = ".snap";
/// So many snapshots are kept: the newest, and one to fall back on.
const KEPT: usize = 2;

/// A chain's roots, as numbers.
#[derive(Serialize, Deserialize)]
struct SavedRoots {
    count: u64,
    links: Vec<u64>,
}

impl SavedRoots {
    fn of(roots: &Roots<Locator>) -> Self {
        Self {
            count: roots.count(),
            links: roots.links().iter().map(|at| at.get()).collect(),
        }
    }

    fn restore(&self) -> Option<Roots<Locator>> {
        let links: Vec<_> = self.links.iter().copied().map(Locator::new).collect();
        Roots::from_parts(self.count, &links)
    }
}

#[derive(Serialize, Deserialize)]
struct SavedBook {
    stamp: u64,
    no: BookNo,
    root: Option<ClientId>,
    head: Head,
    clients: Vec<Arc<Client>>,
    customers: Vec<Arc<Customer>>,
    api_keys: Vec<Arc<ApiKey>>,
    assets: Vec<Arc<Asset>>,
    rates: Vec<Arc<RateRow>>,
    primaries: Vec<((Owner, Purpose), AccountNo)>,
    holds: Vec<Arc<Hold>>,
    chain: SavedRoots,
    milestones: Vec<Milestone>,
    digest: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct SavedBalance {
    asset: AssetNo,
    balance: Balance,
    chain: SavedRoots,
    marks: Vec<u64>,
    deviations: Vec<Deviation>,
}

#[derive(Serialize, Deserialize)]
enum Chunk {
    /// Where replaying begins: the frame of the oldest chunk (sequence, start, end, hash).
    From(u64, u64, u64, [u8; 16]),
    Book(Box<SavedBook>),
    Accounts {
        stamp: u64,
        book: BookNo,
        first: AccountNo,
        rows: Vec<(Arc<Account>, Vec<SavedBalance>)>,
    },
    /// The pairs of the segment that was being filled, up to the stamp.
    Pairs {
        stamp: u64,
        segment: u32,
        pairs: Vec<(u64, u64)>,
    },
    End,
}

/// What a snapshot gave back, and what it already has of the frames after it.
pub(crate) struct Restored {
    pub(crate) from: LogPosition,
    pub(crate) published: Published,
    stamps: std::collections::HashMap<BookNo, u64>,
    account_stamps: std::collections::HashMap<(BookNo, u32), u64>,
    /// The segment whose pairs are here from its start, the last frame that they cover, and they.
    pub(crate) pairs: (u32, u64, Vec<(u64, Locator)>),
}

impl Restored {
    /// Nothing yet: everything is to be replayed.
    pub(crate) fn nothing(origin: LogPosition) -> Self {
        let (tables, deviations) = (crate::tables::Tables::new(), ledger::Map::default());
        Self {
            from: origin,
            published: Published {
                tables,
                owned: crate::tables::Owned::default(),
                digests: crate::tables::Digests::default(),
                deviations,
                milestones: Milestones::default(),
                log: origin,
            },
            stamps: Default::default(),
            account_stamps: Default::default(),
            pairs: (0, 0, Vec::new()),
        }
    }

    /// Whether the book's rows, other than accounts', already have the frame.
    pub(crate) fn has_book(&self, book: BookNo, sequence: u64) -> bool {
        self.stamps.get(&book).is_some_and(|stamp| sequence <= *stamp)
    }

    /// Whether the account's balances already have the frame.
    pub(crate) fn has_account(&self, book: BookNo, account: AccountNo, sequence: u64) -> bool {
        self.account_stamps
            .get(&(book, account.0 / ACCOUNTS))
            .is_some_and(|stamp| sequence <= *stamp)
    }
}

/// Says when the next snapshot is due: after so many bytes of frames.
pub(crate) struct Due {
    state: Mutex<Written>,
    changed: Notify,
}

/// What was written since the last snapshot.
struct Written {
    bytes: u64,
    /// After so many a snapshot is due, whatever the last one had.
    every: Option<u64>,
    /// How large the last snapshot was.
    last: u64,
    stopped: bool,
}

impl Written {
    fn is_enough(&self) -> bool {
        const USUAL: u64 = 256 << 20;
        self.bytes >= self.every.unwrap_or(USUAL.max(self.last))
    }
}

impl Due {
    pub(crate) fn every(bytes: Option<u64>) -> Self {
        let written = Written {
            bytes: 0,
            every: bytes,
            last: 0,
            stopped: false,
        };
        Self {
            state: Mutex::new(written),
            changed: Notify::new(),
        }
    }

    /// So many bytes more were written.
    pub(crate) fn wrote(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.bytes += bytes;
        if state.is_enough() {
            self.changed.notify_one();
        }
    }

    /// A snapshot of so many bytes was made.
    pub(crate) fn made(&self, bytes: u64) {
        self.state.lock().last = bytes;
    }

    /// No snapshot is due any more.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Waits until one is due; false when there will be none.
    pub(crate) async fn wait(&self) -> bool {
        loop {
            {
                let mut written = self.state.lock();
                if written.stopped || written.is_enough() {
                    written.bytes = 0;
                    return !written.stopped;
                }
            }
            self.changed.notified().await;
        }
    }
}

struct Sink<'a> {
    file: Beside<'a>,
    bytes: Vec<u8>,
    written: u64,
}

impl Sink<'_> {
    fn put(&mut self, chunk: &Chunk) -> Result<(), DiskError> {
        self.bytes.clear();
        self.bytes.resize(8, 0);
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(chunk, bytes).expect("rows always serialize into memory");
        let length = u32::try_from(self.bytes.len() - 8).expect("a chunk is far below 4 GiB");
        let crc = crc32c::crc32c(&self.bytes[8..]);
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        self.written += self.bytes.len() as u64;
        self.file.write(&self.bytes)
    }
}

fn name_of(sequence: u64) -> String {
    format!("{sequence:020}{ENDING}")
}

/// The snapshots of a store, the newest first.
pub(crate) fn list(disk: &dyn Disk) -> Result<Vec<String>, DiskError> {
    let mut names: Vec<_> = disk
        .list()?
        .into_iter()
        .filter(|name| name.ends_with(ENDING))
        .collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Writes a snapshot while the store goes on, and removes those that are too old. Answers how many bytes it has.
pub(crate) async fn write(
    disk: &dyn Disk,
    store: &StoreId,
    published: &RwLock<Published>,
    unsealed: &Mutex<Unsealed>,
) -> Result<u64, DiskError> {
    let (from, books, mut operator) = {
        let published = published.read();
        let mut books: Vec<_> = published.tables.state.books().map(|book| book.no).collect();
        books.sort_unstable();
        (published.log, books, save_book(&published, BookNo::OPERATOR))
    };
    let name = name_of(from.sequence);
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(store);
    let mut sink = Sink {
        file: Beside::create(disk, &name)?,
        bytes: Vec::new(),
        written: header.len() as u64,
    };
    sink.file.write(&header)?;
    sink.put(&Chunk::From(
        from.sequence,
        from.start.get(),
        from.end.get(),
        from.hash,
    ))?;
    for no in books {
        pause().await;
        let book = operator.take().or_else(|| save_book(&published.read(), no));
        let book = book.expect("a book is never removed");
        let accounts = book.head.accounts;
        sink.put(&Chunk::Book(Box::new(book)))?;
        for first in (0..accounts).step_by(ACCOUNTS as usize) {
            pause().await;
            let chunk = save_accounts(&published.read(), no, AccountNo(first));
            sink.put(&chunk)?;
        }
    }
    pause().await;
    let (stamp, segment, pairs) = {
        // No longer than it takes to copy them: the committer waits meanwhile.
        let unsealed = unsealed.lock();
        (unsealed.sequence, unsealed.segment, unsealed.pairs.clone())
    };
    let pairs = pairs.into_vec().into_iter();
    sink.put(&Chunk::Pairs {
        stamp,
        segment,
        pairs: pairs.map(|(hash, at)| (hash, at.get())).collect(),
    })?;
    sink.put(&Chunk::End)?;
    pause().await;
    let written = sink.written;
    sink.file.commit()?;
    for old in list(disk)?.into_iter().skip(KEPT) {
        disk.remove(&old)?;
    }
    Ok(written)
}

fn save_book(published: &Published, no: BookNo) -> Option<SavedBook> {
    let book = published.tables.state.book(no)?;
    let chain = published.tables.books.get(&book.no).cloned().unwrap_or_default();
    let rows = |ids: &[ClientId]| {
        ids.iter()
            .filter_map(|id| book.clients.peek(id).cloned())
            .collect()
    };
    Some(SavedBook {
        stamp: published.log.sequence,
        no: book.no,
        root: book.root,
        head: book.head,
        clients: rows(&book.client_list),
        customers: book
            .customer_list
            .iter()
            .filter_map(|id| book.customers.peek(id).cloned())
            .collect(),
        api_keys: book
            .api_key_list
            .iter()
            .filter_map(|id| book.api_keys.peek(id).cloned())
            .collect(),
        assets: book.assets.iter().map(|(_, asset)| Arc::clone(asset)).collect(),
        rates: book.rate_list.clone(),
        primaries: book.primaries.iter().map(|(place, no)| (*place, *no)).collect(),
        holds: book.holds.iter().map(|(_, hold)| Arc::clone(hold)).collect(),
        chain: SavedRoots::of(&chain),
        milestones: published.milestones.of(book.no).to_vec(),
        digest: published.digests.of(book.no),
    })
}

fn save_accounts(published: &Published, book: BookNo, first: AccountNo) -> Chunk {
    let rows = published.tables.state.book(book);
    let slots = rows
        .into_iter()
        .flat_map(|book| (first.0..first.0 + ACCOUNTS).map_while(|no| book.slots.get(AccountNo(no))));
    let rows = slots
        .map(|slot| {
            let balances = slot.balances.iter().map(|(asset, balance)| {
                let key = (book, (slot.account.no, asset));
                let chain = published
                    .tables
                    .chains
                    .get(key.0, key.1)
                    .cloned()
                    .unwrap_or_default();
                let deviations = published.deviations.get(&key).map(|all| all.entries().to_vec());
                SavedBalance {
                    asset,
                    balance,
                    chain: SavedRoots::of(&chain),
                    marks: published
                        .milestones
                        .of_chain(key)
                        .iter()
                        .map(|at| at.get())
                        .collect(),
                    deviations: deviations.unwrap_or_default(),
                }
            });
            (Arc::clone(&slot.account), balances.collect())
        })
        .collect();
    Chunk::Accounts {
        stamp: published.log.sequence,
        book,
        first,
        rows,
    }
}

/// The bytes behind the head of a snapshot of this store.
fn body<'a>(bytes: &'a [u8], store: &StoreId) -> Option<&'a [u8]> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let ours = &header[..8] == MAGIC && header[8..10] == VERSION.to_le_bytes() && header[10..] == *store;
    ours.then_some(body)
}

/// The first chunk, and what is behind it.
fn next_chunk(rest: &[u8]) -> Option<(Chunk, &[u8])> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (crc, tail) = tail.split_first_chunk::<4>()?;
    let (body, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, tail))
}

/// The frame from which on opening replays with a snapshot. `None` when its beginning is not whole.
pub(crate) fn position(disk: &dyn Disk, store: &StoreId, name: &str) -> Option<LogPosition> {
    let mut bytes = [0; 256];
    let file = disk.open(name, OpenMode::Existing).ok()?;
    let read = file.read_at(&mut bytes, 0).ok()?;
    match next_chunk(body(&bytes[..read], store)?)?.0 {
        Chunk::From(sequence, start, end, hash) => Some(LogPosition {
            sequence,
            start: Locator::new(start),
            end: Locator::new(end),
            hash,
        }),
        _ => None,
    }
}

/// Reads a snapshot back. An error when it is not whole: then an older one, or the whole journal, serves.
pub(crate) fn read(
    disk: &dyn Disk,
    store: &StoreId,
    name: &str,
    origin: LogPosition,
) -> Result<Restored, String> {
    let bytes = read_whole(disk, name).map_err(|error| error.to_string())?;
    let mut rest = body(&bytes, store).ok_or("byte 0: it is of another version or store, or damaged")?;
    let mut restored = Restored::nothing(origin);
    loop {
        let at = bytes.len() - rest.len();
        let (chunk, tail) = next_chunk(rest).ok_or_else(|| {
            format!("byte {at}: the chunk there is cut off, or does not match its checksum")
        })?;
        rest = tail;
        let taken = match chunk {
            Chunk::End if rest.is_empty() => return Ok(restored),
            Chunk::End => None,
            chunk => restored.take(chunk),
        };
        taken.ok_or_else(|| format!("byte {at}: the chunk there does not fit those before it"))?;
    }
}

impl Restored {
    fn take(&mut self, chunk: Chunk) -> Option<()> {
        match chunk {
            Chunk::From(sequence, start, end, hash) => {
                let (start, end) = (Locator::new(start), Locator::new(end));
                self.from = LogPosition {
                    sequence,
                    start,
                    end,
                    hash,
                };
                self.published.log = self.from;
            }
            Chunk::Book(saved) => restore_book(self, *saved)?,
            Chunk::Accounts {
                stamp,
                book,
                first,
                rows,
            } => {
                self.account_stamps.insert((book, first.0 / ACCOUNTS), stamp);
                restore_accounts(&mut self.published, book, rows)?;
            }
            Chunk::Pairs {
                stamp,
                segment,
                pairs,
            } => {
                let pairs = pairs
                    .into_iter()
                    .map(|(hash, at)| (hash, Locator::new(at)))
                    .collect();
                self.pairs = (segment, stamp, pairs);
            }
            Chunk::End => {}
        }
        Some(())
    }
}

fn restore_book(restored: &mut Restored, saved: SavedBook) -> Option<()> {
    restored.stamps.insert(saved.no, saved.stamp);
    let tables = &mut restored.published.tables;
    let book = tables.state.book_mut(saved.no);
    book.root = saved.root;
    book.head = saved.head;
    for client in saved.clients {
        book.client_list.push(client.id);
        book.clients.put(client.id, Some(client));
    }
    for customer in saved.customers {
        book.customer_list.push(customer.id);
        book.numbers.put(customer.number, Some(customer.id));
        book.customers.put(customer.id, Some(customer));
    }
    for key in saved.api_keys {
        book.api_key_list.push(key.id);
        book.api_keys.put(key.id, Some(key));
    }
    for asset in saved.assets {
        book.put_asset(Asset::clone(&asset));
    }
    for rate in saved.rates {
        book.put_rate(RateRow::clone(&rate));
    }
    for (place, no) in saved.primaries {
        book.primaries.put(place, Some(no));
    }
    for hold in saved.holds {
        book.put_hold(Hold::clone(&hold));
    }
    tables.books.insert(saved.no, saved.chain.restore()?);
    restored.published.milestones.put(saved.no, saved.milestones);
    restored.published.digests.put(saved.no, saved.digest);
    Some(())
}

fn restore_accounts(
    published: &mut Published,
    no: BookNo,
    rows: Vec<(Arc<Account>, Vec<SavedBalance>)>,
) -> Option<()> {
    for (account, balances) in rows {
        let account_no = account.no;
        published.owned.put(no, account.owner, account_no);
        published.tables.state.book_mut(no).put_account(account);
        for saved in balances {
            let key = (no, (account_no, saved.asset));
            *chain_of(published.tables.chains.of_mut(no), key.1) = saved.chain.restore()?;
            let marks = saved.marks.into_iter().map(Locator::new).collect();
            published.milestones.put_chain(key, marks);
            if !saved.deviations.is_empty() {
                published
                    .deviations
                    .insert(key, Deviations::from_entries(saved.deviations));
            }
            let book = published.tables.state.book_mut(no);
            let slot = book.slots.get_mut(account_no)?;
            slot.balances.put(saved.asset, saved.balance);
        }
    }
    Some(())
}
