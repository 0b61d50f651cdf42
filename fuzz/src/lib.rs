//! What the targets share: a folder in memory, and a log in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use store_journal::log::{
    Disk, DiskError, DiskFile, DiskLock, FrameBuf, Locator, Log, LogOptions, OpenMode, SegmentSizes, StoreId,
};

/// The id of every store here.
pub const STORE: StoreId = [7; 16];

type Files = BTreeMap<String, Arc<File>>;

/// A folder in memory, which never fails.
#[derive(Clone, Default)]
pub struct Folder(Arc<Mutex<Files>>);

#[derive(Default)]
struct File(Mutex<Vec<u8>>);

impl Folder {
    /// With a file.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let file = File(Mutex::new(bytes.to_vec()));
        self.files().insert(name.to_owned(), Arc::new(file));
    }

    /// The bytes of each file.
    pub fn content(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.files();
        let bytes = |(name, file): (&String, &Arc<File>)| (name.clone(), file.bytes().clone());
        files.iter().map(bytes).collect()
    }

    /// As the trait.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl File {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("nobody panics with it")
    }
}

fn not_found(name: &str) -> DiskError {
    DiskError::NotFound {
        name: name.to_owned(),
    }
}

impl Disk for Folder {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.files().keys().cloned().collect())
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        if mode == OpenMode::Create {
            self.put(name, &[]);
        }
        let file = self.files().get(name).cloned();
        Ok(file.ok_or_else(|| not_found(name))?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut files = self.files();
        let file = files.remove(from).ok_or_else(|| not_found(from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        let removed = self.files().remove(name);
        removed.map(drop).ok_or_else(|| not_found(name))
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, _: &str) -> Result<DiskLock, DiskError> {
        Ok(Box::new(()))
    }
}

impl DiskFile for File {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.bytes().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let bytes = self.bytes();
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> Result<(), DiskError> {
        let mut bytes = self.bytes();
        let at = usize::try_from(offset).expect("files here are small");
        if bytes.len() < at + new.len() {
            bytes.resize(at + new.len(), 0);
        }
        bytes[at..at + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Segments so small that a few frames fill one.
pub fn options() -> LogOptions {
    LogOptions {
        sizes: SegmentSizes {
            first: 1 << 10,
            rest: 1 << 10,
        },
        max_frame: 64 << 10,
    }
}

/// A log with a frame of each of these lists of records, and where the frames lie in its segments' files, one behind the other.
pub fn log_of(frames: &[Vec<Vec<u8>>]) -> (Folder, Vec<Range<usize>>) {
    let folder = Folder::default();
    let log = Log::create(folder.disk(), options(), STORE).expect("a log");
    let mut planner = log.planner();
    let mut places = Vec::new();
    for (time, records) in (0..).zip(frames) {
        let mut frame = FrameBuf::new();
        for record in records {
            frame.push(record);
        }
        let written = log.append(&mut planner, time, &mut frame).expect("it is written");
        places.push(index(written.position.start)..index(written.position.end));
    }
    (folder, places)
}

fn index(locator: Locator) -> usize {
    usize::try_from(locator.get()).expect("logs here are small")
}

/// The payloads of all frames with records that opening hands out; what is wrong, if it does not open.
pub fn read(folder: &Folder) -> Result<(Vec<Vec<Vec<u8>>>, u64), String> {
    let mut frames = Vec::new();
    let opened = Log::open_with(folder.disk(), options(), None, |frame| {
        let records: Vec<_> = frame.records().map(|(_, payload)| payload.to_vec()).collect();
        if !records.is_empty() {
            frames.push(records);
        }
        Ok(())
    });
    match opened {
        Ok((_, recovery)) => Ok((frames, recovery.bytes_cut)),
        Err(error) => Err(error.to_string()),
    }
}
