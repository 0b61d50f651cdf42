//! Reading: single records through their locators, and frames in order.

use std::ops::Range;
use std::sync::Arc;

use super::error::LogError;
use super::frame::{RecordFault, read_record};
use super::scan::{LogPosition, Scan, Shared};
use super::segment::{Locator, SEGMENT_HEADER, Segment, Span, StoreId};

/// A record is first read with this many bytes, since most are shorter.
const SPECULATIVE: usize = 512;

/// Reads the log; cheap to clone, to be shared between threads.
#[derive(Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

/// A record's bytes, reused from read to read.
#[derive(Clone, Debug, Default)]
pub struct RecordBuf {
    bytes: Vec<u8>,
    payload: Range<usize>,
}

impl RecordBuf {
    /// The payload last read.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Frames.
    pub frames: u64,
    /// Records.
    pub records: u64,
    /// Bytes of frames.
    pub bytes: u64,
    /// The last frame's sequence.
    pub sequence: u64,
}

impl LogReader {
    /// The store's id.
    pub fn store_id(&self) -> StoreId {
        self.shared.store
    }

    /// The last durable frame.
    pub fn position(&self) -> LogPosition {
        *self.shared.synced.lock()
    }

    /// The position before the first frame of a store.
    pub(crate) fn origin_of(store: &StoreId) -> LogPosition {
        Shared::origin(&super::frame::Seal::new(store))
    }

    /// The position before the first frame.
    pub fn origin(&self) -> LogPosition {
        Shared::origin(&self.shared.seal)
    }

    /// All segments that hold frames, the last of which is still being filled, in order. An unused one that was made
    /// ahead is not among them.
    pub fn segments(&self) -> Vec<Span> {
        let last = self.position().start;
        let spans = self.shared.segments.all();
        spans
            .into_iter()
            .map(|segment| segment.span)
            .filter(|span| span.base <= last.get())
            .collect()
    }

    /// The payload of the record at a place, checked by its own checksum.
    pub fn read_record(&self, at: Locator) -> Result<Vec<u8>, LogError> {
        let mut buffer = RecordBuf::default();
        self.read_into(at, &mut buffer)?;
        buffer.bytes.truncate(buffer.payload.end);
        buffer.bytes.drain(..buffer.payload.start);
        Ok(buffer.bytes)
    }

