//! What the writer decided and is not durable yet: the log can't be asked for it.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::{Map, Record};

use crate::log::Locator;
use crate::payload::Links;
use crate::writer::Item;

/// A batch that was decided and is not published yet.
#[derive(Default)]
struct Flight {
    batch: u64,
    /// By where they will lie, which ascends.
    records: Vec<(Locator, Arc<Record>, Links)>,
    repeats: Map<u64, Locator>,
}

/// All of them, oldest first: few, so that each is asked. One is forgotten as a whole, without a search for what is in it.
#[derive(Default)]
pub(crate) struct InFlight {
    flights: VecDeque<Flight>,
    /// Empty ones that are used again: maps that grow from nothing each time would cost more than what they hold.
    spare: Vec<Flight>,
}

impl InFlight {
    pub(crate) fn put(&mut self, batch: u64, item: &Item, links: Links) {
        if self.flights.back().is_none_or(|flight| flight.batch != batch) {
            let flight = self.spare.pop().unwrap_or_default();
            self.flights.push_back(Flight { batch, ..flight });
        }
        let Some(flight) = self.flights.back_mut() else {
            return;
        };
        flight.records.push((item.at, Arc::clone(&item.record), links));
        for (hash, _) in &item.repeats {
            flight.repeats.insert(*hash, item.at);
        }
    }

    /// Forgets what is published by now: the log has the records, the key table the keys that repeat.
    pub(crate) fn prune(&mut self, published: u64) {
        let is_published = |flight: &Flight| flight.batch <= published;
        while self.flights.front().is_some_and(is_published) {
            let Some(mut flight) = self.flights.pop_front() else {
                return;
            };
            flight.records.clear();
            flight.repeats.clear();
            self.spare.push(flight);
        }
    }

    /// The newest record with a key that may repeat.
    pub(crate) fn newest(&self, hash: u64) -> Option<Locator> {
        let mut newest_first = self.flights.iter().rev();
        newest_first.find_map(|flight| flight.repeats.get(&hash).copied())
    }

    pub(crate) fn record(&self, at: Locator) -> Option<(Arc<Record>, Links)> {
        self.flights.iter().find_map(|flight| {
            let nth = flight.records.binary_search_by_key(&at, |(at, ..)| *at).ok()?;
            let (_, record, links) = &flight.records[nth];
            Some((Arc::clone(record), links.clone()))
        })
    }
}
