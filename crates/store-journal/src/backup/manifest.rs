//! The manifest of a backup: text, a word and what it says on each line, the hash of all lines before on the last.
//!
//! ```text
//! saldo-backup 2
//! store 0f3a…                                     the store's id
//! taken 1795622400000000                          when, in µs since 1970
//! end SEQUENCE START END HASH                     the last frame: its sequence, first byte, byte after it, hash
//! file segment-00000001.full 16776961 BLAKE3      name, bytes, hash; one line for each
//! book 1 5012 DIGEST                              number, position, digest; one line for each that has records
//! blake3 HASH
//! ```

use std::fmt::Write;

use ledger::{BookNo, Micros, Position};

use super::BackupError;
use crate::log::disk::{read_whole, write_whole};
use crate::log::{Disk, DiskError, Locator, LogPosition, StoreId};

/// The file.
pub(super) const NAME: &str = "backup.manifest";
const FIRST: &str = "saldo-backup 2";

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their BLAKE3.
    pub blake3: [u8; 32],
}

/// The name of a copy of a full segment. No file of a store is called so.
pub(super) fn full_name(segment: u32) -> String {
    format!("segment-{segment:08}.full")
}

/// The name of a copy of a segment that is not full.
pub(super) fn part_name(segment: u32, bytes: u64) -> String {
    format!("segment-{segment:08}-{bytes:012}.part")
}

/// The segment that a file of a backup holds.
pub(super) fn segment_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("segment-")?;
    if let Some(number) = rest.strip_suffix(".full") {
        let number = number.parse().ok()?;
        return (full_name(number) == name).then_some(number);
    }
    let (number, bytes) = rest.strip_suffix(".part")?.split_once('-')?;
    let (number, bytes) = (number.parse().ok()?, bytes.parse().ok()?);
    (part_name(number, bytes) == name).then_some(number)
}

/// What a backup has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The store's id.
    pub store: StoreId,
    /// When it was taken.
    pub taken_at: Micros,
    /// The last frame.
    pub end: LogPosition,
    /// The files, in the order of their segments.
    pub files: Vec<Entry>,
    /// Each book that has records: its position and digest.
    pub books: Vec<(BookNo, Position, [u8; 32])>,
}

impl Manifest {
    /// How many bytes its files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }

    /// The manifest of the backup in a folder.
    ///
    /// # Errors
    /// There is none, or it is not as it was written.
    pub fn read(disk: &dyn Disk) -> Result<Self, BackupError> {
        let bytes = match read_whole(disk, NAME) {
            Err(DiskError::NotFound { .. }) => return Err(BackupError::Missing),
            other => other?,
        };
        parse(&bytes)
    }

    pub(super) fn write(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        write_whole(disk, NAME, self.to_text().as_bytes())
    }

    /// As it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let LogPosition {
            sequence,
            start,
            end,
            hash,
        } = self.end;
        let mut text = format!(
            "{FIRST}\nstore {}\ntaken {}\nend {sequence} {} {} {}\n",
            hex(&self.store),
            self.taken_at.0,
            start.get(),
            end.get(),
            hex(&hash)
        );
        for Entry { name, bytes, blake3 } in &self.files {
            let _ = writeln!(text, "file {name} {bytes} {}", hex(blake3));
        }
        for (no, position, digest) in &self.books {
            let _ = writeln!(text, "book {no} {position} {}", hex(digest));
        }
        let hash = blake3::hash(text.as_bytes());
        text + &format!("blake3 {}\n", hash.to_hex())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn parse(bytes: &[u8]) -> Result<Manifest, BackupError> {
    let wrong = |line, what: &str| BackupError::Manifest {
        line,
        what: what.into(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "it is no text, so it is damaged"))?;
    let lines: Vec<_> = text.lines().collect();
    if lines
        .first()
        .is_some_and(|first| first.starts_with("saldo-backup ") && *first != FIRST)
    {
        return Err(wrong(1, "it is of a version that this program does not know"));
    }
    let damaged = || {
        let what = "the lines do not match their hash, so it is damaged";
        wrong(lines.len().max(1), what)
    };
    let whole = text.strip_suffix('\n').ok_or_else(damaged)?;
    let body = whole.rfind('\n').map_or(0, |at| at + 1);
    let said = whole[body..].strip_prefix("blake3 ").and_then(unhex::<32>);
    if said != Some(blake3::hash(&text.as_bytes()[..body]).into()) {
        return Err(damaged());
    }
    let mut found = Found::default();
    for (nth, line) in lines
        .get(1..lines.len() - 1)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let words: Vec<_> = line.split(' ').collect();
        found
            .take(&words)
            .ok_or_else(|| wrong(nth + 2, "it can't be read"))?;
    }
    let manifest = found
        .complete()
        .ok_or_else(|| wrong(lines.len(), "a line is missing"))?;
    // Lines twice, in another order, numbers in another form: nobody wrote them here.
    match manifest.to_text() == text {
        true => Ok(manifest),
        false => Err(wrong(1, "it is not as this program writes it")),
    }
}

