//! Segments: the files that hold frames, and the one address space over all of them.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::disk::{Beside, Disk, DiskError, DiskFile, OpenMode};
use super::error::LogError;

/// The bytes of a segment's header; the first frame begins after it.
pub const SEGMENT_HEADER: u64 = 64;
/// The version of the segment header.
pub const SEGMENT_VERSION: u16 = 2;
/// Locators are below this.
pub const ADDRESS_LIMIT: u64 = 1 << 48;

const SEGMENT_MAGIC: [u8; 8] = *b"SALDOLOG";
const ENDING: &str = ".log";

/// What a store is called in its files; random, made with the store.
pub type StoreId = [u8; 16];

/// A place in the whole log: a segment's base plus the byte in its file. Ascending in the order of writing, below
/// 2⁴⁸, and never zero for a record or a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator(u64);

impl Locator {
    /// A locator from its number, as stored in records, runs and snapshots.
    pub const fn new(offset: u64) -> Self {
        Self(offset)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// A segment's place in the address space. Both are fixed when its file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its number, from 1.
    pub number: u32,
    /// The address of its file's first byte.
    pub base: u64,
    /// Its file's length.
    pub capacity: u64,
}

impl Span {
    /// Where its first frame begins.
    pub fn first(&self) -> Locator {
        Locator(self.base + SEGMENT_HEADER)
    }

    /// The address after its file's last byte: the next segment's base.
    pub fn end(&self) -> u64 {
        self.base + self.capacity
    }
}

/// The name of a segment's file.
pub fn file_name(number: u32) -> String {
    format!("{number:08}{ENDING}")
}

/// The number in a segment's file name.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(ENDING)?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) span: Span,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Makes a segment: really written with zeros, under its name only when it is complete and durable.
    pub(crate) fn make(disk: &dyn Disk, store: &StoreId, span: Span) -> Result<Self, DiskError> {
        let mut file = Beside::create(disk, &file_name(span.number))?;
        file.write(&encode(store, span))?;
        file.fill_to(span.capacity)?;
        Ok(Self {
            span,
            file: file.commit()?,
        })
    }

    /// Opens a segment and checks its header, for the store if that is known. Answers the store's id, too.
    pub(crate) fn open(
        disk: &dyn Disk,
        number: u32,
        store: Option<&StoreId>,
    ) -> Result<(Self, StoreId), LogError> {
        let file = disk.open(&file_name(number), OpenMode::Existing)?;
        let mut header = [0; SEGMENT_HEADER as usize];
        let read = file.read_at(&mut header, 0)?;
        let damaged = |what: &str| LogError::damaged(number, 0, None, format!("the segment's header {what}"));
        if read < header.len() {
            return Err(damaged("is cut off"));
        }
        let (found, version, span) = decode(&header).ok_or_else(|| damaged("does not match its checksum"))?;
        if version != SEGMENT_VERSION {
            return Err(LogError::NewerVersion {
                number,
                found: version,
                supported: SEGMENT_VERSION,
            });
        }
        if let Some(&expected) = store.filter(|expected| **expected != found) {
            return Err(LogError::ForeignStore {
                number,
                found,
                expected,
            });
        }
        if span.number != number {
            return Err(damaged(&format!("says that it is segment {}", span.number)));
        }
        if span.capacity < SEGMENT_HEADER || span.end() > ADDRESS_LIMIT {
            return Err(damaged("has impossible addresses"));
        }
        // Segments get their names when they have their whole length. What is gone may have held frames.
        let length = file.len()?;
        if length < span.capacity {
            let what = format!(
                "its file ends here, though its header says that it has {} bytes",
                span.capacity
            );
            return Err(LogError::damaged(number, length, None, what));
        }
        Ok((Self { span, file }, found))
    }

    /// The span in a header, if its checksum is right.
    pub(crate) fn span_of(header: &[u8]) -> Option<Span> {
        decode(header.first_chunk()?).map(|(.., span)| span)
    }

    /// Reads up to the buffer's length from a byte of the file; less at the end of the segment.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let left = usize::try_from(self.span.capacity.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        self.file.read_at(&mut buffer[..length], offset)
    }
}

