//! What the writer decided and is not durable yet: the log can't be asked for it.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::Map;

use crate::batch::Item;
use crate::log::Locator;

/// Room for more bytes of payloads is given back: a frame seldom has so many.
const MOST_SPARE: usize = 4 << 20;

/// A batch on its way.
struct Flight {
    batch: u64,
    /// By where they will lie, which ascends. The committer has them too.
    items: Arc<Vec<Item>>,
    kept: Kept,
}

/// What the log does not have yet, or the key table.
#[derive(Default)]
struct Kept {
    /// What the records' payloads are, one behind the other, and where each ends.
    payloads: Vec<u8>,
    ends: Vec<usize>,
    repeats: Map<u64, Locator>,
}

impl Kept {
    fn payload(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.payloads[start..self.ends[nth]]
    }

    fn clear(&mut self) {
        self.payloads.clear();
        self.ends.clear();
        self.repeats.clear();
    }
}

/// All of them: few, so that each is asked. One is forgotten as a whole, without a search for what is in it.
#[derive(Default)]
pub(crate) struct InFlight {
    /// What is being filled.
    items: Vec<Item>,
    kept: Kept,
    /// What was closed, oldest first.
    flights: VecDeque<Flight>,
    /// Empty ones that are used again: what grows from nothing each time would cost more than what it holds.
    spare: Vec<Kept>,
}

impl InFlight {
    /// Begins a batch, in the room of an earlier one.
    pub(crate) fn open(&mut self, room: Vec<Item>) {
        debug_assert!(
            self.kept.ends.is_empty(),
            "the one before was closed, or has nothing"
        );
        self.items = room;
    }

    /// Puts a record with the parts of its payload.
    pub(crate) fn put(&mut self, item: Item, payload: &[&[u8]]) {
        for part in payload {
            self.kept.payloads.extend_from_slice(part);
        }
        self.kept.ends.push(self.kept.payloads.len());
        for (hash, _) in &item.repeats {
            self.kept.repeats.insert(*hash, item.at);
        }
        self.items.push(item);
    }

    /// Ends the batch; gives what is in it.
    pub(crate) fn close(&mut self, batch: u64) -> Arc<Vec<Item>> {
        debug_assert_eq!(self.items.len(), self.kept.ends.len(), "a payload each");
        let items = Arc::new(std::mem::take(&mut self.items));
        self.flights.push_back(Flight {
            batch,
            items: Arc::clone(&items),
            kept: std::mem::replace(&mut self.kept, self.spare.pop().unwrap_or_default()),
        });
        items
    }

    /// Forgets what is published by now: the log has the records, the key table the keys that repeat.
    pub(crate) fn prune(&mut self, published: u64) {
        let is_published = |flight: &Flight| flight.batch <= published;
        while self.flights.front().is_some_and(is_published) {
            let Some(mut flight) = self.flights.pop_front() else {
                return;
            };
            if flight.kept.payloads.capacity() <= MOST_SPARE {
                flight.kept.clear();
                self.spare.push(flight.kept);
            }
        }
    }

    /// The newest record with a key that may repeat.
    pub(crate) fn newest(&self, hash: u64) -> Option<Locator> {
        let closed = self.flights.iter().rev().map(|flight| &flight.kept);
        let mut newest_first = std::iter::once(&self.kept).chain(closed);
        newest_first.find_map(|kept| kept.repeats.get(&hash).copied())
    }

    /// The payload of the record there.
    pub(crate) fn payload(&self, at: Locator) -> Option<&[u8]> {
        let closed = self
            .flights
            .iter()
            .map(|flight| (flight.items.as_slice(), &flight.kept));
        let mut all = std::iter::once((self.items.as_slice(), &self.kept)).chain(closed);
        all.find_map(|(items, kept)| {
            let nth = items.binary_search_by_key(&at, |item| item.at).ok()?;
            Some(kept.payload(nth))
        })
    }
}
