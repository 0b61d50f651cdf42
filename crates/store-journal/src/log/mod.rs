//! The log: frames of records in segments, on a disk. It knows nothing of what a record means.
//!
//! One writer thread plans batches ([`Log::reserve`], [`Planner`]); one committer thread writes and syncs them
//! ([`Log::write_frame`], [`Log::sync`]); any number of readers read what is durable ([`LogReader`]).

pub mod disk;
pub mod error;
pub mod frame;
pub mod keytable;
pub mod load;
pub mod planner;
pub mod reader;
pub mod recover;
pub mod run;
pub mod scan;
pub mod segment;
pub mod skew;
pub mod space;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

pub use self::disk::{Disk, DiskError, DiskFile, DiskLock, OpenMode, RealDisk};
pub use self::error::{Damage, LogError};
pub use self::frame::{FrameBuf, FrameHash, FrameHeader, FrameKind, FrameView};
pub use self::keytable::{KeyTable, key_hash};
pub use self::planner::{FrameStart, Planner};
pub use self::reader::{LogReader, RecordBuf, Verified};
pub use self::recover::Recovery;
pub use self::scan::{LogPosition, Scan};
pub use self::segment::{Locator, Span, StoreId};
pub use self::space::SegmentSizes;

use self::frame::{FRAME_HEADER, Seal};
use self::scan::Shared;
use self::segment::Segments;
use self::space::Space;

/// The file through which a store is locked.
pub const LOCK_FILE: &str = "lock";

/// What can be chosen about a log.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// How long segments are made. May change from one opening to the next.
    pub sizes: SegmentSizes,
    /// The most bytes a frame may have.
    pub max_frame: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            sizes: SegmentSizes {
                first: 16 << 20,
                rest: 256 << 20,
            },
            max_frame: 64 << 20,
        }
    }
}

impl LogOptions {
    /// Small segments, for tests.
    pub fn small() -> Self {
        Self {
            sizes: SegmentSizes {
                first: 1 << 20,
                rest: 1 << 20,
            },
            ..Self::default()
        }
    }
}

/// A frame that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Its sequence.
    pub sequence: u64,
    /// Its first record's place.
    pub first_record: Locator,
    /// Its place and hash.
    pub position: LogPosition,
    /// The segment that became full, when this frame begins the next one: its run may be written once this frame is
    /// synced.
    pub sealed: Option<u32>,
}

/// The end of what was written.
struct Tail {
    position: LogPosition,
    segment: Arc<segment::Segment>,
    synced: bool,
}

/// An open log. All methods take `&self`, so that an `Arc` of it serves the writer and the committer.
pub struct Log {
    shared: Arc<Shared>,
    space: Space,
    tail: Mutex<Tail>,
    poisoned: AtomicBool,
    options: LogOptions,
    _lock: DiskLock,
}

impl Log {
    /// Makes a new log in a folder that has none.
    pub fn create(disk: Arc<dyn Disk>, options: LogOptions, store: StoreId) -> Result<Self, LogError> {
        let lock = disk.lock(LOCK_FILE)?;
        match Segments::open(&*disk) {
            Err(LogError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(LogError::Exists),
        }
        let first = Arc::new(Space::first(&*disk, &store, options.sizes)?);
        let segments = Segments::new(vec![first]);
        let seal = Seal::new(&store);
        let origin = Shared::origin(&seal);
        let shared = Shared {
            segments: Arc::new(segments),
            store,
            seal,
            synced: Mutex::new(origin),
        };
        Self::assemble(disk, options, Arc::new(shared), lock)
    }

    /// The id of the store in a folder, and the position before its first frame, without opening it.
    pub fn identify(disk: &dyn Disk) -> Result<(StoreId, LogPosition), LogError> {
        let (_, store) = Segments::open(disk)?;
        Ok((store, Shared::origin(&Seal::new(&store))))
    }

    /// Opens the log in a folder: locks it, checks all segments' headers, reads the frames after `from` (from the very
    /// beginning without it) and repairs a torn tail.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        from: Option<LogPosition>,
    ) -> Result<(Self, Recovery), LogError> {
        Self::open_with(disk, options, from, |_| Ok(()))
    }

