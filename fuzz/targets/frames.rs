//! Frames of any content, with the checksums and hashes that a writer would have given them: opening says what is wrong, or what it
//! takes is what it finds when it opens again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saldo_fuzz::{Folder, STORE, log_of, read};

const SEGMENT_HEADER: usize = 64;
const FRAME_HEADER: usize = 56;

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Gives each frame from here on its checksum, and the hash of the one before.
fn seal(mut rest: &mut [u8]) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"saldo journal genesis").update(&STORE);
    let mut before = hasher.finalize();
    while rest.len() >= FRAME_HEADER && rest[..4] == [0xF5, b'S', b'F', 0xFE] {
        let length = u32_at(rest, 12);
        if length < FRAME_HEADER || length > rest.len() {
            return;
        }
        let (frame, behind) = rest.split_at_mut(length);
        // An odd flag byte leaves the chain as it is: a broken one is worth trying too.
        if frame[11] == 0 {
            frame[40..56].copy_from_slice(&before.as_bytes()[..16]);
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&STORE), &frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        before = blake3::hash(frame);
        rest = behind;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let files = log_of(&[]).0.content();
    let folder = Folder::default();
    for (name, mut content) in files {
        if name == "00000001.log" {
            let room = &mut content[SEGMENT_HEADER..];
            let taken = bytes.len().min(room.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            seal(room);
        }
        folder.put(&name, &content);
    }
    if let Ok((frames, _)) = read(&folder) {
        assert_eq!(read(&folder), Ok((frames, 0)), "opened again");
    }
});
