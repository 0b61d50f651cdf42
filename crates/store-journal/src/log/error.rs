//! What can go wrong with the log, by what the caller does about it.

use std::fmt;

use super::disk::DiskError;
use super::segment::{Locator, StoreId, file_name};

/// A place in the log whose bytes are not what was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number; its file is named in the message.
    pub segment: u32,
    /// The byte in that file where the bad frame or record begins.
    pub offset: u64,
    /// The frame's sequence, as far as it is known.
    pub sequence: Option<u64>,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the journal is damaged in {}, byte {}",
            file_name(self.segment),
            self.offset
        )?;
        if let Some(sequence) = self.sequence {
            write!(f, ", frame {sequence}")?;
        }
        write!(
            f,
            ": {}. Nothing was changed. Keep a copy of the folder, check the disk, and put this file back from a backup \
             (the same bytes, since segments never change once written)",
            self.what
        )
    }
}

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no room to reserve; the log is healthy and readable, and takes frames again once there is.
    #[error("no space left for {bytes} more bytes of journal; free some, nothing else is needed")]
    NoSpace {
        /// How much was asked for.
        bytes: u64,
    },
    /// A write or sync of data failed, now or earlier: what is durable is unknown until the store is opened again.
    #[error(
        "a write to the journal failed, so that it is not known what is durable; stop, check the disk, start again"
    )]
    Poisoned,
    /// The write or sync that failed. From now on every call fails with [`LogError::Poisoned`].
    #[error("writing the journal failed: {0}")]
    WriteFailed(#[source] DiskError),
    /// Another process has the store open.
    #[error(transparent)]
    Locked(DiskError),
    /// There is no log in this folder.
    #[error("there is no journal here: make a store first")]
    NotFound,
    /// There is a log in the folder where one was to be made.
    #[error("there is a journal here already")]
    Exists,
    /// Bytes are not what was written.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// A segment's file is missing though later ones exist.
    #[error("{} is missing though later segments exist; put it back from a backup", file_name(*number))]
    MissingSegment {
        /// The missing segment.
        number: u32,
    },
    /// A segment belongs to another store.
    #[error("{} belongs to another store; files of two stores were mixed in this folder", file_name(*number))]
    ForeignStore {
        /// The segment.
        number: u32,
        /// The store id in it.
        found: StoreId,
        /// The store id expected.
        expected: StoreId,
    },
    /// A file was written by a newer version.
    #[error("{} has format version {found}; this program reads up to {supported}: use a newer one", file_name(*number))]
    NewerVersion {
        /// The segment.
        number: u32,
        /// Its version.
        found: u16,
        /// What is supported.
        supported: u16,
    },
    /// A batch is larger than a frame may be.
    #[error("a frame of {bytes} bytes is beyond the limit of {limit}; make smaller batches")]
    FrameTooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A frame needs a segment that was not reserved.
    #[error("a frame of {bytes} bytes was not reserved")]
    NotReserved {
        /// Its size.
        bytes: u64,
    },
    /// A locator that is not within the log.
    #[error("no record can be at {0}")]
    BadLocator(Locator),
    /// A position that is not one of this log: a snapshot of another history.
    #[error(
        "frame {sequence} is not the one this position names; it was taken from another history of this store"
    )]
    UnknownPosition {
        /// The position's frame.
        sequence: u64,
    },
    /// The log has used up its 48-bit address space.
    #[error("the journal is full: 256 TiB")]
    Full,
    /// A file operation failed, other than a write of data.
    #[error(transparent)]
    Disk(DiskError),
}

impl From<DiskError> for LogError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Locked { .. } => Self::Locked(error),
            other => Self::Disk(other),
        }
    }
}

impl LogError {
    /// Damage at a place.
    pub(crate) fn damaged(segment: u32, offset: u64, sequence: Option<u64>, what: impl Into<String>) -> Self {
        Self::Damaged(Box::new(Damage {
            segment,
            offset,
            sequence,
            what: what.into(),
        }))
    }
}
