//! What the writer decided and is not durable yet: the log can't be asked for it.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::{Map, Record};

use crate::batch::Item;
use crate::log::Locator;
use crate::payload::Repeats;

/// A batch on its way.
struct Flight {
    batch: u64,
    /// By where they will lie, which ascends. The committer has them too.
    items: Arc<Vec<Item>>,
    repeats: Map<u64, Locator>,
}

/// All of them: few, so that each is asked. One is forgotten as a whole, without a search for what is in it.
#[derive(Default)]
pub(crate) struct InFlight {
    /// What is being filled.
    items: Vec<Item>,
    repeats: Map<u64, Locator>,
    /// What was closed, oldest first.
    flights: VecDeque<Flight>,
    /// Empty ones that are used again: maps that grow from nothing each time would cost more than what they hold.
    spare: Vec<Map<u64, Locator>>,
}

impl InFlight {
    /// Begins a batch, in the room of an earlier one.
    pub(crate) fn open(&mut self, room: Vec<Item>) {
        self.items = room;
        self.repeats = self.spare.pop().unwrap_or_default();
    }

    pub(crate) fn put(&mut self, item: Item) {
        for (hash, _) in &item.repeats {
            self.repeats.insert(*hash, item.at);
        }
        self.items.push(item);
    }

    /// Ends the batch; gives what is in it.
    pub(crate) fn close(&mut self, batch: u64) -> Arc<Vec<Item>> {
        let items = Arc::new(std::mem::take(&mut self.items));
        self.flights.push_back(Flight {
            batch,
            items: Arc::clone(&items),
            repeats: std::mem::take(&mut self.repeats),
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
            flight.repeats.clear();
            self.spare.push(flight.repeats);
        }
    }

    /// The newest record with a key that may repeat.
    pub(crate) fn newest(&self, hash: u64) -> Option<Locator> {
        let closed = self.flights.iter().rev().map(|flight| &flight.repeats);
        let mut newest_first = std::iter::once(&self.repeats).chain(closed);
        newest_first.find_map(|repeats| repeats.get(&hash).copied())
    }

    pub(crate) fn record(&self, at: Locator) -> Option<(Arc<Record>, Repeats)> {
        let closed = self.flights.iter().map(|flight| flight.items.as_slice());
        let mut all = std::iter::once(self.items.as_slice()).chain(closed);
        all.find_map(|items| {
            let nth = items.binary_search_by_key(&at, |item| item.at).ok()?;
            let item = &items[nth];
            let repeats = item.repeats.iter().map(|(_, before)| *before);
            Some((Arc::clone(&item.record), repeats.collect()))
        })
    }
}
