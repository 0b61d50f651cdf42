//! Where the next frames will be, before they are written: the writer builds a batch, whose records name each
//! other's places, while the batch before is still on its way to the disk.

use super::error::LogError;
use super::frame::FRAME_HEADER;
use super::segment::{Locator, Span};

/// Where a frame will begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart {
    /// The frame's sequence.
    pub sequence: u64,
    /// Its segment.
    pub segment: u32,
    /// The address of its first byte.
    pub at: Locator,
}

impl FrameStart {
    /// The place of a record at an offset from the frame's start, see [`super::FrameBuf::next_offset`].
    pub fn record(&self, offset: u32) -> Locator {
        Locator::new(self.at.get() + u64::from(offset))
    }

    /// The place of the frame's first record.
    pub fn first_record(&self) -> Locator {
        Locator::new(self.at.get() + FRAME_HEADER as u64)
    }
}

/// A cursor at the planned end of the log. There is one per log, since two would plan the same bytes.
///
/// The cycle of a batch: [`super::Log::reserve`] the worst case, [`Planner::start`] for a bound of its size, build it
/// with the locators that follow from that, [`Planner::advance`] by its real size, hand it to the committer.
#[derive(Debug)]
pub struct Planner {
    pub(crate) sequence: u64,
    pub(crate) end: u64,
    pub(crate) current: Span,
    pub(crate) next: Option<Span>,
    /// Whether the next segment was asked for.
    pub(crate) asked: bool,
}

impl Planner {
    /// Where a frame of up to this many bytes, header included, begins. Pure: nothing moves. The frame may then turn
    /// out smaller, not larger.
    pub fn start(&self, frame_bytes: u64) -> Result<FrameStart, LogError> {
        let sequence = self.sequence + 1;
        if frame_bytes <= self.room() {
            return Ok(FrameStart {
                sequence,
                segment: self.current.number,
                at: Locator::new(self.end),
            });
        }
        match self.next {
            Some(next) if frame_bytes <= next.end() - next.first().get() => Ok(FrameStart {
                sequence,
                segment: next.number,
                at: next.first(),
            }),
            _ => Err(LogError::NotReserved { bytes: frame_bytes }),
        }
    }

    /// Moves behind a frame of exactly this many bytes that begins there.
    ///
    /// # Panics
    ///
    /// If the start is not one that [`Planner::start`] gives now, or the frame leaves its segment.
    pub fn advance(&mut self, start: FrameStart, frame_bytes: u64) {
        assert_eq!(start.sequence, self.sequence + 1, "frames are planned in order");
        if start.segment != self.current.number {
            let next = self
                .next
                .take()
                .expect("a frame begins in the current segment or in the next");
            assert_eq!(
                (start.segment, start.at),
                (next.number, next.first()),
                "a new segment is filled from its start"
            );
            self.current = next;
            self.asked = false;
        } else {
            assert_eq!(start.at.get(), self.end, "frames are contiguous");
        }
        self.end = start.at.get() + frame_bytes;
        assert!(self.end <= self.current.end(), "a frame never leaves its segment");
        self.sequence = start.sequence;
    }

    /// How many bytes a frame may have without beginning a new segment.
    pub fn room(&self) -> u64 {
        self.current.end() - self.end
    }

    /// The segment whose next one is to be made ahead: once, when more than half of it is planned.
    pub fn next_is_due(&mut self) -> Option<Span> {
        let due = !self.asked && self.room() < self.current.capacity / 2;
        self.asked |= due;
        due.then_some(self.current)
    }

    /// The sequence of the last planned frame.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The address behind the last planned frame.
    pub fn end(&self) -> Locator {
        Locator::new(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_roll_into_the_next_segment() {
        let current = Span {
            number: 1,
            base: 0,
            capacity: 1000,
        };
        let next = Span {
            number: 2,
            base: 1000,
            capacity: 2000,
        };
        let mut planner = Planner {
            sequence: 0,
            end: 64,
            current,
            next: Some(next),
            asked: false,
        };
        let first = planner.start(936).unwrap();
        assert_eq!((first.at.get(), first.segment, first.sequence), (64, 1, 1));
        planner.advance(first, 900);
        assert_eq!(planner.room(), 36);
        let second = planner.start(37).unwrap();
        assert_eq!((second.at.get(), second.segment, second.sequence), (1064, 2, 2));
        assert_eq!(second.first_record().get(), 1120);
        assert!(matches!(
            planner.start(1937),
            Err(LogError::NotReserved { bytes: 1937 })
        ));
        assert_eq!(planner.start(36).unwrap().segment, 1, "nothing has moved");
        planner.advance(second, 20);
        assert_eq!(planner.start(1916).unwrap().at.get(), 1084);
        assert!(planner.start(1917).is_err(), "the segment after is not reserved");
    }
}
