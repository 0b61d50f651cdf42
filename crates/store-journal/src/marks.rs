//! Marks on a store.

use store::Mark;

use crate::log::disk::{read_whole, write_whole};
use crate::log::{Disk, DiskError};

/// The file that a mark is in.
const MARK: &str = "mark";

/// The mark of the store on a disk.
///
/// # Errors
/// What the disk says.
pub fn mark(disk: &dyn Disk) -> Result<Option<Mark>, DiskError> {
    match read_whole(disk, MARK) {
        Ok(text) => Ok(Some(Mark::from_text(&String::from_utf8_lossy(&text)))),
        Err(DiskError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Marks the store on a disk, or takes its mark away.
///
/// # Errors
/// What the disk says.
pub fn set_mark(disk: &dyn Disk, mark: Option<&Mark>) -> Result<(), DiskError> {
    match mark {
        Some(mark) => write_whole(disk, MARK, mark.to_text().as_bytes()),
        None => match disk.remove(MARK) {
            Ok(()) => disk.sync_dir(),
            Err(DiskError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        },
    }
}
