//! Frames and records as bytes; the layout is in the crate's head.
//!
//! A record carries its own length and checksum, so that it can be read through a link and checked alone. A frame's
//! checksum is salted with the store's id: bytes that a client chose (free text inside a record) can't pass for a
//! frame when a torn tail is searched, and neither can another store's.

use ledger::varint;

use super::segment::{Locator, StoreId};

/// The version of the frame layout.
pub const FRAME_VERSION: u16 = 1;
/// A frame's header, before its first record.
pub const FRAME_HEADER: usize = 56;
/// What a frame begins with. No UTF-8 text holds the bytes F5 or FE, so free text rarely looks like one.
pub const FRAME_MAGIC: [u8; 4] = [0xF5, b'S', b'F', 0xFE];
/// The most bytes a record's length and checksum take.
pub const RECORD_OVERHEAD: usize = 9;

const RECORD_CRC: usize = 4;

/// BLAKE3 of a frame's bytes, truncated to 16: enough against accidents and, at 2⁶⁴ work, against chosen collisions.
pub type FrameHash = [u8; 16];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Records.
    Data,
    /// The last frame of a clean stop; no records.
    Closing,
}

impl FrameKind {
    fn byte(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Closing => 2,
        }
    }
}

/// A frame's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is.
    pub kind: FrameKind,
    /// Header and body together.
    pub length: u32,
    /// The store-wide number, from 1, without gaps.
    pub sequence: u64,
    /// When it was written, µs since 1970.
    pub time: i64,
    /// How many records it has.
    pub count: u32,
    /// The hash of the frame before.
    pub previous: FrameHash,
}

/// Why bytes are not a frame. All but `Version` may be a torn write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// No frame begins here; unused space looks so.
    #[error("no frame begins here")]
    Magic,
    /// The length is impossible, or the file ends before.
    #[error("its length is impossible")]
    Length,
    /// The bytes don't match the checksum.
    #[error("its checksum does not match")]
    Checksum,
    /// The checksum matches, the version is not ours.
    #[error("it has format version {0}")]
    Version(u16),
    /// The checksum matches but the content is nonsense: written by a faulty program.
    #[error("its content contradicts its header though the checksum matches")]
    Content,
}

/// What seals a store's frames: the start value of their checksum and the hash before the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    salt: u32,
    genesis: FrameHash,
}

impl Seal {
    pub(crate) fn new(store: &StoreId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"saldo journal genesis");
        hasher.update(store);
        Self {
            salt: crc32c::crc32c(store),
            genesis: truncate(hasher.finalize()),
        }
    }

    /// What frame 1 names as the hash of the frame before.
    pub(crate) fn genesis(&self) -> FrameHash {
        self.genesis
    }

    pub(crate) fn checksum(&self, frame: &[u8]) -> u32 {
        crc32c::crc32c_append(self.salt, &frame[8..])
    }

    /// The length that a frame's first bytes claim, if they claim one that is possible.
    pub(crate) fn claimed_length(header: &[u8], limit: u64) -> Result<usize, FrameFault> {
        if header.len() < 4 || header[..4] != FRAME_MAGIC {
            return Err(FrameFault::Magic);
        }
        if header.len() < FRAME_HEADER {
            return Err(FrameFault::Length);
        }
        let length = u32_at(header, 12);
        if (length as usize) < FRAME_HEADER || u64::from(length) > limit {
            return Err(FrameFault::Length);
        }
        Ok(length as usize)
    }

    /// Whether a header is worth reading its frame, when one of a sequence above `last` is searched at any byte. The
    /// bytes before a header's sequence may be a client's, and lead to a long frame; the sequence is not.
    pub(crate) fn worth_reading(header: &[u8; FRAME_HEADER], last: u64) -> bool {
        let sequence = u64_at(header, 16);
        u16::from_le_bytes([header[8], header[9]]) == FRAME_VERSION
            && matches!(header[10], 1 | 2)
            && header[36..40] == [0; 4]
            && sequence
                .checked_sub(last)
                .is_some_and(|ahead| ahead > 0 && ahead <= 1 << 32)
    }

    /// Checks a frame of exactly these bytes, all but the records' own checksums.
    pub(crate) fn decode(&self, frame: &[u8]) -> Result<FrameHeader, FrameFault> {
        let length = Self::claimed_length(frame, frame.len() as u64)?;
        if length != frame.len() {
            return Err(FrameFault::Length);
        }
        if self.checksum(frame) != u32_at(frame, 4) {
            return Err(FrameFault::Checksum);
        }
        let version = u16::from_le_bytes([frame[8], frame[9]]);
        if version != FRAME_VERSION {
            return Err(FrameFault::Version(version));
        }
        let header = FrameHeader {
            kind: match frame[10] {
                1 => FrameKind::Data,
                2 => FrameKind::Closing,
                _ => return Err(FrameFault::Content),
            },
            length: u32_at(frame, 12),
            sequence: u64_at(frame, 16),
            time: u64_at(frame, 24).cast_signed(),
            count: u32_at(frame, 32),
            previous: frame[40..56].try_into().expect("sixteen bytes"),
        };
        let records = Records::new(&frame[FRAME_HEADER..]).try_fold(0_u32, |count, record| {
            record
                .map(|_| count.saturating_add(1))
                .map_err(|_| FrameFault::Content)
        })?;
        let empty = header.count == 0;
        if records != header.count || empty != (header.kind == FrameKind::Closing) {
            return Err(FrameFault::Content);
        }
        Ok(header)
    }
}

