//! A backup as a store's files: to be read as a journal is read, without being put back anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BackupError, Manifest, PIECE};
use crate::frozen::{Bytes, Frozen, Padded};
use crate::log::segment::{Segment, file_name};
use crate::log::{Disk, DiskError, DiskFile, OpenMode};
use crate::open::OpenError;
use crate::vault;
use crate::verify::Progress;

/// A backup whose manifest was read.
pub struct Backup {
    disk: Arc<dyn Disk>,
    manifest: Manifest,
}

impl Backup {
    /// The backup in a folder.
    ///
    /// # Errors
    /// There is none, or its manifest is damaged.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, BackupError> {
        let manifest = Manifest::read(&*disk)?;
        Ok(Self { disk, manifest })
    }

    /// What it has.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Compares every file with its hash.
    ///
    /// # Errors
    /// The first file that is not what was written.
    pub fn check_files(&self, mut progress: impl FnMut(Progress)) -> Result<(), BackupError> {
        let (mut bytes, total) = (0, self.manifest.bytes());
        let mut piece = vec![0; PIECE];
        for entry in &self.manifest.files {
            let file = self.file(&entry.name)?;
            let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
            while at < entry.bytes {
                let wanted = usize::try_from(entry.bytes - at).map_or(PIECE, |left| left.min(PIECE));
                let read = file.read_at(&mut piece[..wanted], at)?;
                if read == 0 {
                    return Err(damaged(
                        &entry.name,
                        &format!("it ends after {at} of {} bytes", entry.bytes),
                    ));
                }
                hasher.update(&piece[..read]);
                at += read as u64;
                bytes += read as u64;
                progress(Progress { bytes, total });
            }
            if file.len()? != entry.bytes {
                return Err(damaged(
                    &entry.name,
                    &format!("it is longer than {} bytes", entry.bytes),
                ));
            }
            if <[u8; 32]>::from(hasher.finalize()) != entry.blake3 {
                return Err(damaged(
                    &entry.name,
                    "its bytes do not match the hash in the manifest",
                ));
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> Result<Arc<dyn DiskFile>, BackupError> {
        self.disk
            .open(name, OpenMode::Existing)
            .map_err(|error| match error {
                DiskError::NotFound { .. } => damaged(name, "it is not there"),
                other => other.into(),
            })
    }

    /// Its files as a store's, with this vault, or with one that has no keys. What is written to them is not kept.
    ///
    /// # Errors
    /// A file can't be opened, or the vault is none.
    pub fn as_store(&self, vault: Option<Vec<u8>>) -> Result<Arc<dyn Disk>, BackupError> {
        let mut files: BTreeMap<String, Arc<dyn DiskFile>> = BTreeMap::new();
        for (entry, number) in self.manifest.files.iter().zip(1..) {
            let found = self.file(&entry.name)?;
            let mut head = vec![0; crate::log::segment::SEGMENT_HEADER as usize];
            let read = found.read_at(&mut head, 0)?;
            let span =
                Segment::span_of(&head[..read]).ok_or_else(|| damaged(&entry.name, "its head is damaged"))?;
            if span.number != number {
                return Err(damaged(&entry.name, "it is another segment"));
            }
            let padded = Padded::new(found, entry.bytes, span.capacity);
            files.insert(file_name(number), Arc::new(padded));
        }
        let vault = vault.unwrap_or_else(|| vault::header(&self.manifest.store));
        files.insert(vault::NAME.to_owned(), Arc::new(Bytes(vault)));
        let frozen = Frozen::of(files, self.manifest.store, self.manifest.end);
        vault::text_keys_of(&frozen, &self.manifest.store)
            .map_err(|error: OpenError| BackupError::Store(error))?;
        Ok(Arc::new(frozen))
    }
}

fn damaged(name: &str, what: &str) -> BackupError {
    BackupError::Damaged {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}
