//! What the writer looks up for a command: in the frames that are on their way, or in the journal.

use std::sync::Arc;

use ledger::{BookNo, Command, Record, RowKey};
use smallvec::SmallVec;
use store::StoreError;

use super::Writer;
use crate::find::{Found, Source, corrupt, find_key_by, find_row, find_transaction_by, read_payload};
use crate::index::{self, Hasher};
use crate::log::Locator;
use crate::payload::Repeats;

impl Writer {
    /// Loads what makes the command new or not: the record of its key, and the transactions that have its ids.
    pub(super) fn load_asked(&mut self, command: &Command, hashes: &index::Asked) -> Result<(), StoreError> {
        let (book, client, key) = (command.book, command.client, command.key);
        let found = find_key_by(self, hashes.key, book, client, key)?;
        self.put(book, RowKey::Key(client, key), Found::Key(client, key, found));
        for (id, hash) in command.transaction_ids().zip(&hashes.ids) {
            let found = find_transaction_by(self, *hash, book, id)?;
            self.put(book, RowKey::Transaction(id), Found::Transaction(id, found));
        }
        Ok(())
    }

    /// Loads a row for the command at hand.
    pub(super) fn load(&mut self, book: BookNo, row: RowKey) -> Result<(), StoreError> {
        let found = find_row(self, book, row)?;
        self.put(book, row, found);
        Ok(())
    }

    fn put(&mut self, book: BookNo, row: RowKey, found: Found) {
        found.put(&mut self.tables.state, book);
        self.state.loaded.push(row);
    }
}

impl Source for Writer {
    fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// The newest record with a key that may repeat.
    fn newest(&self, hash: u64) -> Result<Option<Locator>, StoreError> {
        let here = self.state.flight.newest(hash);
        Ok(here.or_else(|| self.keys.candidates(hash).into_iter().max()))
    }

    fn candidates(&self, hash: u64) -> SmallVec<[Locator; 2]> {
        self.keys.candidates(hash)
    }

    fn read(&self, at: Locator) -> Result<(Arc<Record>, Repeats), StoreError> {
        let payload = match self.state.flight.payload(at) {
            Some(payload) => payload,
            None => self.reader.read_record(at).map_err(|error| corrupt(&error))?,
        };
        let (record, links) = read_payload(&payload, at, &self.tables.state, &self.hasher)?;
        Ok((record, links.repeats))
    }
}
