//! Runs: the pairs of the key table that a sealed segment's records gave, sorted, beside the segment. Opening fills
//! the table from them instead of from the records. They can always be made again from the segment.
//!
//! The file, little-endian:
//!
//! ```text
//!  0  8  magic "SALDOKEY"         40  16  zero
//!  8  2  version, 2               56   4  CRC32C of the body
//! 10  2  zero                     60   4  CRC32C of bytes 0..60
//! 12  4  segment number           64  16 a pair: hash, locator; ascending
//! 16 16  store id
//! 32  8  number of pairs
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::disk::{Beside, Disk, DiskError, DiskFile, OpenMode};
use super::segment::{Locator, StoreId};

const MAGIC: [u8; 8] = *b"SALDOKEY";
const VERSION: u16 = 2;
const HEADER: usize = 64;
const PAIR: usize = 16;
/// Pairs are read and written in pieces of so many.
const PIECE: usize = 1 << 16;

/// Why there is no run to load. All but [`RunError::Disk`] mean: make it again from the segment.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was never written, or was removed.
    #[error("{0} does not exist")]
    Missing(String),
    /// It is not what was written, or belongs to another store.
    #[error("{name} is damaged: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A file operation failed.
    #[error(transparent)]
    Disk(DiskError),
}

impl From<DiskError> for RunError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::NotFound { name } => Self::Missing(name),
            other => Self::Disk(other),
        }
    }
}

/// The name of a segment's run.
pub fn run_name(segment: u32) -> String {
    format!("{segment:08}.keys")
}

/// Sorts the pairs of a segment and writes them as its run: written beside, synced, renamed.
pub fn write_run(
    disk: &dyn Disk,
    store: &StoreId,
    segment: u32,
    pairs: &mut [(u64, Locator)],
) -> Result<(), DiskError> {
    pairs.sort_unstable();
    let mut crc = 0;
    let mut piece = Vec::with_capacity(PIECE.min(pairs.len()) * PAIR);
    // The checksum comes before the body, so the body is encoded twice; that is cheaper than keeping it.
    for pairs in pairs.chunks(PIECE) {
        encode(pairs, &mut piece);
        crc = crc32c::crc32c_append(crc, &piece);
    }
    let mut file = Beside::create(disk, &run_name(segment))?;
    file.write(&header(store, segment, pairs.len() as u64, crc))?;
    for pairs in pairs.chunks(PIECE) {
        encode(pairs, &mut piece);
        file.write(&piece)?;
    }
    file.commit()?;
    Ok(())
}

/// Reads and checks a segment's run: its pairs, ascending.
pub fn load_run(disk: &dyn Disk, store: &StoreId, segment: u32) -> Result<Vec<(u64, Locator)>, RunError> {
    let run = Run::of(disk, store, segment)?;
    let mut pairs = Vec::new();
    let crc = run.open()?.read(0..run.count, &mut pairs)?;
    run.check(crc)?;
    Ok(pairs)
}

/// A segment's run whose header was checked. Its pairs can be read in parts; that they are what was written says only the
/// checksum of them all. The file is not kept open: a large store has many.
pub struct Run<'d> {
    disk: &'d dyn Disk,
    segment: u32,
    count: u64,
    body_crc: u32,
}

/// A run that is being read.
pub struct OpenRun<'r> {
    run: &'r Run<'r>,
    file: Arc<dyn DiskFile>,
}

impl<'d> Run<'d> {
    /// A segment's run, its header checked.
    pub fn of(disk: &'d dyn Disk, store: &StoreId, segment: u32) -> Result<Self, RunError> {
        let file = disk.open(&run_name(segment), OpenMode::Existing)?;
        let mut head = [0; HEADER];
        let read = file.read_at(&mut head, 0)?;
        let run = Self {
            disk,
            segment,
            count: u64::from_le_bytes(head[32..40].try_into().expect("eight bytes")),
            body_crc: u32::from_le_bytes(head[56..60].try_into().expect("four bytes")),
        };
        if read < HEADER {
            return Err(run.damaged("its header is cut off"));
        }
        if head != header(store, segment, run.count, run.body_crc) {
            return Err(run.damaged("its header is not this segment's, or does not match its checksum"));
        }
        let length = run.count.checked_mul(PAIR as u64);
        let length = length.and_then(|body| body.checked_add(HEADER as u64));
        if length != Some(file.len()?) {
            return Err(run.damaged("its length is wrong"));
        }
        Ok(run)
    }

    /// The number of its segment.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// How many pairs it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Compares the checksum of all its pairs.
    pub fn check(&self, crc: u32) -> Result<(), RunError> {
        match crc == self.body_crc {
            true => Ok(()),
            false => Err(self.damaged("its pairs do not match their checksum")),
        }
    }