/// The hash of a whole frame, which the next one carries.
pub(crate) fn hash_frame(frame: &[u8]) -> FrameHash {
    truncate(blake3::hash(frame))
}

fn truncate(hash: blake3::Hash) -> FrameHash {
    hash.as_bytes()[..16]
        .try_into()
        .expect("a BLAKE3 hash has 32 bytes")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A frame being filled: room for the header, then records. Reused from batch to batch.
#[derive(Clone, Debug)]
pub struct FrameBuf {
    bytes: Vec<u8>,
    count: u32,
}

impl Default for FrameBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuf {
    /// An empty frame.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; FRAME_HEADER],
            count: 0,
        }
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER, 0);
        self.count = 0;
    }

    /// Appends a record; answers its offset from the frame's start, for [`super::FrameStart::record`].
    ///
    /// # Panics
    ///
    /// If the frame would pass 4 GiB, far beyond every limit.
    pub fn push(&mut self, payload: &[u8]) -> u32 {
        self.push_parts(&[payload])
    }

    /// Appends a record whose payload is these parts in order; as [`FrameBuf::push`].
    ///
    /// # Panics
    ///
    /// If the frame would pass 4 GiB, far beyond every limit.
    pub fn push_parts(&mut self, parts: &[&[u8]]) -> u32 {
        let at = self.next_offset();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).expect("a record is smaller than a frame");
        varint::put(&mut self.bytes, length.into());
        self.bytes.extend_from_slice(&[0; RECORD_CRC]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
        at
    }

    /// Where the next record will begin, from the frame's start.
    ///
    /// # Panics
    ///
    /// If the frame passes 4 GiB, far beyond every limit.
    pub fn next_offset(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("frames are limited far below 4 GiB")
    }

    /// Header and records together, in bytes.
    pub fn frame_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many records it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What was pushed, in order.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let records = Records::new(&self.bytes[FRAME_HEADER..]);
        records.filter_map(|record| record.ok().map(|record| record.payload))
    }

    /// The payload of the record that begins at an offset from the frame's start.
    pub(crate) fn payload(&self, offset: u64) -> Option<&[u8]> {
        debug_assert!(offset >= FRAME_HEADER as u64, "records stand behind the header");
        let behind = self.bytes.get(usize::try_from(offset).ok()?..)?;
        Some(Records::new(behind).next()?.ok()?.payload)
    }

    /// Fills in the records' checksums.
    fn check_in(&mut self) {
        let mut at = FRAME_HEADER;
        while let Ok((length, head)) = get_varint(&self.bytes[at..]) {
            let (place, end) = (at + head, at + head + RECORD_CRC + length as usize);
            let crc = record_crc(&self.bytes[at..end], head);
            self.bytes[place..place + RECORD_CRC].copy_from_slice(&crc.to_le_bytes());
            at = end;
        }
    }

    /// Fills in the checksums and the header. The bytes are then the frame.
    pub(crate) fn seal(
        &mut self,
        seal: &Seal,
        kind: FrameKind,
        sequence: u64,
        time: i64,
        previous: &FrameHash,
    ) -> &[u8] {
        self.check_in();
        let length = self.next_offset();
        let header = &mut self.bytes[..FRAME_HEADER];
        header.fill(0);
        header[..4].copy_from_slice(&FRAME_MAGIC);
        header[8..10].copy_from_slice(&FRAME_VERSION.to_le_bytes());
        header[10] = kind.byte();
        header[12..16].copy_from_slice(&length.to_le_bytes());
        header[16..24].copy_from_slice(&sequence.to_le_bytes());
        header[24..32].copy_from_slice(&time.to_le_bytes());
        header[32..36].copy_from_slice(&self.count.to_le_bytes());
        header[40..56].copy_from_slice(previous);
        let crc = seal.checksum(&self.bytes);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// A checked frame in memory.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Its header.
    pub header: FrameHeader,
    /// Where it begins.
    pub start: Locator,
    /// Its hash.
    pub hash: FrameHash,
    pub(crate) bytes: &'a [u8],
}

