//! What the simulated disk holds: files by sectors, and names.

use std::collections::{BTreeMap, BTreeSet};

use store::suite::Random;

use crate::log::frame::{FRAME_HEADER, FRAME_MAGIC, Seal};
use crate::log::segment::SEGMENT_HEADER;

/// What a medium writes at once, or not at all.
pub(super) const SECTOR: usize = 512;

/// Which of the writes that were not synced are kept when the power goes. A write is named by its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Nothing,
    Everything,
    /// Each by chance: so many of a hundred.
    Some(u64),
    /// What was written before: nothing was reordered.
    UpTo(u64),
    /// What was written after: everything was.
    From(u64),
}

impl Kept {
    pub(super) fn by_chance(random: &mut Random, points: u64) -> Self {
        let recent = points.saturating_sub(random.below(12));
        match random.below(9) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::Some(8),
            3 | 4 => Self::Some(50),
            5 => Self::Some(92),
            6 | 7 => Self::UpTo(recent),
            _ => Self::From(recent),
        }
    }

    fn keeps(self, random: &mut Random, point: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(share) => random.percent(share),
            Self::UpTo(last) => point <= last,
            Self::From(first) => point >= first,
        }
    }

    /// How many of these versions, oldest first, have passed: 0 leaves what was there before.
    fn of(
        self,
        random: &mut Random,
        points: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator,
    ) -> usize {
        let count = points.len();
        let newest = points.rev().position(|point| self.keeps(random, point));
        newest.map_or(0, |nth| count - nth)
    }
}

type Sector = [u8; SECTOR];

/// A file.
#[derive(Clone, Default)]
pub(super) struct File {
    /// What it is called now, for messages and faults.
    pub(super) name: String,
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// What was written to each sector since the last sync, oldest first.
    dirty: BTreeMap<usize, Vec<(u64, Sector)>>,
    /// The lengths it has had since the last sync.
    lengths: Vec<(u64, usize)>,
    /// Sectors that take space.
    taken: BTreeSet<usize>,
    /// The pages that a failed sync dropped: they read as written, and the medium may not have them.
    dropped: bool,
    /// The point of the last sync that was answered late.
    late: u64,
}

fn sectors(offset: u64, length: usize) -> std::ops::Range<usize> {
    let offset = usize::try_from(offset).expect("files are small");
    offset / SECTOR..(offset + length).div_ceil(SECTOR)
}

