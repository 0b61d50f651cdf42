//! Finding records by key or id, and what later records say of them: the same for the writer, who also sees what is in
//! flight, and for readers, who see what is durable.

use std::sync::Arc;

use ledger::{
    Action, BookNo, ClientId, Hold, Key, Names, Posted, Record, RowKey, State, TransactionId, decode,
};
use smallvec::SmallVec;
use store::StoreError;

use crate::index::Hasher;
use crate::log::{Locator, LogError};
use crate::payload::{Links, Repeats, split, take_links, touched};

/// Where records come from.
pub(crate) trait Source {
    fn hasher(&self) -> &Hasher;

    /// The records that may have a unique key.
    fn candidates(&self, hash: u64) -> SmallVec<[Locator; 2]>;

    /// The newest record that may have a key that repeats.
    fn newest(&self, hash: u64) -> Result<Option<Locator>, StoreError>;

    /// A record, and those before it with the keys of it that repeat.
    fn read(&self, at: Locator) -> Result<(Arc<Record>, Repeats), StoreError>;

    /// A record, and the one before it with a key that repeats.
    fn read_repeating(&self, at: Locator, hash: u64) -> Result<(Arc<Record>, Option<Locator>), StoreError> {
        let (record, repeats) = self.read(at)?;
        let nth = self
            .hasher()
            .repeats(&record)
            .iter()
            .position(|other| *other == hash);
        let before = nth.and_then(|nth| repeats[nth]);
        Ok((record, before))
    }
}

