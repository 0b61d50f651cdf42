//! A store's files as they are at one moment, for whoever has no lock: a server may go on writing them. The journal only grows,
//! so it is as it was when its end is known; of files that are replaced the old ones stay readable.
//!
//! Whatever opening a store does to its files is not done here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::Subject;
use parking_lot::Mutex;

use crate::log::frame::Seal;
use crate::log::reader::nonzero;
use crate::log::recover::{check_position, refuse_damage};
use crate::log::scan::{LogPosition, Scan, Shared, Stop};
use crate::log::segment::{SEGMENT_HEADER, Segments, file_name};
use crate::log::{Disk, DiskError, DiskFile, DiskLock, LOCK_FILE, LogError, OpenMode, StoreId};
use crate::open::OpenError;
use crate::{snapshot, vault};

/// The files of a moment.
#[derive(Clone)]
pub(crate) struct Frozen {
    files: BTreeMap<String, Arc<dyn DiskFile>>,
    pub(crate) store: StoreId,
    /// The last frame.
    pub(crate) end: LogPosition,
    /// Bytes of an incomplete last write, which the next opening will put aside.
    pub(crate) torn: u64,
    /// Who had a key of texts.
    pub(crate) keyed: BTreeSet<Subject>,
}

impl Frozen {
    /// The files as they are now.
    ///
    /// # Errors
    /// There is no store, the disk fails, or what looks like the end of the journal is none.
    pub(crate) fn take(disk: &dyn Disk, place: &str) -> Result<Self, OpenError> {
        match Self::look(disk, place) {
            // A server that is being opened removes segments that it does not need.
            Err(OpenError::Log(LogError::Disk(DiskError::NotFound { .. }))) => Self::look(disk, place),
            other => other,
        }
    }