    /// As [`LogReader::read_record`], into a buffer that is used again.
    pub fn read_into<'b>(&self, at: Locator, buffer: &'b mut RecordBuf) -> Result<&'b [u8], LogError> {
        let segment = self.shared.segments.holding(at).ok_or(LogError::BadLocator(at))?;
        let offset = at.get() - segment.span.base;
        if offset < SEGMENT_HEADER {
            return Err(LogError::BadLocator(at));
        }
        buffer.payload = 0..0;
        let mut read = fill(&segment, &mut buffer.bytes, offset, 0, SPECULATIVE)?;
        let mut found = read_record(&buffer.bytes[..read]);
        if let Err(RecordFault::Short(needed)) = found
            // A damaged length must not make us read gigabytes.
            && offset + needed as u64 <= segment.span.capacity
        {
            read = fill(&segment, &mut buffer.bytes, offset, read, needed)?;
            found = read_record(&buffer.bytes[..read]);
        }
        match found {
            Ok(payload) => {
                buffer.payload = payload;
                Ok(buffer.payload())
            }
            Err(_) => {
                let what = "the record there does not match its checksum";
                Err(LogError::damaged(segment.span.number, offset, None, what))
            }
        }
    }

    /// The frames after a position.
    pub fn scan(&self, after: LogPosition) -> Result<Scan, LogError> {
        Scan::after(Arc::clone(&self.shared), after)
    }

    /// The frames from one on, given by where it begins.
    pub fn scan_from(&self, start: Locator) -> Result<Scan, LogError> {
        Scan::from(Arc::clone(&self.shared), start)
    }

    /// The frames of one segment.
    pub fn scan_segment(&self, number: u32) -> Result<Scan, LogError> {
        let segment = self
            .shared
            .segments
            .get(number)
            .ok_or(LogError::MissingSegment { number })?;
        Ok(self.scan_from(segment.span.first())?.only(number))
    }

    /// The frames from a sequence on. Finds the segment by its first frame, then reads that segment's frames before.
    pub fn scan_sequence(&self, sequence: u64) -> Result<Scan, LogError> {
        if sequence <= 1 {
            return self.scan(self.origin());
        }
        let spans = self.segments();
        let (mut low, mut high) = (0, spans.len());
        // Invariant: what is before `low` begins at or below the sequence, what is from `high` on begins after it.
        while low < high {
            let middle = low.midpoint(high);
            let first = self
                .scan_segment(spans[middle].number)?
                .next_frame()?
                .map(|frame| frame.header.sequence);
            // The first segment alone may hold no frame, when the first frame was larger than it.
            if first.is_none_or(|first| first <= sequence) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(index) = low.checked_sub(1) else {
            return self.scan(self.origin());
        };
        let mut position = None;
        let mut scan = self.scan_segment(spans[index].number)?;
        while let Some(frame) = scan.next_frame()? {
            if frame.header.sequence >= sequence {
                return match position {
                    Some(position) => self.scan(position),
                    None => self.scan_from(frame.start),
                };
            }
            let header = frame.header;
            let (start, end, hash) = (frame.start, frame.end(), frame.hash);
            position = Some(LogPosition {
                sequence: header.sequence,
                start,
                end,
                hash,
            });
        }
        self.scan(position.unwrap_or_else(|| self.position()))
    }

    /// Checks everything from the very beginning: frames, chain, sequence, each record's own checksum, and that the
    /// unused rest of each filled segment is zero. Calls `progress` after each frame. The first thing that is wrong is
    /// the error, with its file, byte and frame.
    pub fn verify_all(&self, mut progress: impl FnMut(Verified)) -> Result<Verified, LogError> {
        let mut done = Verified::default();
        let mut scan = self.scan(self.origin())?;
        let (mut segment, mut end) = (1, SEGMENT_HEADER);
        loop {
            let Some(frame) = scan.next_frame()? else {
                return Ok(done);
            };
            let (header, start, frame_end) = (frame.header, frame.start, frame.end());
            let records = frame.check_records();
            let now = scan.segment();
            if now != segment {
                self.check_unused(segment, end)?;
                segment = now;
            }
            let base = self
                .shared
                .segments
                .get(now)
                .map_or(0, |segment| segment.span.base);
            if let Err(at) = records {
                let what = "a record in it does not match its own checksum though the frame matches its own";
                return Err(LogError::damaged(now, at - base, Some(header.sequence), what));
            }
            debug_assert!(start.get() > base, "a frame begins after its segment's header");
            end = frame_end.get() - base;
            done.frames += 1;
            done.records += u64::from(header.count);
            done.bytes += u64::from(header.length);
            done.sequence = header.sequence;
            progress(done);
        }
    }

    fn check_unused(&self, number: u32, from: u64) -> Result<(), LogError> {
        let Some(segment) = self.shared.segments.get(number) else {
            return Ok(());
        };
        let Some(range) = nonzero(&segment, from)? else {
            return Ok(());
        };
        let what = "the unused rest of the segment is not zero; no frame is lost";
        Err(LogError::damaged(number, range.start, None, what))
    }
}

/// Reads a record's bytes up to `wanted`, `have` of which are there; answers how many are there now.
fn fill(
    segment: &Segment,
    bytes: &mut Vec<u8>,
    offset: u64,
    have: usize,
    wanted: usize,
) -> Result<usize, LogError> {
    if bytes.len() < wanted {
        bytes.resize(wanted, 0);
    }
    Ok(have + segment.read(&mut bytes[have..wanted], offset + have as u64)?)
}

/// The bytes of a segment from an offset on that are not zero: from the first to after the last.
pub(crate) fn nonzero(segment: &Segment, from: u64) -> Result<Option<Range<u64>>, LogError> {
    let mut chunk = vec![0; 1 << 20];
    let (mut at, mut found) = (from, None::<Range<u64>>);
    loop {
        let read = segment.read(&mut chunk, at)?;
        if read == 0 {
            return Ok(found);
        }
        for (i, block) in chunk[..read].chunks(4096).enumerate() {
            // A fold over all bytes is vectorised, a search for the first is not.
            if block.iter().fold(0, |all, byte| all | byte) == 0 {
                continue;
            }
            let base = at + (i * 4096) as u64;
            let first = block.iter().position(|byte| *byte != 0).map_or(0, |at| at as u64);
            let last = block
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at as u64);
            let start = found.as_ref().map_or(base + first, |range| range.start);
            found = Some(start..base + last + 1);
        }
        at += read as u64;
    }
}
