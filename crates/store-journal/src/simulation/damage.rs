//! Bits that flip in old data, on copies of the disk.

use std::sync::Arc;

use store::suite::Random;

use super::disk::SimDisk;
use super::{Kind, Wrong};
use crate::log::{Disk, LogReader, run::load_run};
use crate::open::{OpenError, Options, open};
use crate::{VerifyError, snapshot, vault, verify};

const HERE: &str = "here";

/// Where a frame lies: its segment's file, and its bytes there.
pub(super) struct Place {
    file: String,
    from: u64,
    end: u64,
}

/// Where all frames are.
pub(super) fn places(reader: &LogReader) -> Result<Vec<Place>, Wrong> {
    let refused = |error: crate::log::LogError| Wrong::new(Kind::Refused, error.to_string());
    let spans = reader.segments();
    let mut frames = reader.scan(reader.origin()).map_err(refused)?;
    let mut places = Vec::new();
    while let Some(frame) = frames.next_frame().map_err(refused)? {
        let (start, end) = (frame.start.get(), frame.end().get());
        let span = spans.iter().rfind(|span| span.base <= start);
        let span = span.expect("a frame is in a segment");
        places.push(Place {
            file: crate::log::segment::file_name(span.number),
            from: start - span.base,
            end: end - span.base,
        });
    }
    Ok(places)
}

/// Flips a bit of some frame but the last, or of a file that can be made again, and sees what becomes of it.
pub(super) fn flip(
    disk: &SimDisk,
    options: &Options,
    places: &[Place],
    random: &mut Random,
) -> Result<bool, Wrong> {
    let disk = disk.copy();
    let bit = 1 << random.below(8);
    let helpers: Vec<_> = disk
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".snap") || name.ends_with(".keys"))
        .collect();
    if random.percent(25) && !helpers.is_empty() {
        let name = random.pick(&helpers);
        let length = disk.content(&name).len() as u64;
        let at = random.below(length);
        disk.flip(&name, usize::try_from(at).expect("small"), bit);
        return flipped_helper(&disk, options, &name, at);
    }
    if random.percent(15) {
        return flip_key(&disk, options, bit, random);
    }
    let Some((_, old)) = places.split_last().filter(|(_, old)| !old.is_empty()) else {
        return Ok(false);
    };
    let nth = usize::try_from(random.below(old.len() as u64)).expect("small");
    let place = &old[nth];
    let at = place.from + random.below(place.end - place.from);
    disk.flip(&place.file, usize::try_from(at).expect("small"), bit);
    let before = disk.content(&place.file);
    match verify(&disk.disk(), options, HERE, |_| {}) {
        Ok(_) => {
            let what = format!("byte {at} of {} was flipped, and nothing was found", place.file);
            Err(Wrong::new(Kind::Overlooked, what))
        }
        Err(error) if !names(&error, place) => {
            let what = format!(
                "byte {at} of {} was flipped, and what was found is: {error}",
                place.file
            );
            Err(Wrong::new(Kind::Overlooked, what))
        }
        Err(_) if disk.content(&place.file) != before => {
            let what = format!(
                "byte {at} of {} was flipped, and the file was changed",
                place.file
            );
            Err(Wrong::new(Kind::Overlooked, what))
        }
        Err(_) => Ok(true),
    }
}

/// A file that can be made again is found to be damaged, and the store is used without it.
fn flipped_helper(disk: &SimDisk, options: &Options, name: &str, at: u64) -> Result<bool, Wrong> {
    match verify(&disk.disk(), options, HERE, |_| {}) {
        Err(VerifyError::Derived { file, .. }) if file == name => {}
        other => {
            let what = format!("byte {at} of {name} was flipped, and what was found is: {other:?}");
            return Err(Wrong::new(Kind::Overlooked, what));
        }
    }
    match open(&disk.disk(), options, HERE) {
        Ok(_) => Ok(true),
        Err(error) => {
            let what = format!("byte {at} of {name} was flipped, which can be made again, but: {error}");
            Err(Wrong::new(Kind::Refused, what))
        }
    }
}

/// Flips a bit of the keys of texts, before their last group.
fn flip_key(disk: &SimDisk, options: &Options, bit: u8, random: &mut Random) -> Result<bool, Wrong> {
    let before = disk.content(vault::NAME);
    let end = vault::last_group(&before).start;
    let at = usize::try_from(random.below(end as u64)).expect("small");
    disk.flip(vault::NAME, at, bit);
    match verify(&disk.disk(), options, HERE, |_| {}) {
        Err(VerifyError::Open(OpenError::Vault(_))) => Ok(true),
        other => {
            let what = format!(
                "byte {at} of {} was flipped, and what was found is {other:?}",
                vault::NAME
            );
            Err(Wrong::new(Kind::Overlooked, what))
        }
    }
}

/// Whether the message leads to the frame that is damaged.
fn names(error: &VerifyError, place: &Place) -> bool {
    let text = error.to_string();
    matches!(
        error,
        VerifyError::Open(OpenError::Log(_)) | VerifyError::Damaged(_)
    ) && text.contains(&format!("{}, byte {}", place.file, place.from))
}

/// What is under its final name is complete, after the power went as after anything else.
pub(super) fn complete(
    disk: &Arc<dyn Disk>,
    store: &[u8; 16],
    origin: crate::log::LogPosition,
) -> Result<(), Wrong> {
    let failed = |error: crate::log::DiskError| Wrong::new(Kind::Refused, error.to_string());
    for name in disk.list().map_err(failed)? {
        let whole = if name.ends_with(".snap") {
            snapshot::read(&**disk, store, &name, origin).is_ok()
        } else if let Some(segment) = name.strip_suffix(".keys").and_then(|digits| digits.parse().ok()) {
            load_run(&**disk, store, segment).is_ok()
        } else {
            true
        };
        if !whole {
            return Err(Wrong::new(Kind::Incomplete, format!("{name} is not whole")));
        }
    }
    Ok(())
}
