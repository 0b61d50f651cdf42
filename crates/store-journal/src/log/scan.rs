//! Walking frames in the order they were written, checking each.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::LogError;
use super::frame::{FRAME_HEADER, FrameFault, FrameHash, FrameHeader, FrameView, Seal, hash_frame};
use super::reader::nonzero;
use super::segment::{Locator, SEGMENT_HEADER, Segment, Segments, StoreId};

/// Bytes are read ahead in pieces of this size.
const WINDOW: usize = 256 << 10;

/// A frame that was written: where a snapshot, a replay or a feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Its sequence; 0 before the first frame.
    pub sequence: u64,
    /// Where it begins.
    pub start: Locator,
    /// The byte after it.
    pub end: Locator,
    /// Its hash.
    pub hash: FrameHash,
}

/// What the log and its readers share.
pub(crate) struct Shared {
    pub(crate) segments: Arc<Segments>,
    pub(crate) store: StoreId,
    pub(crate) seal: Seal,
    /// The last durable frame: readers go no further.
    pub(crate) synced: Mutex<LogPosition>,
}

impl Shared {
    /// The position before the first frame.
    pub(crate) fn origin(seal: &Seal) -> LogPosition {
        let start = Locator::new(SEGMENT_HEADER);
        LogPosition {
            sequence: 0,
            start,
            end: start,
            hash: seal.genesis(),
        }
    }
}

/// Reads one segment through a window.
struct Window {
    segment: Arc<Segment>,
    bytes: Vec<u8>,
    /// The byte of the file where the window begins, and how many bytes are in it.
    from: u64,
    length: usize,
}

impl Window {
    fn new(segment: Arc<Segment>) -> Self {
        Self {
            segment,
            bytes: Vec::new(),
            from: 0,
            length: 0,
        }
    }

    /// Makes this many bytes from an offset available, as far as the file has them; answers where they are.
    fn fill(&mut self, offset: u64, wanted: usize) -> Result<std::ops::Range<usize>, LogError> {
        let inside = offset
            .checked_sub(self.from)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(at) = inside.filter(|at| at.saturating_add(wanted) <= self.length) {
            return Ok(at..at + wanted);
        }
        let size = wanted.max(WINDOW);
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        self.length = 0;
        self.length = self.segment.read(&mut self.bytes[..size], offset)?;
        self.from = offset;
        Ok(0..wanted.min(self.length))
    }

    /// The frame at an offset: its header, and where in the window it is.
    fn frame(&mut self, seal: &Seal, offset: u64) -> Result<Result<Probed, FrameFault>, LogError> {
        let range = self.fill(offset, FRAME_HEADER)?;
        let limit = self.segment.span.capacity.saturating_sub(offset);
        let length = match Seal::claimed_length(&self.bytes[range], limit) {
            Ok(length) => length,
            Err(fault) => return Ok(Err(fault)),
        };
        let range = self.fill(offset, length)?;
        if range.len() < length {
            return Ok(Err(FrameFault::Length));
        }
        Ok(seal
            .decode(&self.bytes[range.clone()])
            .map(|header| Probed { header, range }))
    }
}

#[derive(Clone)]
struct Probed {
    header: FrameHeader,
    range: std::ops::Range<usize>,
}

/// Where a walk met bytes that are not the next frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) fault: FrameFault,
}

impl Stop {
    /// Where the frame that is due should be, if this is damage: in the next segment, when this one is unused from here on.
    pub(crate) fn damaged_at(self, shared: &Shared) -> Result<Self, LogError> {
        let mut here = self;
        while let Some(segment) = shared.segments.get(here.segment)
            && nonzero(&segment, here.offset)?.is_none()
        {
            let Some(next) = shared.segments.get(here.segment + 1) else {
                return Ok(self);
            };
            let fault = Window::new(next).frame(&shared.seal, SEGMENT_HEADER)?.err();
            here = Self {
                segment: here.segment + 1,
                offset: SEGMENT_HEADER,
                fault: fault.unwrap_or(self.fault),
            };
        }
        Ok(here)
    }
}

/// What a walk meets.
enum Step {
    Frame(Probed),
    Stop(Stop),
}

/// A walk over frames, from some frame on. Ends at the last durable frame; asked again later, it goes on with what
/// has come since.
pub struct Scan {
    shared: Arc<Shared>,
    window: Window,
    /// The next frame's byte in the segment, unless it begins the next segment.
    offset: u64,
    /// The sequence and hash of the frame before, if known.
    before: Option<(u64, FrameHash)>,
    /// Ends with this segment.
    only: Option<u32>,
}

impl Scan {
    /// A walk over the frames after a position.
    pub(crate) fn after(shared: Arc<Shared>, position: LogPosition) -> Result<Self, LogError> {
        let segment = shared
            .segments
            .holding(position.start)
            .ok_or(LogError::BadLocator(position.start))?;
        let offset = position.end.get() - segment.span.base;
        let window = Window::new(segment);
        Ok(Self {
            shared,
            window,
            offset,
            before: Some((position.sequence, position.hash)),
            only: None,
        })
    }

    /// A walk from a frame's start, whatever its sequence is.
    pub(crate) fn from(shared: Arc<Shared>, start: Locator) -> Result<Self, LogError> {
        let segment = shared
            .segments
            .holding(start)
            .ok_or(LogError::BadLocator(start))?;
        let offset = start.get() - segment.span.base;
        Ok(Self {
            shared,
            window: Window::new(segment),
            offset,
            before: None,
            only: None,
        })
    }

    /// Ends the walk with a segment.
    pub(crate) fn only(mut self, number: u32) -> Self {
        self.only = Some(number);
        self
    }

