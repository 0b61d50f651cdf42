//! A log that was damaged: it opens with what was written, up to a frame from which on all were damaged, or says that it is damaged.
//! Never with anything else.
#![no_main]

use std::ops::Range;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use saldo_fuzz::{Folder, log_of, read};

struct Written {
    frames: Vec<Vec<Vec<u8>>>,
    places: Vec<Range<usize>>,
    files: Vec<(String, Vec<u8>)>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let record = |seed: usize, length: usize| (0..length).map(|at| (seed * 31 + at * 7) as u8).collect();
    // Over three segments.
    let frames: Vec<_> = (0..12)
        .map(|nth| vec![record(nth, 3 * nth), record(nth + 1, 150)])
        .collect();
    let (folder, places) = log_of(&frames);
    let files = folder.content();
    Written {
        frames,
        places,
        files,
    }
});

/// All segments, one behind the other.
fn segments(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let segments = files.iter().filter(|(name, _)| name.ends_with(".log"));
    segments.flat_map(|(_, content)| content).copied().collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Written {
        frames,
        places,
        files: old,
    } = &*WRITTEN;
    let mut files = old.clone();
    // Each edit: a file, where, how many bytes, and what they are.
    let mut rest = bytes;
    while let [file, low, high, count, behind @ ..] = rest {
        let count = usize::from(*count).min(behind.len());
        let (new, behind) = behind.split_at(count);
        rest = behind;
        let nth = usize::from(*file) % files.len();
        let content = &mut files[nth].1;
        let at = usize::from(u16::from_le_bytes([*low, *high]));
        match (count, content.get_mut(at..at + count)) {
            (0, _) => content.truncate(at),
            (_, Some(old)) => old.copy_from_slice(new),
            (_, None) => {}
        }
    }
    let folder = Folder::default();
    for (name, content) in &files {
        folder.put(name, content);
    }
    if let Ok((found, _)) = read(&folder) {
        let (old, new) = (segments(old), segments(&files));
        for place in &places[found.len()..] {
            assert_ne!(
                old.get(place.clone()),
                new.get(place.clone()),
                "{} frames",
                found.len()
            );
        }
        assert_eq!(found, frames[..found.len()]);
        assert_eq!(read(&folder), Ok((found, 0)), "opened again");
    }
});