impl<'a> FrameView<'a> {
    /// The byte after it.
    pub fn end(&self) -> Locator {
        Locator::new(self.start.get() + u64::from(self.header.length))
    }

    /// Its records: where each is, and its payload. The frame's checksum covers them; for their own checksums see
    /// [`FrameView::check_records`].
    pub fn records(&self) -> impl Iterator<Item = (Locator, &'a [u8])> + use<'a> {
        let first = self.start.get() + FRAME_HEADER as u64;
        Records::new(&self.bytes[FRAME_HEADER..]).filter_map(move |record| {
            // Decoding the frame walked all records, so none is left out here.
            record
                .ok()
                .map(|record| (Locator::new(first + record.at as u64), record.payload))
        })
    }

    /// Checks each record's own checksum; answers the offset of the first that is wrong.
    pub fn check_records(&self) -> Result<(), u64> {
        let body = &self.bytes[FRAME_HEADER..];
        for record in Records::new(body).flatten() {
            if read_record(&body[record.at..]).is_err() {
                return Err(self.start.get() + (FRAME_HEADER + record.at) as u64);
            }
        }
        Ok(())
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFault {
    /// More bytes are needed: this many in all, if that is known.
    Short(usize),
    /// They are not a record.
    Bad,
}

/// A record at the start of some bytes: the payload's place, its length and checksum being checked.
pub(crate) fn read_record(bytes: &[u8]) -> Result<std::ops::Range<usize>, RecordFault> {
    let (length, head) = get_varint(bytes)?;
    let start = head + RECORD_CRC;
    let end = start + length as usize;
    if bytes.len() < end {
        return Err(RecordFault::Short(end));
    }
    let stated = u32_at(bytes, head);
    if stated == record_crc(&bytes[..end], head) {
        Ok(start..end)
    } else {
        Err(RecordFault::Bad)
    }
}

/// The checksum of a record whose length takes `head` bytes: of all but itself.
fn record_crc(record: &[u8], head: usize) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..head]), &record[head + RECORD_CRC..])
}

/// Walks the records of a body by their lengths.
struct Records<'a> {
    body: &'a [u8],
    at: usize,
}

struct Record<'a> {
    at: usize,
    payload: &'a [u8],
}

impl<'a> Records<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.body[self.at..];
        if rest.is_empty() {
            return None;
        }
        let found = get_varint(rest).and_then(|(length, head)| {
            let start = head + RECORD_CRC;
            let end = start + length as usize;
            rest.get(start..end)
                .map(|payload| (payload, end))
                .ok_or(RecordFault::Bad)
        });
        Some(match found {
            Ok((payload, end)) => {
                let at = self.at;
                self.at += end;
                Ok(Record { at, payload })
            }
            Err(fault) => {
                self.at = self.body.len();
                Err(fault)
            }
        })
    }
}