    /// The next durable frame, if there is one. Anything but valid frames up to the last durable one is damage.
    pub fn next_frame(&mut self) -> Result<Option<FrameView<'_>>, LogError> {
        let synced = *self.shared.synced.lock();
        let at_end = match self.before {
            Some((sequence, _)) => sequence >= synced.sequence,
            None => synced.sequence == 0 || self.at() > synced.start.get(),
        };
        if at_end {
            return Ok(None);
        }
        match self.step()? {
            None => Ok(None),
            Some(Step::Frame(probed)) => Ok(Some(self.view(&probed))),
            Some(Step::Stop(stop)) => {
                let stop = stop.damaged_at(&self.shared)?;
                let sequence = self.before.map(|(sequence, _)| sequence + 1);
                Err(LogError::damaged(
                    stop.segment,
                    stop.offset,
                    sequence,
                    stop.fault.to_string(),
                ))
            }
        }
    }

    /// The next frame whether or not it is known to be durable, for recovery.
    pub(crate) fn next_or_stop(&mut self) -> Result<Result<FrameView<'_>, Stop>, LogError> {
        match self.step()? {
            Some(Step::Frame(probed)) => Ok(Ok(self.view(&probed))),
            Some(Step::Stop(stop)) => Ok(Err(stop)),
            None => unreachable!("only a walk over one segment ends by itself"),
        }
    }

    /// The address of the next frame, unless it begins the next segment.
    fn at(&self) -> u64 {
        self.window.segment.span.base + self.offset
    }

    /// The segment the walk is in.
    pub(crate) fn segment(&self) -> u32 {
        self.window.segment.span.number
    }

    fn view(&self, probed: &Probed) -> FrameView<'_> {
        let (_, hash) = self.before.expect("set by the step that found the frame");
        let bytes = &self.window.bytes[probed.range.clone()];
        let start = Locator::new(self.at() - bytes.len() as u64);
        FrameView {
            header: probed.header,
            start,
            hash,
            bytes,
        }
    }

    fn step(&mut self) -> Result<Option<Step>, LogError> {
        let segment = self.segment();
        let mut probed = self.window.frame(&self.shared.seal, self.offset)?;
        if probed.is_err() && self.window.from != self.offset {
            // The window may have been read before the frame was written.
            self.window.length = 0;
            probed = self.window.frame(&self.shared.seal, self.offset)?;
        }
        let stop = match probed {
            Ok(probed) => return self.take(probed).map(Some),
            Err(fault) => self.refuse(fault)?,
        };
        if self.only == Some(segment) && stop.fault == FrameFault::Magic {
            // What is at the end of a segment is checked by those who walk on to the next.
            return Ok(None);
        }
        if self.only.is_some() || self.before.is_none() {
            return Ok(Some(Step::Stop(stop)));
        }
        let Some(next) = self.shared.segments.get(segment + 1) else {
            return Ok(Some(Step::Stop(stop)));
        };
        // The rest of this segment is unused exactly when the next one begins with the frame that is due.
        let mut window = Window::new(next);
        match window.frame(&self.shared.seal, SEGMENT_HEADER)? {
            Ok(probed) if self.is_due(&probed.header) => {
                self.window = window;
                self.offset = SEGMENT_HEADER;
                self.take(probed).map(Some)
            }
            _ => Ok(Some(Step::Stop(stop))),
        }
    }

    fn is_due(&self, header: &FrameHeader) -> bool {
        self.before
            .is_none_or(|(sequence, hash)| header.sequence == sequence + 1 && header.previous == hash)
    }

    /// Moves behind a valid frame, if it is the one that is due.
    fn take(&mut self, probed: Probed) -> Result<Step, LogError> {
        let found = probed.header.sequence;
        if let Some((sequence, _)) = self.before
            && !self.is_due(&probed.header)
        {
            let what = if found == sequence + 1 {
                "its hash of the frame before does not match that frame".to_owned()
            } else {
                format!("frame {found} is where frame {} should be", sequence + 1)
            };
            return Err(LogError::damaged(
                self.segment(),
                self.offset,
                Some(sequence + 1),
                what,
            ));
        }
        let hash = hash_frame(&self.window.bytes[probed.range.clone()]);
        self.before = Some((found, hash));
        self.offset += u64::from(probed.header.length);
        Ok(Step::Frame(probed))
    }

    /// A fault that may be the end of what was written, or an error.
    fn refuse(&self, fault: FrameFault) -> Result<Stop, LogError> {
        let (segment, offset) = (self.segment(), self.offset);
        match fault {
            FrameFault::Version(found) => Err(LogError::NewerVersion {
                number: segment,
                found,
                supported: super::frame::FRAME_VERSION,
            }),
            FrameFault::Content => {
                let sequence = self.before.map(|(sequence, _)| sequence + 1);
                Err(LogError::damaged(segment, offset, sequence, fault.to_string()))
            }
            fault => Ok(Stop {
                segment,
                offset,
                fault,
            }),
        }
    }
}

/// The frame at an address, alone. `Ok(None)`: no valid frame is there.
pub(crate) fn frame_at(
    segments: &Segments,
    seal: &Seal,
    at: Locator,
) -> Result<Option<(FrameHeader, FrameHash)>, LogError> {
    let Some(segment) = segments.holding(at) else {
        return Ok(None);
    };
    let offset = at.get() - segment.span.base;
    let mut window = Window::new(segment);
    let probed = window.frame(seal, offset)?;
    Ok(probed
        .ok()
        .map(|probed| (probed.header, hash_frame(&window.bytes[probed.range]))))
}
