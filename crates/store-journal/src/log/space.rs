//! Space ahead: segments are made before a batch needs them, so that only this can meet a full disk.

use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, DiskError};
use super::error::LogError;
use super::segment::{ADDRESS_LIMIT, SEGMENT_HEADER, Segment, Segments, Span, StoreId};

/// How long segments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSizes {
    /// The first one: small, so that a new store takes little. Each next one is twice as long, so that making it takes
    /// no longer than filling the one before, until they are as long as `rest`.
    pub first: u64,
    /// The longest.
    pub rest: u64,
}

impl SegmentSizes {
    fn of(&self, number: u32) -> u64 {
        let doubled = self
            .first
            .checked_mul(1u64.checked_shl(number - 1).unwrap_or(u64::MAX));
        doubled.unwrap_or(u64::MAX).min(self.rest)
    }
}

/// Makes segments.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    store: StoreId,
    sizes: SegmentSizes,
    /// Held while a segment is being made: who makes them ahead and the writer may want the same one.
    making: Mutex<()>,
}

impl Space {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        store: StoreId,
        sizes: SegmentSizes,
    ) -> Self {
        Self {
            disk,
            segments,
            store,
            sizes,
            making: Mutex::new(()),
        }
    }

    /// Makes a store's first segment.
    pub(crate) fn first(disk: &dyn Disk, store: &StoreId, sizes: SegmentSizes) -> Result<Segment, LogError> {
        let span = Span {
            number: 1,
            base: 0,
            capacity: sizes.of(1).max(SEGMENT_HEADER),
        };
        Segment::make(disk, store, span).map_err(|e| no_space(e, span.capacity))
    }

    /// The segment after this one, made if need be, so that a frame of these bytes fits. An unused one that is too
    /// small is replaced: only the one writer plans frames, so it knows that nothing is in it.
    pub(crate) fn after(&self, current: Span, frame_bytes: u64) -> Result<Span, LogError> {
        let _making = self.making.lock();
        let number = current.number.checked_add(1).ok_or(LogError::Full)?;
        let needed = SEGMENT_HEADER + frame_bytes;
        if let Some(ready) = self.segments.get(number)
            && ready.span.capacity >= needed
        {
            return Ok(ready.span);
        }
        let span = Span {
            number,
            base: current.end(),
            capacity: self.sizes.of(number).max(needed),
        };
        if span
            .base
            .checked_add(span.capacity)
            .is_none_or(|end| end > ADDRESS_LIMIT)
        {
            return Err(LogError::Full);
        }
        let made = Segment::make(&*self.disk, &self.store, span).map_err(|e| no_space(e, span.capacity))?;
        self.segments.put(Arc::new(made));
        Ok(span)
    }
}

fn no_space(error: DiskError, bytes: u64) -> LogError {
    match error {
        DiskError::NoSpace { .. } => LogError::NoSpace { bytes },
        other => other.into(),
    }
}