    /// That this is wrong with it.
    pub fn damaged(&self, what: &'static str) -> RunError {
        RunError::Damaged {
            name: run_name(self.segment),
            what,
        }
    }

    /// Opens its file to read pairs.
    pub fn open(&self) -> Result<OpenRun<'_>, RunError> {
        let file = self.disk.open(&run_name(self.segment), OpenMode::Existing)?;
        Ok(OpenRun { run: self, file })
    }
}

impl OpenRun<'_> {
    /// How many pairs stand before the first whose hash is not below this one.
    pub fn before(&self, hash: u64) -> Result<u64, RunError> {
        let (mut low, mut high) = (0, self.run.count);
        while low < high {
            let middle = low.midpoint(high);
            let mut found = [0; 8];
            self.fill(&mut found, middle)?;
            if u64::from_le_bytes(found) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Appends the pairs with these numbers, and answers the checksum of their bytes.
    pub fn read(&self, numbers: Range<u64>, pairs: &mut Vec<(u64, Locator)>) -> Result<u32, RunError> {
        let count = usize::try_from(numbers.end.saturating_sub(numbers.start));
        let mut left = count.map_err(|_| self.run.damaged("its length is wrong"))?;
        pairs.reserve(left);
        let mut piece = vec![0; PIECE.min(left) * PAIR];
        let (mut crc, mut at) = (0, numbers.start);
        while left > 0 {
            let wanted = left.min(PIECE);
            let piece = &mut piece[..wanted * PAIR];
            self.fill(piece, at)?;
            crc = crc32c::crc32c_append(crc, piece);
            at += wanted as u64;
            left -= wanted;
            pairs.extend(piece.chunks_exact(PAIR).map(|pair| {
                let (hash, locator) = pair.split_at(8);
                let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                (number(hash), Locator::new(number(locator)))
            }));
        }
        Ok(crc)
    }

    /// Fills the buffer from the beginning of this pair on.
    fn fill(&self, buffer: &mut [u8], pair: u64) -> Result<(), RunError> {
        let read = self.file.read_at(buffer, HEADER as u64 + pair * PAIR as u64)?;
        match read == buffer.len() {
            true => Ok(()),
            false => Err(self.run.damaged("it is cut off")),
        }
    }
}

fn encode(pairs: &[(u64, Locator)], out: &mut Vec<u8>) {
    out.clear();
    for (hash, locator) in pairs {
        out.extend_from_slice(&hash.to_le_bytes());
        out.extend_from_slice(&locator.get().to_le_bytes());
    }
}

fn header(store: &StoreId, segment: u32, count: u64, body_crc: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&segment.to_le_bytes());
    header[16..32].copy_from_slice(store);
    header[32..40].copy_from_slice(&count.to_le_bytes());
    header[56..60].copy_from_slice(&body_crc.to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::SimDisk;

    const STORE: StoreId = [3; 16];

    #[test]
    fn a_run_reads_back_sorted() {
        let disk = SimDisk::new(0);
        assert!(
            matches!(load_run(&disk, &STORE, 4), Err(RunError::Missing(name)) if name == "00000004.keys")
        );
        let mut pairs: Vec<_> = (1..150_000_u64)
            .map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15), Locator::new(i)))
            .collect();
        write_run(&disk, &STORE, 4, &mut pairs).unwrap();
        assert!(pairs.is_sorted());
        assert_eq!(load_run(&disk, &STORE, 4).unwrap(), pairs);
        write_run(&disk, &STORE, 4, &mut []).unwrap();
        assert_eq!(load_run(&disk, &STORE, 4).unwrap(), []);
    }

    #[test]
    fn a_damaged_run_is_refused() {
        let disk = SimDisk::new(0);
        let mut pairs = [(7, Locator::new(70)), (3, Locator::new(30))];
        write_run(&disk, &STORE, 1, &mut pairs).unwrap();
        let good = disk.content("00000001.keys");
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 4;
            disk.set("00000001.keys", bad);
            assert!(
                matches!(load_run(&disk, &STORE, 1), Err(RunError::Damaged { .. })),
                "byte {i}"
            );
            disk.set("00000001.keys", good[..i].to_vec());
            assert!(
                matches!(load_run(&disk, &STORE, 1), Err(RunError::Damaged { .. })),
                "cut at {i}"
            );
        }
        disk.set("00000001.keys", good.clone());
        assert!(
            matches!(load_run(&disk, &[1; 16], 1), Err(RunError::Damaged { .. })),
            "another store's"
        );
        disk.set("00000002.keys", good);
        assert!(
            matches!(load_run(&disk, &STORE, 2), Err(RunError::Damaged { .. })),
            "another segment's"
        );
    }
}
