//! On a journal in a temporary folder.

use std::any::Any;
use std::sync::Arc;

use service::Clock;
use store::Store;
use store_journal::log::LogOptions;
use store_journal::{JournalStore, Options, create, folder};

#[path = "../../../dialects/tests/dialects/every_store/mod.rs"]
mod every_store;

async fn open(clock: Clock) -> (Arc<dyn Store>, Box<dyn Any>) {
    let place = tempfile::tempdir().expect("a folder is made");
    let mut options = Options::new(Arc::new(move || clock.now()));
    options.log = LogOptions::small();
    let disk = folder(place.path(), true).expect("the folder is there");
    create(&disk, &options, "here").expect("a store is made");
    let store = JournalStore::open(disk, options, "here").expect("the store opens");
    (Arc::new(store), Box::new(place))
}
