//! What the key table finds records by: keys and ids, which are unique, and references, foreign ids and what is said of
//! another transaction, which may repeat. Of the repeating ones the table keeps the newest, and each record links to
//! the one before.

use ledger::{Action, ClientId, Command, Decided, Key, Lookup, Record, TransactionId};
use smallvec::SmallVec;
use std::collections::HashMap;

use crate::log::{Locator, StoreId, key_hash};

/// Kinds of keys, told apart in the hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Space {
    /// Ids of transactions, and keys that are the id of what is made.
    Id = 1,
    /// Idempotency keys of other kinds.
    Key = 2,
    /// References of transactions.
    Reference = 3,
    /// Foreign ids of transactions.
    ExternalId = 4,
    /// What happened to a hold.
    Hold = 5,
    /// Reversals of a transaction.
    Reversal = 6,
}

/// What the key table is to have of some records: of keys that repeat, the newest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) unique: Vec<(u64, Locator)>,
    pub(crate) repeats: HashMap<u64, Locator>,
}

impl Pairs {
    /// Takes a record, newer than those before.
    pub(crate) fn take(&mut self, hasher: &Hasher, record: &Record, at: Locator) {
        self.unique
            .extend(hasher.unique(record).into_iter().map(|hash| (hash, at)));
        self.repeats
            .extend(hasher.repeats(record).into_iter().map(|hash| (hash, at)));
    }

    /// These and newer ones.
    pub(crate) fn and(mut self, newer: Self) -> Self {
        self.unique.extend(newer.unique);
        self.repeats.extend(newer.repeats);
        self
    }

    /// All of them, in no order.
    pub(crate) fn into_vec(self) -> Vec<(u64, Locator)> {
        let mut all = self.unique;
        all.extend(self.repeats);
        all
    }
}

/// The hashes by which a command is found again.
pub(crate) struct Asked {
    /// Its key's.
    pub(crate) key: u64,
    /// Those of the transactions that it would make, in order.
    pub(crate) ids: SmallVec<[u64; 1]>,
}

impl Asked {
    /// What [`Hasher::unique`] says of the record of what was decided.
    pub(crate) fn unique(self, decided: &Decided) -> SmallVec<[u64; 2]> {
        let mut hashes = SmallVec::new();
        if decided.books() {
            hashes.extend(self.ids);
        }
        and_key(&mut hashes, self.key);
        hashes
    }
}

/// A key that is the id of what was booked has the same hash: one entry serves both.
fn and_key(hashes: &mut SmallVec<[u64; 2]>, key: u64) {
    if !hashes.contains(&key) {
        hashes.push(key);
    }
}

/// Hashes keys for one store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    seed: u64,
}

impl Hasher {
    /// The hasher of a store: seeded by its id, which no client sees.
    pub(crate) fn new(store: &StoreId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"saldo key table");
        hasher.update(store);
        let seed = hasher.finalize();
        Self {
            seed: u64::from_le_bytes(seed.as_bytes()[..8].try_into().expect("eight bytes")),
        }
    }

    fn hash<const N: usize>(&self, space: Space, book: ledger::BookNo, bytes: &[u8; N]) -> u64 {
        let hash = key_hash(self.seed, space as u8, u64::from(book.0), bytes);
        // What is unique and what may repeat share the table and never a hash: of the one the newest record is looked for,
        // and replaced, which would tear the other out.
        match space {
            Space::Id | Space::Key => hash & !1,
            Space::Reference | Space::ExternalId | Space::Hold | Space::Reversal => hash | 1,
        }
    }

    /// Where a record with this transaction, or with this id as its key, is found. Each client of a book may have one record
    /// under its own key with the same id, a refused one; clients are made by administrators, so these stay few.
    pub(crate) fn id(&self, book: ledger::BookNo, id: u128) -> u64 {
        self.hash(Space::Id, book, &id.to_be_bytes())
    }

    /// Where a record with this key is found.
    pub(crate) fn key(&self, book: ledger::BookNo, client: Option<ClientId>, key: Key) -> u64 {
        let (kind, rest) = match key {
            Key::Id(id) => return self.id(book, id.0),
            Key::Named(hash) => (0, hash),
            Key::Expiry(hold) => (1, hold.to_bytes()),
        };
        let mut bytes = [0; 34];
        bytes[0] = u8::from(client.is_some());
        bytes[1..17].copy_from_slice(&client.unwrap_or_default().to_bytes());
        bytes[17] = kind;
        bytes[18..].copy_from_slice(&rest);
        self.hash(Space::Key, book, &bytes)
    }

    /// Where the newest transaction with this reference is found.
    pub(crate) fn reference(&self, book: ledger::BookNo, reference: Lookup) -> u64 {
        self.hash(Space::Reference, book, &reference.0)
    }

    /// Where the newest transaction with this foreign id is found.
    pub(crate) fn external_id(&self, book: ledger::BookNo, external_id: Lookup) -> u64 {
        self.hash(Space::ExternalId, book, &external_id.0)
    }

    /// Where the last change of this hold is found.
    pub(crate) fn hold_change(&self, book: ledger::BookNo, hold: TransactionId) -> u64 {
        self.hash(Space::Hold, book, &hold.to_bytes())
    }

    /// Where the last reversal of this transaction is found.
    pub(crate) fn reversal(&self, book: ledger::BookNo, original: TransactionId) -> u64 {
        self.hash(Space::Reversal, book, &original.to_bytes())
    }

    /// The hashes by which a command is found again.
    pub(crate) fn asked(&self, command: &Command) -> Asked {
        let book = command.book;
        let key = self.key(book, command.client, command.key);
        let of = |id: TransactionId| match command.key {
            Key::Id(own) if own == id.into() => key,
            _ => self.id(book, id.0),
        };
        let mut ids = SmallVec::new();
        command.transaction_ids().for_each(|id| ids.push(of(id)));
        Asked { key, ids }
    }

    /// The unique keys of a record: its idempotency key and the ids of what it booked, each hash once.
    pub(crate) fn unique(&self, record: &Record) -> SmallVec<[u64; 2]> {
        let book = record.book;
        let ids = record.booked().iter().map(|booked| self.id(book, booked.id.0));
        let mut hashes: SmallVec<[u64; 2]> = ids.collect();
        and_key(&mut hashes, self.key(book, record.client, record.key));
        hashes
    }

    /// The keys of a record that may repeat, in the order of its links; what was refused has none.
    pub(crate) fn repeats(&self, record: &Record) -> SmallVec<[u64; 1]> {
        let book = record.book;
        let mut hashes = SmallVec::new();
        for nth in 0..record.booked().len() {
            let Some(transaction) = record.transaction(nth) else {
                continue;
            };
            if let Some(text) = transaction.reference() {
                hashes.push(self.reference(book, text.lookup()));
            }
            if let Some(text) = transaction.external_id() {
                hashes.push(self.external_id(book, text.lookup()));
            }
        }
        if record.outcome.is_ok() {
            match &record.action {
                Action::Capture(capture) => hashes.push(self.hold_change(book, capture.hold)),
                Action::Release(release) => hashes.push(self.hold_change(book, release.hold)),
                Action::Expire { hold, .. } => hashes.push(self.hold_change(book, *hold)),
                Action::Reverse(reverse) => hashes.push(self.reversal(book, reverse.transaction)),
                _ => {}
            }
        }
        hashes
    }
}