impl File {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.cache
    }

    /// Whether the file reads as these bytes there.
    pub(super) fn reads(&self, bytes: &[u8], offset: u64) -> bool {
        let offset = usize::try_from(offset).expect("files are small");
        self.cache.get(offset..offset + bytes.len()) == Some(bytes)
    }

    /// How much more space a write takes.
    pub(super) fn growth(&self, length: usize, offset: u64) -> u64 {
        let new = sectors(offset, length).filter(|sector| !self.taken.contains(sector));
        (new.count() * SECTOR) as u64
    }

    pub(super) fn write(&mut self, point: u64, bytes: &[u8], offset: u64, takes: bool) {
        let from = usize::try_from(offset).expect("files are small");
        let end = from + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
            self.lengths.push((point, end));
        }
        self.cache[from..end].copy_from_slice(bytes);
        for sector in sectors(offset, bytes.len()) {
            let now = self.sector(sector);
            self.dirty.entry(sector).or_default().push((point, now));
            if takes {
                self.taken.insert(sector);
            }
        }
    }

    fn sector(&self, sector: usize) -> Sector {
        let mut now = [0; SECTOR];
        let from = self.cache.len().min(sector * SECTOR);
        let bytes = &self.cache[from..self.cache.len().min(from + SECTOR)];
        now[..bytes.len()].copy_from_slice(bytes);
        now
    }

    fn empty(&mut self, point: u64) {
        for sector in 0..self.cache.len().div_ceil(SECTOR) {
            self.dirty.entry(sector).or_default().push((point, [0; SECTOR]));
        }
        self.cache.clear();
        self.taken.clear();
        self.lengths.push((point, 0));
    }

    pub(super) fn sync(&mut self) {
        match self.dropped {
            // What a failed sync dropped is not written by a later one.
            true => self.pass(|_| usize::MAX, |_| usize::MAX),
            false => {
                self.durable.clone_from(&self.cache);
                self.dirty.clear();
                self.lengths.clear();
            }
        }
    }

    /// Makes durable only what was written before the last call of this.
    pub(super) fn sync_late(&mut self, point: u64) {
        let last = std::mem::replace(&mut self.late, point);
        let count = |points: &mut dyn Iterator<Item = u64>| points.take_while(|point| *point < last).count();
        let (mut dirty, mut lengths) = (std::mem::take(&mut self.dirty), std::mem::take(&mut self.lengths));
        (self.dirty, self.lengths) = (dirty.clone(), lengths.clone());
        self.pass(
            |versions| count(&mut versions.iter().map(|(point, _)| *point)),
            |lengths| count(&mut lengths.iter().map(|(point, _)| *point)),
        );
        for versions in dirty.values_mut() {
            versions.retain(|(point, _)| *point >= last);
        }
        dirty.retain(|_, versions| !versions.is_empty());
        lengths.retain(|(point, _)| *point >= last);
        (self.dirty, self.lengths) = (dirty, lengths);
    }

    /// A sync that fails: any part of what was written is durable, and nothing of it will be written later.
    pub(super) fn drop_pages(&mut self, random: &mut Random) {
        // The length is of another kind: the file system keeps it until it is written.
        let (cache, lengths) = (self.cache.clone(), self.lengths.clone());
        let kept = Kept::Some(random.pick(&[0, 50, 90]));
        self.lose(random, kept);
        (self.cache, self.lengths) = (cache, lengths);
        self.dropped = true;
    }

    /// Takes so many of each sector's versions, and of the lengths, to the medium.
    fn pass(
        &mut self,
        mut of: impl FnMut(&[(u64, Sector)]) -> usize,
        mut of_lengths: impl FnMut(&[(u64, usize)]) -> usize,
    ) {
        let lengths = std::mem::take(&mut self.lengths);
        let length = of_lengths(&lengths).min(lengths.len());
        let length = length
            .checked_sub(1)
            .map_or(self.durable.len(), |nth| lengths[nth].1);
        // A file that shrank and grew again has zeros where it was cut.
        let shortest = lengths.iter().map(|(_, length)| *length).chain([length]).min();
        let mut bytes = std::mem::take(&mut self.durable);
        if shortest == Some(0) {
            bytes.clear();
        }
        let end = self.cache.len().max(length).div_ceil(SECTOR) * SECTOR;
        bytes.resize(end, 0);
        for (sector, versions) in std::mem::take(&mut self.dirty) {
            let passed = of(&versions).min(versions.len());
            if let Some((_, version)) = passed.checked_sub(1).map(|nth| &versions[nth])
                && (sector + 1) * SECTOR <= bytes.len()
            {
                bytes[sector * SECTOR..(sector + 1) * SECTOR].copy_from_slice(version);
            }
        }
        bytes.truncate(length);
        self.durable = bytes;
    }

    fn lose(&mut self, random: &mut Random, kept: Kept) {
        let length = kept.of(random, self.lengths.iter().map(|(point, _)| *point));
        self.pass(
            |versions| kept.of(random, versions.iter().map(|(point, _)| *point)),
            |_| length,
        );
        self.cache.clone_from(&self.durable);
        self.late = 0;
    }

    /// Some pages are read from the medium again.
    fn evict(&mut self, random: &mut Random) {
        if !self.dropped || random.percent(50) {
            return;
        }
        for sector in 0..self.cache.len().div_ceil(SECTOR) {
            let (from, end) = (sector * SECTOR, self.cache.len().min((sector + 1) * SECTOR));
            if !self.dirty.contains_key(&sector) && random.percent(50) {
                // Of the length that the file system has, the medium may not have all.
                self.cache[from..end].fill(0);
                let there = self.durable.len().min(end);
                if let Some(medium) = self.durable.get(from..there) {
                    self.cache[from..there].copy_from_slice(medium);
                }
            }
        }
    }

    pub(super) fn flip(&mut self, at: usize, bits: u8) {
        self.cache[at] ^= bits;
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= bits;
        }
    }

    /// Gives a frame whose beginning is whole and whose rest is torn a checksum that fits.
    fn mend_checksums(&mut self) {
        let Some(store) = self.durable.get(16..32).and_then(|id| id.try_into().ok()) else {
            return;
        };
        let seal = Seal::new(store);
        let mut at = usize::try_from(SEGMENT_HEADER).expect("small");
        while let Some(rest) = self
            .durable
            .get_mut(at..)
            .filter(|rest| rest.len() >= FRAME_HEADER)
        {
            let length = u32::from_le_bytes(rest[12..16].try_into().expect("four bytes")) as usize;
            if rest[..4] != FRAME_MAGIC || length < FRAME_HEADER || length > rest.len() {
                return;
            }
            let checksum = seal.checksum(&rest[..length]);
            rest[4..8].copy_from_slice(&checksum.to_le_bytes());
            at += length;
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Make(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

/// All files and their names.
#[derive(Clone, Default)]
pub(super) struct Medium {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    changes: Vec<(u64, Change)>,
}

impl Medium {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn file(&mut self, file: usize) -> &mut File {
        &mut self.files[file]
    }

    /// The bytes that all files take.
    pub(super) fn taken(&self) -> u64 {
        let taken = |file: &usize| (self.files[*file].taken.len() * SECTOR) as u64;
        self.names.values().map(taken).sum()
    }

    fn add(&mut self, name: &str) -> usize {
        self.files.push(File {
            name: name.to_owned(),
            ..File::default()
        });
        self.files.len() - 1
    }

    pub(super) fn create(&mut self, point: u64, name: &str) -> usize {
        if let Some(file) = self.find(name) {
            self.files[file].empty(point);
            return file;
        }
        let file = self.add(name);
        self.change(point, Change::Make(name.to_owned(), file));
        file
    }

    pub(super) fn rename(&mut self, point: u64, file: usize, from: &str, to: &str) {
        self.files[file].name = to.to_owned();
        self.change(point, Change::Rename(from.to_owned(), to.to_owned(), file));
    }

    pub(super) fn remove(&mut self, point: u64, name: &str) {
        self.change(point, Change::Remove(name.to_owned()));
    }

    fn change(&mut self, point: u64, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push((point, change));
    }

    pub(super) fn sync_names(&mut self) {
        self.durable.clone_from(&self.names);
        self.changes.clear();
    }

    pub(super) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        let file = self.find(name).unwrap_or_else(|| self.add(name));
        let taken = 0..bytes.len().div_ceil(SECTOR);
        self.files[file] = File {
            name: name.to_owned(),
            durable: bytes.clone(),
            cache: bytes,
            taken: taken.collect(),
            ..File::default()
        };
        self.names.insert(name.to_owned(), file);
        self.durable.insert(name.to_owned(), file);
    }

    /// The same files as they read now, all durable.
    pub(super) fn settled(&self) -> Self {
        let mut settled = Self::default();
        for (name, file) in &self.names {
            settled.set(name, self.files[*file].cache.clone());
        }
        settled
    }

    pub(super) fn lose_power(&mut self, random: &mut Random, kept: Kept, checksums_hold: bool) {
        for (point, change) in std::mem::take(&mut self.changes) {
            if kept.keeps(random, point) {
                apply(&mut self.durable, &change);
            }
        }
        self.names.clone_from(&self.durable);
        for (name, file) in &self.names {
            let file = &mut self.files[*file];
            file.name.clone_from(name);
            file.lose(random, kept);
            file.dropped = false;
            if checksums_hold && name.ends_with(".log") {
                file.mend_checksums();
                file.cache.clone_from(&file.durable);
            }
            file.taken = (0..file.cache.len().div_ceil(SECTOR)).collect();
        }
    }

    pub(super) fn evict(&mut self, random: &mut Random) {
        for file in self.names.values() {
            self.files[*file].evict(random);
        }
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Make(name, file) => {
            names.insert(name.clone(), *file);
        }
        Change::Rename(from, to, file) => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Change::Remove(name) => {
            names.remove(name);
        }
    }
}