#[derive(Default)]
struct Found {
    store: Option<StoreId>,
    taken_at: Option<Micros>,
    end: Option<LogPosition>,
    files: Vec<Entry>,
    books: Vec<(BookNo, Position, [u8; 32])>,
}

impl Found {
    fn take(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["store", id] => self.store = Some(unhex(id)?),
            ["taken", time] => self.taken_at = Some(Micros(time.parse().ok()?)),
            ["end", sequence, start, end, hash] => {
                self.end = Some(LogPosition {
                    sequence: sequence.parse().ok()?,
                    start: Locator::new(start.parse().ok()?),
                    end: Locator::new(end.parse().ok()?),
                    hash: unhex(hash)?,
                });
            }
            ["file", name, bytes, blake3] => {
                let entry = Entry {
                    name: (*name).to_owned(),
                    bytes: bytes.parse().ok()?,
                    blake3: unhex(blake3)?,
                };
                let in_order = segment_of(name)? as usize == self.files.len() + 1;
                in_order.then(|| self.files.push(entry))?;
            }
            ["book", no, position, digest] => {
                let (no, position) = (BookNo(no.parse().ok()?), Position(position.parse().ok()?));
                self.books.push((no, position, unhex(digest)?));
            }
            _ => return None,
        }
        Some(())
    }

    fn complete(self) -> Option<Manifest> {
        let mut bytes = self.files.iter().map(|entry| entry.bytes);
        bytes.try_fold(0_u64, u64::checked_add)?;
        Some(Manifest {
            store: self.store?,
            taken_at: self.taken_at?,
            end: self.end?,
            files: self.files,
            books: self.books,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_no_other() {
        let manifest = Manifest {
            store: [7; 16],
            taken_at: Micros(-5),
            end: LogPosition {
                sequence: 9,
                start: Locator::new(64),
                end: Locator::new(1000),
                hash: [3; 16],
            },
            files: vec![
                Entry {
                    name: full_name(1),
                    bytes: 900,
                    blake3: [1; 32],
                },
                Entry {
                    name: part_name(2, 100),
                    bytes: 100,
                    blake3: [2; 32],
                },
            ],
            books: vec![(BookNo(0), Position(3), [4; 32])],
        };
        let text = manifest.to_text();
        assert_eq!(parse(text.as_bytes()).expect("it is read"), manifest);
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "byte {at}");
            assert!(parse(&bad[..at]).is_err(), "cut at {at}");
        }
        // Also with the hash that belongs to it there is one way to write it.
        let body = text.rfind("blake3 ").expect("the last line");
        for (good, bad) in [
            ("saldo-backup 2\n", "\n"),
            ("taken -5", "taken -05"),
            ("end 9 64", "end +9 64"),
            ("book 0 3 04", "book 0 3 +4"),
            ("taken -5\n", "taken -6\ntaken -5\n"),
            ("taken -5\n", "taken -5\r\n"),
            (" 900 ", " 18446744073709551615 "),
        ] {
            let other = text[..body].replacen(good, bad, 1);
            assert_ne!(other, text[..body], "{good}");
            let hash = blake3::hash(other.as_bytes());
            let other = format!("{other}blake3 {hash}\n");
            assert!(parse(other.as_bytes()).is_err(), "{bad}");
        }
    }
}