/// A length in as few bytes as possible, and how many those were.
fn get_varint(bytes: &[u8]) -> Result<(u32, usize), RecordFault> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            let minimal = i == 0 || *byte != 0;
            return match u32::try_from(value) {
                Ok(value) if minimal => Ok((value, i + 1)),
                _ => Err(RecordFault::Bad),
            };
        }
    }
    if bytes.len() < 5 {
        Err(RecordFault::Short(RECORD_OVERHEAD))
    } else {
        Err(RecordFault::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = [9; 16];

    fn sealed(payloads: &[&[u8]]) -> Vec<u8> {
        let mut frame = FrameBuf::new();
        for payload in payloads {
            frame.push(payload);
        }
        let seal = Seal::new(&STORE);
        frame.seal(&seal, FrameKind::Data, 7, -3, &[5; 16]).to_vec()
    }

    #[test]
    fn a_frame_reads_back() {
        let long = vec![0xAB; 300];
        let bytes = sealed(&[b"", b"one", &long]);
        let header = Seal::new(&STORE).decode(&bytes).unwrap();
        assert_eq!((header.sequence, header.time, header.count), (7, -3, 3));
        assert_eq!((header.kind, header.previous), (FrameKind::Data, [5; 16]));
        let view = FrameView {
            header,
            start: Locator::new(1000),
            hash: hash_frame(&bytes),
            bytes: &bytes,
        };
        let records: Vec<_> = view.records().collect();
        assert_eq!(records[0], (Locator::new(1056), &b""[..]));
        assert_eq!(records[1], (Locator::new(1061), &b"one"[..]));
        assert_eq!(records[2].1, &long[..]);
        assert_eq!(view.check_records(), Ok(()));
        assert_eq!(view.end().get(), 1000 + bytes.len() as u64);
    }

    #[test]
    fn the_layout_is_fixed() {
        let bytes = sealed(&[b"x"]);
        assert_eq!(bytes.len(), 56 + 6);
        assert_eq!(&bytes[..4], &[0xF5, 0x53, 0x46, 0xFE]);
        assert_eq!(&bytes[8..16], &[1, 0, 1, 0, 62, 0, 0, 0]);
        assert_eq!(&bytes[16..24], &[7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[24..32], &(-3_i64).to_le_bytes());
        assert_eq!(&bytes[32..40], &[1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[40..56], &[5; 16]);
        assert_eq!((bytes[56], bytes[61]), (1, b'x'));
        let crc = crc32c::crc32c_append(crc32c::crc32c(&STORE), &bytes[8..]);
        assert_eq!(&bytes[4..8], &crc.to_le_bytes());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let bytes = sealed(&[b"one", b"two"]);
        let seal = Seal::new(&STORE);
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 0x10;
            assert!(seal.decode(&bad).is_err(), "byte {i}");
        }
        assert_eq!(
            Seal::new(&[1; 16]).decode(&bytes),
            Err(FrameFault::Checksum),
            "another store's frame"
        );
    }

    #[test]
    fn records_are_checked_alone() {
        let bytes = sealed(&[b"hello"]);
        let record = &bytes[FRAME_HEADER..];
        assert_eq!(read_record(record), Ok(5..10));
        for i in 0..record.len() {
            let mut bad = record.to_vec();
            bad[i] ^= 1;
            assert!(read_record(&bad).is_err(), "byte {i}");
        }
        assert_eq!(read_record(&record[..7]), Err(RecordFault::Short(10)));
        assert_eq!(read_record(&[]), Err(RecordFault::Short(RECORD_OVERHEAD)));
        assert_eq!(
            read_record(&[0; 64]),
            Err(RecordFault::Bad),
            "zeros are no record"
        );
        assert_eq!(
            read_record(&[0x80, 0, 0, 0, 0, 0]),
            Err(RecordFault::Bad),
            "a length is minimal"
        );
    }
}
