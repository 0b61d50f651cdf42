//! The embedded store: the journal is the truth, memory is the state.
//!
//! [`log`] is the lower half: records in frames in segments, and what helps to find them. It does not know what a
//! record means.
//!
//! # The journal's layout, byte for byte
//!
//! All numbers are little-endian and unsigned unless said otherwise. Versions are bumped, not migrated, until the
//! first release.
//!
//! **A segment** is a file `00000001.log`, `00000002.log`, … It is written with zeros to its whole length, synced and
//! renamed from `….log.new` before it is used, so under its name it is always complete.
//!
//! ```text
//!  0   8  magic "SALDOLOG"
//!  8   2  version, 2
//! 10   2  zero
//! 12   4  segment number, from 1
//! 16  16  store id, the same in all segments of a store
//! 32   8  base: the address of this file's byte 0; 0 for the first, else the base and length of the one before
//! 40   8  the file's length
//! 48  12  zero
//! 60   4  CRC32C of bytes 0..60
//! 64      frames, contiguous, then zeros
//! ```
//!
//! The **address** (locator) of a byte is its segment's base plus its offset in the file; below 2⁴⁸. Frames never cross
//! segments. A segment's frames end where the bytes are not a frame and the next segment begins with the one that is
//! due; an unused segment may follow the last one with frames.
//!
//! **A frame** is a batch, or the mark of a clean stop.
//!
//! ```text
//!  0   4  magic F5 53 46 FE
//!  4   4  CRC32C of bytes 8..length, continued from the CRC32C of the store id
//!  8   2  version, 1
//! 10   1  kind: 1 data, 2 closing (no records)
//! 11   1  zero
//! 12   4  length of header and body together
//! 16   8  sequence: 1 for the store's first frame, then without gaps
//! 24   8  time, signed, µs since 1970
//! 32   4  number of records; at least one in a data frame
//! 36   4  zero
//! 40  16  hash of the frame before: the first 16 bytes of the BLAKE3 of all its bytes, header included; in frame 1 of
//!         the BLAKE3 of "saldo journal genesis" and the store id
//! 56      records, contiguous, to the frame's end
//! ```
//!
//! **A record** can be read and checked alone.
//!
//! ```text
//! 1-5  length of the payload: seven bits a byte, lowest first, the high bit set in all but the last; minimal
//!  4   CRC32C of the length's bytes and the payload
//!      payload
//! ```
//!
//! A frame is written only after the one before is synced. At opening, bytes after the last valid frame that are not
//! zero are an incomplete last write, if no valid frame of a higher sequence follows at any byte; they are moved to
//! `torn-<sequence>.bin` and zeroed. Everything else is damage, and the store does not open.
//!
//! Runs (`00000001.keys`) are described in [`log::run`], the keys of texts (`texts.vault`) in `vault.rs`, those that sign tokens
//! (`signing.key`) in [`store::SigningKeys`].

pub mod backup;
mod batch;
mod chains;
mod committer;
mod effective;
mod feed;
mod find;
mod flight;
mod frozen;
mod history;
mod index;
pub mod log;
mod marks;
mod milestones;
mod open;
mod payload;
mod prefetch;
mod reads;
mod room;
mod signing;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod snapshot;
mod store_impl;
mod tables;
mod task;
mod turn;
mod vault;
mod verify;
mod writer;

pub use feed::Feed;
pub use log::RealDisk;
pub use marks::{mark, set_mark};
pub use open::{OpenError, Options, create, folder};
pub use signing::signing_keys;
pub use store_impl::JournalStore;
pub use vault::{text_keys, vault_copy};
pub use verify::{Progress, Report, VerifyError, verify};