    fn look(disk: &dyn Disk, place: &str) -> Result<Self, OpenError> {
        let not_found = |error| match error {
            LogError::NotFound => OpenError::NotFound(place.into()),
            other => OpenError::Log(other),
        };
        // What is derived comes first: so the journal has all that it was derived from.
        let mut files = BTreeMap::new();
        for name in disk
            .list()?
            .into_iter()
            .filter(|name| !is_segment_or_unfinished(name))
        {
            match disk.open(&name, OpenMode::Existing) {
                Ok(file) => _ = files.insert(name, file),
                Err(DiskError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (segments, store) = Segments::open(disk).map_err(not_found)?;
        let seal = Seal::new(&store);
        let origin = Shared::origin(&seal);
        let mut frozen = Self {
            files,
            store,
            end: origin,
            torn: 0,
            keyed: BTreeSet::new(),
        };
        let from = frozen.start(&segments, &seal, origin).map_err(OpenError::Log)?;
        // A key is kept before what is sealed under it is recorded, and forgotten after that is recorded: whoever has one
        // before or after has one in between.
        frozen.look_at_vault(disk)?;
        let shared = Arc::new(Shared {
            segments: Arc::new(segments),
            store,
            seal,
            synced: Mutex::new(from),
        });
        let (end, stop) = find_end(&shared, from).map_err(OpenError::Log)?;
        // What can be read may not be durable yet. This makes it so, whoever wrote it.
        if let Some(last) = shared.segments.holding(end.start) {
            last.file.sync_data()?;
        }
        frozen.look_at_vault(disk)?;
        frozen.torn = torn(disk, &shared, &stop).map_err(OpenError::Log)?;
        frozen.take_segments(&shared, end);
        frozen.end = end;
        Ok(frozen)
    }

    /// These files as they are.
    pub(crate) fn of(files: BTreeMap<String, Arc<dyn DiskFile>>, store: StoreId, end: LogPosition) -> Self {
        Self {
            files,
            store,
            end,
            torn: 0,
            keyed: BTreeSet::new(),
        }
    }

    /// The frame of the newest snapshot that this journal has; so what lies before need not be read to find the end.
    fn start(&self, segments: &Segments, seal: &Seal, origin: LogPosition) -> Result<LogPosition, LogError> {
        for name in snapshot::list(self)? {
            let Some(position) = snapshot::position(self, &self.store, &name) else {
                continue;
            };
            match check_position(segments, seal, &position) {
                Ok(_) => return Ok(position),
                Err(LogError::UnknownPosition { .. } | LogError::MissingSegment { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(origin)
    }

    fn look_at_vault(&mut self, disk: &dyn Disk) -> Result<(), OpenError> {
        let file = disk.open(vault::NAME, OpenMode::Existing);
        match file {
            Ok(file) => _ = self.files.insert(vault::NAME.to_owned(), file),
            Err(DiskError::NotFound { .. }) => _ = self.files.remove(vault::NAME),
            Err(error) => return Err(error.into()),
        }
        let keys = vault::text_keys_of(self, &self.store)?;
        self.keyed.extend(keys.into_keys());
        Ok(())
    }

    /// The segments up to the end, as if nothing were behind it.
    fn take_segments(&mut self, shared: &Shared, end: LogPosition) {
        for segment in shared.segments.all() {
            let span = segment.span;
            if span.base > end.start.get() {
                break;
            }
            let holds_end = end.start.get() < span.end();
            let file: Arc<dyn DiskFile> = match holds_end {
                true => Arc::new(Padded::new(
                    Arc::clone(&segment.file),
                    end.end.get() - span.base,
                    span.capacity,
                )),
                false => Arc::clone(&segment.file),
            };
            self.files.insert(file_name(span.number), file);
        }
    }

    /// The same without the snapshots, but this one.
    pub(crate) fn with_snapshot(&self, name: &str) -> Self {
        let mut other = self.clone();
        other
            .files
            .retain(|file, _| file == name || !file.ends_with(snapshot::ENDING));
        other
    }
}

fn is_segment_or_unfinished(name: &str) -> bool {
    name.ends_with(".log") || name.ends_with(crate::log::disk::UNFINISHED) || name == LOCK_FILE
}

/// The last frame, and where the next one will be.
fn find_end(shared: &Arc<Shared>, from: LogPosition) -> Result<(LogPosition, Stop), LogError> {
    let mut end = from;
    let mut scan = Scan::after(Arc::clone(shared), from)?;
    let stop = loop {
        match scan.next_or_stop()? {
            Err(stop) => break stop,
            Ok(frame) => {
                end = LogPosition {
                    sequence: frame.header.sequence,
                    start: frame.start,
                    end: frame.end(),
                    hash: frame.hash,
                }
            }
        }
    };
    if let Err(damage) = refuse_damage(shared, &stop, end.sequence) {
        // A server may have written on since; then the frame that is due is there by now. The list of segments is an old one, so
        // that a frame at the beginning of a new segment is not seen at all.
        if Scan::after(Arc::clone(shared), end)?.next_or_stop()?.is_err() {
            return Err(damage);
        }
    }
    Ok((end, stop))
}

/// How many bytes behind the end are no frame, if no server is writing them.
fn torn(disk: &dyn Disk, shared: &Shared, stop: &Stop) -> Result<u64, LogError> {
    let behind = || -> Result<u64, LogError> {
        let (mut offset, mut bytes) = (stop.offset, 0);
        for segment in shared.segments.all().iter().skip(stop.segment as usize - 1) {
            bytes += nonzero(segment, offset)?.map_or(0, |range| range.end - offset);
            offset = SEGMENT_HEADER;
        }
        Ok(bytes)
    };
    if behind()? == 0 {
        return Ok(0);
    }
    match disk.lock(LOCK_FILE) {
        Ok(lock) => {
            let bytes = behind();
            drop(lock);
            bytes
        }
        Err(DiskError::Locked { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

impl Disk for Frozen {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.files.keys().cloned().collect())
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        if mode == OpenMode::Create {
            return Ok(Arc::new(Bytes(Vec::new())));
        }
        let file = self.files.get(name).ok_or_else(|| DiskError::NotFound {
            name: name.to_owned(),
        })?;
        Ok(Arc::new(Kept(Arc::clone(file))))
    }

    fn rename(&self, _: &str, _: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, _: &str) -> Result<DiskLock, DiskError> {
        Ok(Box::new(()))
    }
}

/// A file that is only read: what is written to it is not kept.
struct Kept(Arc<dyn DiskFile>);

impl DiskFile for Kept {
    fn len(&self) -> Result<u64, DiskError> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn write_zeros(&self, _: u64, _: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.0.sync_data()
    }
}

/// The beginning of a file, and zeros behind it.
pub(crate) struct Padded {
    file: Kept,
    bytes: u64,
    length: u64,
}

impl Padded {
    /// So many bytes of a file, and zeros up to a length.
    pub(crate) fn new(file: Arc<dyn DiskFile>, bytes: u64, length: u64) -> Self {
        Self {
            file: Kept(file),
            bytes,
            length,
        }
    }
}

impl DiskFile for Padded {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let within = |end: u64| {
            let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            left.min(buffer.len())
        };
        let (kept, all) = (within(self.bytes), within(self.length));
        let read = self.file.read_at(&mut buffer[..kept], offset)?;
        if read < kept {
            return Ok(read);
        }
        buffer[kept..all].fill(0);
        Ok(all)
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn write_zeros(&self, _: u64, _: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }
}

/// A file in memory.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl DiskFile for Bytes {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let behind = usize::try_from(offset)
            .ok()
            .and_then(|at| self.0.get(at..))
            .unwrap_or_default();
        let read = behind.len().min(buffer.len());
        buffer[..read].copy_from_slice(&behind[..read]);
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
