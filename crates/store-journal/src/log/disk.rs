//! All file access of the store, behind two small traits, so that a simulated disk can lose, tear or reorder
//! whatever was not synced, fail a sync, or be full.
//!
//! What callers may rely on, and what a simulated disk has to honour:
//!
//! - after [`DiskFile::sync_data`] the file's bytes **and its length** survive a crash;
//! - a file's name (creation, rename, removal) survives a crash only after [`Disk::sync_dir`];
//! - a rename is atomic: after a crash the name holds either the old file or the new one;
//! - anything else may be lost, torn at any byte, or reordered.
//!
//! By convention a name that ends in `.new` is a file being made: it is renamed when complete and removed when a
//! store opens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The ending of files that are being made, see [`Beside`].
pub const UNFINISHED: &str = ".new";

/// Zeros are written ahead in steps of this size.
const ZERO_STEP: usize = 1 << 20;

/// After so many steps the zeros are synced, so that a commit's own sync never waits behind a whole segment.
const STEPS_PER_SYNC: usize = 8;

/// What can go wrong with a file, by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk or the quota is used up.
    #[error("no space left on the disk while writing {name}")]
    NoSpace {
        /// The file that was being written.
        name: String,
    },
    /// There is no such file.
    #[error("{name} does not exist")]
    NotFound {
        /// The name that was asked for.
        name: String,
    },
    /// A file that was to be created exists.
    #[error("{name} exists already")]
    Exists {
        /// The name that was to be created.
        name: String,
    },
    /// Another process holds the lock.
    #[error(
        "{holder} has this store open ({name} is locked); one process at a time: stop it, or use another folder"
    )]
    Locked {
        /// The lock file.
        name: String,
        /// Who holds it, as far as can be told.
        holder: String,
    },
    /// The operating system says no.
    #[error("cannot {doing} {name}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl DiskError {
    /// Names an operating system's error by its meaning.
    pub fn from_io(doing: &'static str, name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { name },
            io::ErrorKind::NotFound => Self::NotFound { name },
            io::ErrorKind::AlreadyExists => Self::Exists { name },
            _ => Self::Io { doing, name, source },
        }
    }
}

/// Whether a file has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Makes an empty file; an existing one of that name is emptied.
    Create,
    /// Opens a file that exists.
    Existing,
}

/// An exclusive lock, held until it is dropped.
pub type DiskLock = Box<dyn Send + Sync>;

/// A folder of files. Names are relative and flat.
pub trait Disk: Send + Sync {
    /// The names of all files, in no order.
    fn list(&self) -> Result<Vec<String>, DiskError>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Gives a file another name, replacing what had it; atomic.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file.
    fn remove(&self, name: &str) -> Result<(), DiskError>;
    /// Makes all creations, renames and removals durable.
    fn sync_dir(&self) -> Result<(), DiskError>;
    /// Takes an exclusive lock through the named file, or says who has it. The kernel frees it when a process dies.
    fn lock(&self, name: &str) -> Result<DiskLock, DiskError>;
}

/// An open file. All calls take offsets, so that a handle can be shared between threads.
pub trait DiskFile: Send + Sync {
    /// The file's length.
    fn len(&self) -> Result<u64, DiskError>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }
    /// Reads as many bytes as there are, up to the buffer's length; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError>;
    /// Writes all bytes; beyond the end the file grows.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;
    /// Makes the bytes and the length durable (`fdatasync`).
    fn sync_data(&self) -> Result<(), DiskError>;
    /// Really writes zeros over `from..to` and syncs them, so that later writes there need no space and no metadata.
    fn write_zeros(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let zeros = vec![0; ZERO_STEP];
        let (mut at, mut steps) = (from, 0);
        while at < to {
            let step = usize::try_from(to - at).map_or(ZERO_STEP, |left| left.min(ZERO_STEP));
            self.write_at(&zeros[..step], at)?;
            at += step as u64;
            steps += 1;
            if steps % STEPS_PER_SYNC == 0 {
                self.sync_data()?;
            }
        }
        self.sync_data()
    }
}

/// A file that appears under its name only when it is complete and durable. Dropped before, it is removed.
pub struct Beside<'a> {
    disk: &'a dyn Disk,
    file: Arc<dyn DiskFile>,
    name: String,
    length: u64,
    committed: bool,
}

impl<'a> Beside<'a> {
    /// Starts a file that is to have this name.
    pub fn create(disk: &'a dyn Disk, name: &str) -> Result<Self, DiskError> {
        let file = disk.open(&format!("{name}{UNFINISHED}"), OpenMode::Create)?;
        Ok(Self {
            disk,
            file,
            name: name.to_owned(),
            length: 0,
            committed: false,
        })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Appends zeros up to a length, durably.
    pub fn fill_to(&mut self, length: u64) -> Result<(), DiskError> {
        self.file.write_zeros(self.length, length)?;
        self.length = self.length.max(length);
        Ok(())
    }

    /// Makes what was written durable, under its passing name.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }

    /// Syncs, renames, syncs the folder. Answers the open file.
    pub fn commit(mut self) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.file.sync_data()?;
        self.disk
            .rename(&format!("{}{UNFINISHED}", self.name), &self.name)?;
        self.committed = true;
        self.disk.sync_dir()?;
        Ok(Arc::clone(&self.file))
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // Only a courtesy: what stays behind is removed when the store opens.
            let _ = self.disk.remove(&format!("{}{UNFINISHED}", self.name));
        }
    }
}

