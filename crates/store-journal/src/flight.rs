//! What the writer decided and is not durable yet: the log can't be asked for it.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::Map;
use parking_lot::Mutex;

use crate::batch::SharedFrame;
use crate::log::{FrameBuf, FrameStart, Locator};

/// A larger frame is not used again: few batches need so many bytes.
const MOST_SPARE: u64 = 4 << 20;

/// The records of a frame by the keys of theirs that may repeat, each the newest.
type Repeats = Map<u64, Locator>;

/// A frame on its way to the disk.
struct Flight {
    batch: u64,
    start: FrameStart,
    /// The committer has it, too, until the batch is published.
    frame: SharedFrame,
    repeats: Repeats,
}

/// All of them: few, so that each is asked. One is forgotten as a whole, without a search for what is in it.
#[derive(Default)]
pub(crate) struct InFlight {
    /// Where the frame begins that is being filled, or was last.
    start: Option<FrameStart>,
    frame: FrameBuf,
    repeats: Repeats,
    /// What was closed, oldest first.
    flights: VecDeque<Flight>,
    /// Empty ones that are used again: what grows from nothing each time would cost more than what it holds.
    spare: Vec<(FrameBuf, Repeats)>,
}

impl InFlight {
    /// Begins a frame.
    pub(crate) fn open(&mut self, start: FrameStart) {
        debug_assert!(
            self.frame.is_empty() && self.repeats.is_empty(),
            "the one before was closed, or has nothing"
        );
        self.start = Some(start);
    }

    /// The frame that is being filled.
    pub(crate) const fn frame(&self) -> &FrameBuf {
        &self.frame
    }

    /// Puts a record that will lie at `at`: the parts of its payload, and its keys that may repeat.
    pub(crate) fn put(&mut self, at: Locator, payload: &[&[u8]], repeats: impl Iterator<Item = u64>) {
        self.frame.push_parts(payload);
        self.repeats.extend(repeats.map(|hash| (hash, at)));
    }

    /// Ends the frame of a batch; gives where it begins and what it is, unless there is nothing in it.
    pub(crate) fn close(&mut self, batch: u64) -> Option<(FrameStart, SharedFrame)> {
        let start = self.start.filter(|_| !self.frame.is_empty())?;
        let (frame, repeats) = self.spare.pop().unwrap_or_default();
        let frame = Arc::new(Mutex::new(std::mem::replace(&mut self.frame, frame)));
        self.flights.push_back(Flight {
            batch,
            start,
            frame: Arc::clone(&frame),
            repeats: std::mem::replace(&mut self.repeats, repeats),
        });
        Some((start, frame))
    }

    /// Forgets what is published by now: the log has the records, the key table the keys that repeat.
    pub(crate) fn prune(&mut self, published: u64) {
        let is_published = |flight: &Flight| flight.batch <= published;
        while self.flights.front().is_some_and(is_published) {
            let Some(flight) = self.flights.pop_front() else {
                return;
            };
            let (frame, mut repeats) = (Arc::into_inner(flight.frame), flight.repeats);
            if let Some(mut frame) = frame.map(Mutex::into_inner)
                && frame.frame_len() <= MOST_SPARE
            {
                frame.clear();
                repeats.clear();
                self.spare.push((frame, repeats));
            }
        }
    }

    /// The newest record with a key that may repeat.
    pub(crate) fn newest(&self, hash: u64) -> Option<Locator> {
        let closed = self.flights.iter().rev().map(|flight| &flight.repeats);
        let mut newest_first = std::iter::once(&self.repeats).chain(closed);
        newest_first.find_map(|repeats| repeats.get(&hash).copied())
    }

    /// The payload of the record there.
    pub(crate) fn payload(&self, at: Locator) -> Option<Vec<u8>> {
        let offset = |start: FrameStart| at.get().checked_sub(start.at.get());
        if !self.frame.is_empty()
            && let Some(offset) = self.start.and_then(offset)
        {
            return self.frame.payload(offset).map(<[u8]>::to_vec);
        }
        let mut newest_first = self.flights.iter().rev();
        newest_first.find_map(|flight| {
            let offset = offset(flight.start)?;
            flight.frame.lock().payload(offset).map(<[u8]>::to_vec)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn start(at: u64) -> FrameStart {
        FrameStart {
            sequence: 1,
            segment: 1,
            at: Locator::new(at),
        }
    }

    fn put(flight: &mut InFlight, start: FrameStart, payload: &[u8], repeats: &[u64]) -> Locator {
        let at = start.record(flight.frame().next_offset());
        let parts = payload.split_at(1);
        flight.put(at, &[parts.0, parts.1], repeats.iter().copied());
        at
    }

    #[test]
    fn what_is_in_flight_is_found_until_it_is_published() {
        let mut flight = InFlight::default();
        flight.open(start(1000));
        assert!(flight.close(1).is_none(), "there is nothing in it");
        flight.open(start(4096));
        let one = put(&mut flight, start(4096), b"one", &[7]);
        let two = put(&mut flight, start(4096), b"two", &[7, 8]);
        assert_eq!(flight.payload(one).as_deref(), Some(&b"one"[..]));
        let (from, frame) = flight.close(2).unwrap();
        assert_eq!((from, frame.lock().count()), (start(4096), 2));
        flight.open(start(8192));
        let three = put(&mut flight, start(8192), b"three", &[8]);
        for (at, payload) in [(one, "one"), (two, "two"), (three, "three")] {
            assert_eq!(flight.payload(at).as_deref(), Some(payload.as_bytes()));
        }
        assert_eq!(flight.payload(start(64).first_record()), None, "the log has it");
        let newest = |flight: &InFlight| [7, 8, 9].map(|hash| flight.newest(hash));
        assert_eq!(newest(&flight), [Some(two), Some(three), None]);
        let (_, held) = flight.close(3).unwrap();
        for (at, payload) in [(one, "one"), (two, "two"), (three, "three")] {
            assert_eq!(flight.payload(at).as_deref(), Some(payload.as_bytes()));
        }
        assert_eq!(newest(&flight), [Some(two), Some(three), None]);

        drop(frame);
        flight.prune(2);
        assert_eq!((flight.payload(one), flight.newest(7)), (None, None));
        assert_eq!(flight.payload(three).as_deref(), Some(&b"three"[..]));
        assert_eq!(flight.spare.len(), 1, "its room is used again");
        flight.prune(3);
        assert_eq!(flight.spare.len(), 1, "the committer has the other still");
        assert_eq!(held.lock().count(), 1);
    }
}