    /// As [`Log::open`], handing out each frame on the way, so that replaying reads the log once. Until this returns
    /// without an error, what was handed out is not to be relied on.
    pub fn open_with(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        from: Option<LogPosition>,
        mut on_frame: impl FnMut(FrameView<'_>) -> Result<(), LogError>,
    ) -> Result<(Self, Recovery), LogError> {
        let lock = disk.lock(LOCK_FILE)?;
        let (segments, store) = Segments::open(&*disk)?;
        // Not before: in a folder that is no store, files of such names are someone else's.
        recover::remove_unfinished(&*disk)?;
        let seal = Seal::new(&store);
        let from = from.unwrap_or_else(|| Shared::origin(&seal));
        let shared = Arc::new(Shared {
            segments: Arc::new(segments),
            store,
            seal,
            synced: Mutex::new(from),
        });
        let recovery = recover::recover(&*disk, &shared, from, &mut on_frame)?;
        *shared.synced.lock() = recovery.position;
        Ok((Self::assemble(disk, options, shared, lock)?, recovery))
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        shared: Arc<Shared>,
        lock: DiskLock,
    ) -> Result<Self, LogError> {
        let position = *shared.synced.lock();
        let segment = shared
            .segments
            .holding(position.start)
            .ok_or(LogError::BadLocator(position.start))?;
        let segments = Arc::clone(&shared.segments);
        let space = Space::new(disk, segments, shared.store, options.sizes);
        Ok(Self {
            tail: Mutex::new(Tail {
                position,
                segment,
                synced: true,
            }),
            shared,
            space,
            poisoned: AtomicBool::new(false),
            options,
            _lock: lock,
        })
    }

    /// The store's id.
    pub fn store_id(&self) -> StoreId {
        self.shared.store
    }

    /// The cursor for the frames to come. The writer takes one after opening and keeps it.
    ///
    /// # Panics
    ///
    /// If a frame is written and not synced: its planner is in use.
    pub fn planner(&self) -> Planner {
        let tail = self.tail.lock();
        assert!(tail.synced, "a planner is taken while no other is in use");
        let LogPosition { sequence, end, .. } = tail.position;
        Planner {
            sequence,
            end: end.get(),
            current: tail.segment.span,
            next: None,
            asked: false,
        }
    }

    /// Makes sure that a frame of up to this many bytes, header included, can be written at the planned end without
    /// asking the disk for space; only here a full disk shows, as [`LogError::NoSpace`], and the log stays healthy.
    pub fn reserve(&self, planner: &mut Planner, frame_bytes: u64) -> Result<(), LogError> {
        self.check_healthy()?;
        if frame_bytes > self.options.max_frame {
            return Err(LogError::FrameTooLarge {
                bytes: frame_bytes,
                limit: self.options.max_frame,
            });
        }
        if frame_bytes <= planner.room() {
            return Ok(());
        }
        planner.next = Some(self.space.after(planner.current, frame_bytes)?);
        Ok(())
    }

    /// Makes the segment after this one before it is needed: see [`Planner::next_is_due`].
    pub fn prepare(&self, current: Span) -> Result<(), LogError> {
        self.space.after(current, 0).map(|_| ())
    }

    /// Writes a planned frame. It is durable, and readers see it, after [`Log::sync`].
    ///
    /// # Panics
    ///
    /// If the frame before is not synced, or the start is not the one after it, or a data frame has no records, or a
    /// closing frame has some.
    pub fn write_frame(
        &self,
        start: FrameStart,
        kind: FrameKind,
        time: i64,
        frame: &mut FrameBuf,
    ) -> Result<FrameInfo, LogError> {
        self.check_healthy()?;
        let bytes = frame.frame_len();
        if bytes > self.options.max_frame {
            return Err(LogError::FrameTooLarge {
                bytes,
                limit: self.options.max_frame,
            });
        }
        assert_eq!(
            frame.is_empty(),
            kind == FrameKind::Closing,
            "data frames have records, closing frames none"
        );
        let mut tail = self.tail.lock();
        let tail = &mut *tail;
        assert!(
            tail.synced,
            "a frame is written only after the one before is synced"
        );
        let before = tail.position;
        assert_eq!(start.sequence, before.sequence + 1, "frames are written in order");
        let mut sealed = None;
        if start.segment == tail.segment.span.number {
            assert_eq!(start.at, before.end, "frames are contiguous");
        } else {
            assert_eq!(
                start.segment,
                tail.segment.span.number + 1,
                "segments are filled in order"
            );
            let next = self
                .shared
                .segments
                .get(start.segment)
                .ok_or(LogError::NotReserved { bytes })?;
            assert_eq!(
                start.at,
                next.span.first(),
                "a new segment is filled from its start"
            );
            sealed = Some(tail.segment.span.number);
            tail.segment = next;
        }
        let span = tail.segment.span;
        let end = Locator::new(start.at.get() + bytes);
        assert!(end.get() <= span.end(), "a frame never leaves its segment");
        let bytes = frame.seal(&self.shared.seal, kind, start.sequence, time, &before.hash);
        // Everything fits: from here on only the disk can fail, and then the process has to stop.
        tail.synced = false;
        if let Err(error) = tail.segment.file.write_at(bytes, start.at.get() - span.base) {
            return Err(self.poison(error));
        }
        let hash = frame::hash_frame(bytes);
        tail.position = LogPosition {
            sequence: start.sequence,
            start: start.at,
            end,
            hash,
        };
        Ok(FrameInfo {
            sequence: start.sequence,
            first_record: start.first_record(),
            position: tail.position,
            sealed,
        })
    }

    /// Makes the written frame durable and lets readers see it.
    pub fn sync(&self) -> Result<LogPosition, LogError> {
        self.check_healthy()?;
        let mut tail = self.tail.lock();
        if !tail.synced {
            tail.segment
                .file
                .sync_data()
                .map_err(|error| self.poison(error))?;
            tail.synced = true;
            *self.shared.synced.lock() = tail.position;
        }
        Ok(tail.position)
    }

    /// Plans, writes and syncs one frame: for those who have no pipeline of their own.
    pub fn append(
        &self,
        planner: &mut Planner,
        time: i64,
        frame: &mut FrameBuf,
    ) -> Result<FrameInfo, LogError> {
        self.append_kind(planner, FrameKind::Data, time, frame)
    }

    /// Writes the closing frame of a clean stop, durably. Everything planned must be synced.
    pub fn close(self, mut planner: Planner, time: i64) -> Result<LogPosition, LogError> {
        let info = self.append_kind(&mut planner, FrameKind::Closing, time, &mut FrameBuf::new())?;
        Ok(info.position)
    }

    fn append_kind(
        &self,
        planner: &mut Planner,
        kind: FrameKind,
        time: i64,
        frame: &mut FrameBuf,
    ) -> Result<FrameInfo, LogError> {
        self.reserve(planner, frame.frame_len())?;
        let start = planner.start(frame.frame_len())?;
        planner.advance(start, frame.frame_len());
        let info = self.write_frame(start, kind, time, frame)?;
        self.sync()?;
        Ok(info)
    }

    /// The last durable frame.
    pub fn position(&self) -> LogPosition {
        *self.shared.synced.lock()
    }

    /// A reader of what is durable.
    pub fn reader(&self) -> LogReader {
        LogReader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The most bytes a frame may have.
    pub fn max_frame(&self) -> u64 {
        self.options.max_frame
    }

    /// How many bytes a frame with no records has.
    pub const fn empty_frame() -> u64 {
        FRAME_HEADER as u64
    }

    fn check_healthy(&self) -> Result<(), LogError> {
        if self.poisoned.load(Ordering::Acquire) {
            Err(LogError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn poison(&self, error: DiskError) -> LogError {
        self.poisoned.store(true, Ordering::Release);
        LogError::WriteFailed(error)
    }
}
