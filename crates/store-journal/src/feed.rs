//! Reading all records of a journal, in their order, while a server may be writing it: read-only, and without its lock.
//!
//! A frame that can be read may not be durable yet. So the file is synced after reading and before anything is given out: that
//! makes durable whatever was read, whoever wrote it.

use std::sync::Arc;

use ledger::Micros;
use parking_lot::Mutex;
use store::audit::{Fed, Reading};

use crate::log::recover::refuse_damage;
use crate::log::scan::{Scan, Shared, Stop};
use crate::log::segment::Segments;
use crate::log::{Disk, DiskError, DiskLock, LOCK_FILE, Log, LogError, LogPosition, StoreId};
use crate::open::OpenError;
use crate::payload::split;

/// About so many records are given out at once.
const RECORDS: usize = 4_096;
/// And about so many bytes of them.
const BYTES: u64 = 4 << 20;

/// A reader of all records.
pub struct Feed {
    disk: Arc<dyn Disk>,
    store: StoreId,
    reading: Reading,
    /// The last frame that was given out.
    position: LogPosition,
    /// The address behind all segments.
    end: u64,
    lock: Option<DiskLock>,
}

impl Feed {
    /// Begins at the first record.
    ///
    /// # Errors
    /// When there is no store, or the disk fails.
    pub fn open(disk: Arc<dyn Disk>, place: &str) -> Result<Self, OpenError> {
        let (store, position) = Log::identify(&*disk).map_err(|error| match error {
            LogError::NotFound => OpenError::NotFound(place.into()),
            other => OpenError::Log(other),
        })?;
        Ok(Self {
            disk,
            store,
            reading: Reading::new(),
            position,
            end: 0,
            lock: None,
        })
    }

    /// What was given out so far.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// How many bytes are read, and how many the files have, the last of which may not be full.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.position.end.get(), self.end.max(self.position.end.get()))
    }

    /// Keeps servers from opening the store from now on. False when one has it open.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn try_lock(&mut self) -> Result<bool, OpenError> {
        if self.lock.is_none() {
            self.lock = match self.disk.lock(LOCK_FILE) {
                Ok(lock) => Some(lock),
                Err(DiskError::Locked { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(true)
    }

    /// The next records, of frames that were begun at `until` or before; none when there are none by now.
    ///
    /// # Errors
    /// When the disk fails, or a record can't be read.
    pub fn next(&mut self, until: Micros) -> Result<Vec<Fed>, OpenError> {
        self.read(until).map(|(fed, _)| fed).map_err(OpenError::Log)
    }

    /// Makes sure that what looks like the end of the journal is it, and no damage.
    ///
    /// # Errors
    /// When it is damage.
    pub fn check_end(&mut self, until: Micros) -> Result<Vec<Fed>, OpenError> {
        loop {
            let (fed, stop) = self.read(until).map_err(OpenError::Log)?;
            let Some((shared, stop)) = stop.filter(|_| fed.is_empty()) else {
                return Ok(fed);
            };
            let Err(damage) = refuse_damage(&shared, &stop, self.position.sequence) else {
                return Ok(fed);
            };
            // A server may have written on since; then there is more to read now.
            let (fed, again) = self.read(until).map_err(OpenError::Log)?;
            match again {
                Some((_, again)) if fed.is_empty() && again.offset == stop.offset => {
                    return Err(OpenError::Log(damage));
                }
                _ if fed.is_empty() => {}
                _ => return Ok(fed),
            }
        }
    }

    /// Reads on; also answers where there was no frame, if it came so far.
    #[allow(clippy::type_complexity, reason = "two things that belong to one place")]
    fn read(&mut self, until: Micros) -> Result<(Vec<Fed>, Option<(Arc<Shared>, Stop)>), LogError> {
        // A server may have made more segments since, or the unused one anew.
        let (segments, store) = Segments::open(&*self.disk)?;
        if store != self.store {
            return Err(LogError::NotFound);
        }
        self.end = segments.all().last().map_or(0, |last| last.span.end());
        let shared = Arc::new(Shared {
            segments: Arc::new(segments),
            store,
            seal: crate::log::frame::Seal::new(&store),
            synced: Mutex::new(self.position),
        });
        let mut scan = Scan::after(Arc::clone(&shared), self.position)?;
        let (mut fed, mut bytes, mut stopped) = (Vec::new(), 0, None);
        while fed.len() < RECORDS && bytes < BYTES {
            let frame = match scan.next_or_stop()? {
                Ok(frame) if frame.header.time <= until.0 => frame,
                Ok(_) => break,
                Err(stop) => {
                    stopped = Some((Arc::clone(&shared), stop));
                    break;
                }
            };
            for (at, payload) in frame.records() {
                let wrong = |what: String| LogError::damaged(0, at.get(), Some(frame.header.sequence), what);
                let (_, canonical) = split(payload).ok_or_else(|| wrong("its links are cut short".into()))?;
                fed.push(self.reading.take(canonical).map_err(wrong)?);
            }
            bytes += u64::from(frame.header.length);
            self.position = LogPosition {
                sequence: frame.header.sequence,
                start: frame.start,
                end: frame.end(),
                hash: frame.hash,
            };
        }
        if bytes > 0
            && let Some(last) = shared.segments.holding(self.position.start)
        {
            last.file.sync_data()?;
        }
        Ok((fed, stopped))
    }
}