/// A segment's header as bytes.
fn encode(store: &StoreId, span: Span) -> [u8; SEGMENT_HEADER as usize] {
    let mut header = [0; SEGMENT_HEADER as usize];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..10].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&span.number.to_le_bytes());
    header[16..32].copy_from_slice(store);
    header[32..40].copy_from_slice(&span.base.to_le_bytes());
    header[40..48].copy_from_slice(&span.capacity.to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Store, version and span of a header whose checksum matches. Magic, version and checksum keep their places in all
/// versions.
fn decode(header: &[u8; SEGMENT_HEADER as usize]) -> Option<(StoreId, u16, Span)> {
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    if header[..8] != SEGMENT_MAGIC || u32_at(60) != crc32c::crc32c(&header[..60]) {
        return None;
    }
    let store = header[16..32].try_into().expect("sixteen bytes");
    let span = Span {
        number: u32_at(12),
        base: u64_at(32),
        capacity: u64_at(40),
    };
    Some((store, u16::from_le_bytes([header[8], header[9]]), span))
}

/// All segments in the order of their numbers, shared by the writer, the readers and the helper that makes new ones.
pub(crate) struct Segments {
    list: RwLock<Vec<Arc<Segment>>>,
}

impl Segments {
    pub(crate) fn new(list: Vec<Arc<Segment>>) -> Self {
        assert!(!list.is_empty(), "a log has a first segment");
        Self {
            list: RwLock::new(list),
        }
    }

    /// Opens all segments of a store in a folder and checks that they belong together.
    pub(crate) fn open(disk: &dyn Disk) -> Result<(Self, StoreId), LogError> {
        let mut numbers: Vec<u32> = disk.list()?.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            return Err(LogError::NotFound);
        }
        let mut list: Vec<Arc<Segment>> = Vec::with_capacity(numbers.len());
        let mut store = None;
        for (number, expected) in numbers.into_iter().zip(1..) {
            if number != expected {
                return Err(LogError::MissingSegment { number: expected });
            }
            let (segment, found) = Segment::open(disk, number, store.as_ref())?;
            let base = list.last().map_or(0, |before| before.span.end());
            if segment.span.base != base {
                let what = format!(
                    "the segment begins at address {} instead of {base}",
                    segment.span.base
                );
                return Err(LogError::damaged(number, 0, None, what));
            }
            store = Some(found);
            list.push(Arc::new(segment));
        }
        let store = store.expect("there is at least one segment");
        Ok((Self::new(list), store))
    }

    /// The segment of a number.
    pub(crate) fn get(&self, number: u32) -> Option<Arc<Segment>> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.list.read().get(index).cloned()
    }

    /// The segment that holds an address.
    pub(crate) fn holding(&self, at: Locator) -> Option<Arc<Segment>> {
        let list = self.list.read();
        let index = list
            .partition_point(|segment| segment.span.base <= at.get())
            .checked_sub(1)?;
        list.get(index)
            .filter(|segment| at.get() < segment.span.end())
            .cloned()
    }

    /// All segments.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.list.read().clone()
    }

    /// Puts the segment after the last one, or replaces the last one, which must be unused.
    pub(crate) fn put(&self, segment: Arc<Segment>) {
        let mut list = self.list.write();
        let index = segment.span.number as usize - 1;
        if index + 1 == list.len() {
            list[index] = segment;
        } else {
            assert_eq!(index, list.len(), "segments are made in order");
            list.push(segment);
        }
    }

    /// Forgets the segments after this number.
    pub(crate) fn truncate(&self, number: u32) {
        self.list.write().truncate(number as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_headers_read_back() {
        assert_eq!(file_name(7), "00000007.log");
        assert_eq!(number_of("00000007.log"), Some(7));
        assert_eq!(number_of("7.log"), None);
        assert_eq!(number_of("00000007.keys"), None);
        assert_eq!(number_of(&file_name(123_456_789)), Some(123_456_789));
        let span = Span {
            number: 3,
            base: 1 << 30,
            capacity: 1 << 20,
        };
        let header = encode(&[4; 16], span);
        assert_eq!(decode(&header), Some(([4; 16], SEGMENT_VERSION, span)));
        for i in 0..header.len() {
            let mut bad = header;
            bad[i] ^= 1;
            assert_eq!(decode(&bad), None, "byte {i}");
        }
    }
}