/// The records of a book with a key that repeats, newest first, those that `wanted` says.
pub(crate) fn said_of(
    source: &impl Source,
    hash: u64,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Vec<Arc<Record>>, StoreError> {
    let mut found = Vec::new();
    let mut at = source.newest(hash)?;
    while let Some(here) = at {
        let (record, before) = source.read_repeating(here, hash)?;
        at = before;
        // Another key may have the same hash.
        if wanted(&record) {
            found.push(record);
        }
    }
    Ok(found)
}

/// What was recorded under an idempotency key.
pub(crate) fn find_key(
    source: &impl Source,
    book: BookNo,
    client: Option<ClientId>,
    key: Key,
) -> Result<Option<Arc<Record>>, StoreError> {
    find_key_by(source, source.hasher().key(book, client, key), book, client, key)
}

/// The same by the hash that it is under.
pub(crate) fn find_key_by(
    source: &impl Source,
    hash: u64,
    book: BookNo,
    client: Option<ClientId>,
    key: Key,
) -> Result<Option<Arc<Record>>, StoreError> {
    for at in source.candidates(hash) {
        let (record, _) = source.read(at)?;
        if record.book == book && record.client == client && record.key == key {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The record that booked a transaction, and which of its transactions that is.
pub(crate) fn find_booked(
    source: &impl Source,
    book: BookNo,
    id: TransactionId,
) -> Result<Option<(Arc<Record>, usize)>, StoreError> {
    find_booked_by(source, source.hasher().id(book, id.0), book, id)
}

/// The same by the hash that it is under.
fn find_booked_by(
    source: &impl Source,
    hash: u64,
    book: BookNo,
    id: TransactionId,
) -> Result<Option<(Arc<Record>, usize)>, StoreError> {
    for at in source.candidates(hash) {
        let (record, _) = source.read(at)?;
        let nth = record.booked().iter().position(|booked| booked.id == id);
        if let Some(nth) = nth.filter(|_| record.book == book) {
            return Ok(Some((record, nth)));
        }
    }
    Ok(None)
}

/// A transaction as later commands see it.
pub(crate) fn find_transaction(
    source: &impl Source,
    book: BookNo,
    id: TransactionId,
) -> Result<Option<Posted>, StoreError> {
    find_transaction_by(source, source.hasher().id(book, id.0), book, id)
}

/// The same by the hash that it is under.
pub(crate) fn find_transaction_by(
    source: &impl Source,
    hash: u64,
    book: BookNo,
    id: TransactionId,
) -> Result<Option<Posted>, StoreError> {
    match find_booked_by(source, hash, book, id)? {
        Some((record, nth)) => posted_now(source, &record, nth).map(Some),
        None => Ok(None),
    }
}

/// The `nth` transaction of a record with what was reversed of it since.
pub(crate) fn posted_now(source: &impl Source, record: &Record, nth: usize) -> Result<Posted, StoreError> {
    let mut posted = ledger::posted(record, nth).expect("the record booked it");
    let (book, id) = (record.book, posted.id);
    let about = |other: &Record| {
        other.book == book && matches!(&other.action, Action::Reverse(reverse) if reverse.transaction == id)
    };
    for reversal in said_of(source, source.hasher().reversal(book, id), about)?
        .iter()
        .rev()
    {
        ledger::posted_after(&mut posted, reversal);
    }
    Ok(posted)
}

/// A hold as it stands.
pub(crate) fn find_hold(
    source: &impl Source,
    book: BookNo,
    id: TransactionId,
) -> Result<Option<Hold>, StoreError> {
    match find_booked(source, book, id)? {
        Some((record, nth)) => hold_now(source, &record, nth),
        None => Ok(None),
    }
}

/// The hold that the `nth` transaction of a record placed, as it stands; `None` when it placed none.
pub(crate) fn hold_now(
    source: &impl Source,
    record: &Record,
    nth: usize,
) -> Result<Option<Hold>, StoreError> {
    let Some(mut hold) = ledger::hold_placed(record, nth) else {
        return Ok(None);
    };
    let (book, id) = (record.book, hold.id);
    let about = |other: &Record| other.book == book && hold_of(other) == Some(id);
    for change in said_of(source, source.hasher().hold_change(book, id), about)?
        .iter()
        .rev()
    {
        ledger::hold_after(&mut hold, change);
    }
    Ok(Some(hold))
}

/// The hold that an accepted record is about.
fn hold_of(record: &Record) -> Option<TransactionId> {
    match &record.action {
        Action::Capture(capture) => Some(capture.hold),
        Action::Release(release) => Some(release.hold),
        Action::Expire { hold, .. } => Some(*hold),
        _ => None,
    }
}

/// A row that is not kept in memory, as it was found or not.
pub(crate) enum Found {
    Key(Option<ClientId>, Key, Option<Arc<Record>>),
    Transaction(TransactionId, Option<Posted>),
    Hold(TransactionId, Option<Hold>),
}

/// Finds a row that is not in memory: a key, a transaction, a hold that may be resolved.
pub(crate) fn find_row(source: &impl Source, book: BookNo, row: RowKey) -> Result<Found, StoreError> {
    Ok(match row {
        RowKey::Key(client, key) => Found::Key(client, key, find_key(source, book, client, key)?),
        RowKey::Transaction(id) => Found::Transaction(id, find_transaction(source, book, id)?),
        RowKey::Hold(id) => Found::Hold(id, find_hold(source, book, id)?),
        // Every other row is in memory, so an absent one is known to be absent.
        other => unreachable!("{other:?} is always loaded"),
    })
}

impl Found {
    /// Puts the row where the next decision finds it.
    pub(crate) fn put(self, state: &mut State, book: BookNo) {
        let rows = state.book_mut(book);
        match self {
            Self::Key(client, key, found) => rows.keys.put((client, key), found),
            Self::Transaction(id, found) => rows.transactions.put(id, found.map(Arc::new)),
            Self::Hold(id, found) => rows.holds.put(id, found.map(Arc::new)),
        }
    }
}

/// A record and its links from its payload.
pub(crate) fn read_payload(
    payload: &[u8],
    at: Locator,
    names: &impl Names,
    hasher: &Hasher,
) -> Result<(Arc<Record>, Links), StoreError> {
    let wrong = |what: &str| StoreError::Corrupt(format!("the record at {at}: {what}"));
    let (physical, canonical) = split(payload).ok_or_else(|| wrong("its links are cut short"))?;
    let record = decode(canonical, names).map_err(|error| wrong(&error.to_string()))?;
    let links = take_links(
        physical,
        at,
        touched(&record).len(),
        hasher.repeats(&record).len(),
    );
    Ok((
        Arc::new(record),
        links.ok_or_else(|| wrong("its links don't fit it"))?,
    ))
}

pub(crate) fn corrupt(error: &LogError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