/// Writes a whole file that is either complete under its name or not there.
pub fn write_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let mut file = Beside::create(disk, name)?;
    file.write(bytes)?;
    file.commit()?;
    Ok(())
}

/// Writes a whole file in place of the one that is there. Without space nothing has changed; after any other error either of
/// the two may be there.
pub fn replace_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let mut file = Beside::create(disk, name)?;
    file.write(bytes)?;
    file.sync()?;
    file.commit().map(|_| ()).map_err(|error| match error {
        // Once it is renamed that is no lack of space that passes.
        DiskError::NoSpace { name } => DiskError::Io {
            doing: "replace",
            name,
            source: io::ErrorKind::StorageFull.into(),
        },
        other => other,
    })
}

/// Reads a whole file.
pub fn read_whole(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(name, OpenMode::Existing)?;
    let length = usize::try_from(file.len()?).map_err(|_| DiskError::Io {
        doing: "read",
        name: name.to_owned(),
        source: io::Error::new(io::ErrorKind::FileTooLarge, "longer than memory"),
    })?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A folder of the operating system's file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// A folder that exists.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A folder that is made, durably, if it does not exist.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let root = root.into();
        let name = root.display().to_string();
        std::fs::create_dir_all(&root).map_err(|e| DiskError::from_io("make", &name, e))?;
        // A relative path of one part has the empty path as its parent.
        let parent = root
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| DiskError::from_io("sync", &name, e))?;
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        debug_assert!(!name.contains('/'), "names are flat: {name}");
        self.root.join(name)
    }
}

impl Disk for RealDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let folder = self.root.display().to_string();
        let failed = |e| DiskError::from_io("list", &folder, e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type().map_err(failed)?.is_file()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let create = mode == OpenMode::Create;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(create)
            .open(self.path(name))
            .map_err(|e| DiskError::from_io("open", name, e))?;
        Ok(Arc::new(RealFile {
            file,
            name: name.to_owned(),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        std::fs::rename(self.path(from), self.path(to)).map_err(|e| DiskError::from_io("rename", from, e))
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        std::fs::remove_file(self.path(name)).map_err(|e| DiskError::from_io("remove", name, e))
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        File::open(&self.root)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| DiskError::from_io("sync", &self.root.display().to_string(), e))
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        let failed = |e| DiskError::from_io("lock", name, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            // The holder's process number is in there until we know that there is none.
            .truncate(false)
            .open(self.path(name))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let holder = if known {
                    format!("process {}", pid.trim())
                } else {
                    "another process".to_owned()
                };
                return Err(DiskError::Locked {
                    name: name.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0).map_err(failed)?;
        match writeln!(file, "{}", std::process::id()).map_err(failed) {
            // Who holds it is a courtesy, for which a full disk has no space.
            Ok(()) | Err(DiskError::NoSpace { .. }) => Ok(Box::new(file)),
            Err(error) => Err(error),
        }
    }
}

/// A file of the operating system.
struct RealFile {
    file: File,
    name: String,
}

impl DiskFile for RealFile {
    fn len(&self) -> Result<u64, DiskError> {
        self.file
            .metadata()
            .map(|m| m.len())
            .map_err(|e| DiskError::from_io("measure", &self.name, e))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DiskError::from_io("read", &self.name, e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| DiskError::from_io("write", &self.name, e))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file
            .sync_data()
            .map_err(|e| DiskError::from_io("sync", &self.name, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::create(folder.path().join("store")).unwrap();
        write_whole(&disk, "a", b"hello").unwrap();
        assert_eq!(read_whole(&disk, "a").unwrap(), b"hello");
        assert_eq!(disk.list().unwrap(), ["a"]);
        drop(Beside::create(&disk, "b").unwrap());
        assert_eq!(disk.list().unwrap(), ["a"], "an unfinished file is removed");
        disk.rename("a", "c").unwrap();
        let file = disk.open("c", OpenMode::Existing).unwrap();
        file.write_zeros(3, 3 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 3 << 20);
        let mut buffer = [1; 8];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
        assert_eq!(&buffer, b"hel\0\0\0\0\0");
        assert_eq!(file.read_at(&mut buffer, (3 << 20) - 2).unwrap(), 2);
        disk.remove("c").unwrap();
        assert!(matches!(
            disk.open("c", OpenMode::Existing),
            Err(DiskError::NotFound { .. })
        ));
    }

    #[test]
    fn a_second_lock_says_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(folder.path());
        let held = disk.lock("lock").unwrap();
        let message = disk.lock("lock").err().unwrap().to_string();
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        drop(held);
        disk.lock("lock").unwrap();
    }
}
