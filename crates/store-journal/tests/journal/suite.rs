//! The suite that every store passes, on the journal: small segments, a snapshot every few hundred records.

use std::sync::Arc;

use store::Store;
use store::suite::{Backend, now};
use store_journal::log::LogOptions;
use store_journal::{JournalStore, Options, create, folder};

/// Journals in temporary folders.
struct Journal;

impl Backend for Journal {
    type Place = tempfile::TempDir;

    async fn place(&self) -> Self::Place {
        tempfile::tempdir().expect("a folder is made")
    }

    async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
        let mut options = Options::new(Arc::new(now));
        options.log = LogOptions::small();
        options.snapshot_every = Some(64 << 10);
        let name = place.path().display().to_string();
        let disk = folder(place.path(), true).expect("the folder is there");
        if !place.path().join("signing.key").exists() {
            create(&disk, &options, &name).expect("a store is made");
        }
        Arc::new(JournalStore::open(disk, options, &name).expect("the store opens"))
    }

    async fn verify(&self, place: &Self::Place) -> Result<(), String> {
        let checked = crate::common::check(place.path());
        checked.map(|_| ()).map_err(|error| error.to_string())
    }
}

store::suite!(Journal);
