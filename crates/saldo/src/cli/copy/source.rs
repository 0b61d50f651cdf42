//! Where a copy comes from.

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use ledger::{BookNo, Micros, Position, Subject};
use store::audit::Fed;
use store::{Mark, SigningKeys, TextKey};
use store_journal::log::Disk;
use tokio::sync::mpsc::Sender;

use crate::failure::Failure;
use crate::place::{Place, postgres_options};

/// The records of a store, from the first on.
pub(in crate::cli) enum Source {
    /// A folder, which a server may have open.
    Folder(Box<store_journal::Feed>, Arc<dyn Disk>),
    /// A database, which servers may have open.
    Database(Box<store_postgres::Feed>, Box<store_postgres::Url>),
}

/// How far to read a folder; a database is read to where it is now.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Until {
    /// To what was begun to be written by then.
    pub(in crate::cli) time: Micros,
    /// Whether nothing but the end may be where nothing more can be read. It takes a look at all that is behind it.
    pub(in crate::cli) is_end: bool,
}

/// A store's folder as a disk.
pub(in crate::cli) fn disk(folder: &Path, place: &Place) -> Result<Arc<dyn Disk>, Failure> {
    if !folder.is_dir() {
        let error = store_journal::OpenError::NotFound(place.to_string());
        return Err(Failure::new(error.to_string()));
    }
    store_journal::folder(folder, false).map_err(|error| reading(place, &error))
}

fn reading(place: &Place, error: &dyn std::fmt::Display) -> Failure {
    Failure::while_doing(&format!("reading the store in {place}"), error)
}

impl Source {
    pub(in crate::cli) async fn open(place: &Place) -> Result<Self, Failure> {
        match place {
            Place::Folder(folder) => {
                let disk = disk(folder, place)?;
                let feed = store_journal::Feed::open(Arc::clone(&disk), &place.to_string());
                let feed = feed.map_err(|error| reading(place, &error))?;
                Ok(Self::Folder(Box::new(feed), disk))
            }
            Place::Postgres(url) => {
                let feed = store_postgres::Feed::open(url, &postgres_options()).await;
                let feed = feed.map_err(|error| reading(place, &error))?;
                Ok(Self::Database(Box::new(feed), url.clone()))
            }
        }
    }

    /// The files of a store that is not in a folder of its own.
    pub(in crate::cli) fn of_disk(disk: Arc<dyn Disk>, place: &str) -> Result<Self, Failure> {
        let feed = store_journal::Feed::open(Arc::clone(&disk), place).map_err(|error| failed(&error))?;
        Ok(Self::Folder(Box::new(feed), disk))
    }

    /// The keys that sign tokens, as they are now.
    pub(in crate::cli) async fn signing_keys(&self) -> Result<SigningKeys, Failure> {
        match self {
            Self::Folder(_, disk) => store_journal::signing_keys(&**disk).map_err(|error| failed(&error)),
            Self::Database(_, url) => {
                let keys = store_postgres::signing_keys(url, &postgres_options()).await;
                keys.map_err(|error| failed(&error))
            }
        }
    }

    /// The keys of texts, as they are now: those of all that was read, but of who was erased since.
    pub(in crate::cli) async fn text_keys(&self) -> Result<Vec<(Subject, TextKey)>, Failure> {
        match self {
            Self::Folder(_, disk) => store_journal::text_keys(&**disk).map_err(|error| failed(&error)),
            Self::Database(_, url) => {
                let keys = store_postgres::text_keys(url, &postgres_options()).await;
                keys.map_err(|error| failed(&error))
            }
        }
    }

    /// Every book that was read, with its position and digest.
    pub(in crate::cli) fn books(&self) -> Vec<(BookNo, Position, [u8; 32])> {
        match self {
            Self::Folder(feed, _) => feed.reading().books(),
            Self::Database(feed, _) => feed.reading().books(),
        }
    }

    pub(in crate::cli) async fn mark(&self) -> Result<Option<Mark>, Failure> {
        match self {
            Self::Folder(_, disk) => store_journal::mark(&**disk).map_err(|error| failed(&error)),
            Self::Database(_, url) => {
                let mark = store_postgres::mark(url, &postgres_options()).await;
                mark.map_err(|error| failed(&error))
            }
        }
    }

    /// Marks it as moved. A database takes no writes from then on; a folder must be locked.
    pub(in crate::cli) async fn set_moved(&self, to: &Place) -> Result<(), Failure> {
        let mark = Mark::Moved(to.to_string());
        match self {
            Self::Folder(_, disk) => {
                store_journal::set_mark(&**disk, Some(&mark)).map_err(|error| failed(&error))
            }
            Self::Database(_, url) => {
                let set = store_postgres::set_mark(url, &postgres_options(), Some(&mark)).await;
                set.map_err(|error| failed(&error))
            }
        }
    }

    /// Keeps servers away. False while one is there.
    pub(in crate::cli) fn try_lock(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Folder(feed, _) => feed.try_lock().map_err(|error| failed(&error)),
            Self::Database(..) => Ok(true),
        }
    }

    /// Sends on what there is by now, of a folder up to a time. Answers how many records that is.
    pub(in crate::cli) async fn send(
        &mut self,
        until: Until,
        out: &Sender<Vec<Fed>>,
        bar: &ProgressBar,
    ) -> Result<u64, Failure> {
        let mut sent = 0;
        if let Self::Database(feed, _) = self {
            feed.look().await.map_err(|error| failed(&error))?;
        }
        loop {
            let fed = match self {
                Self::Folder(feed, _) => tokio::task::block_in_place(|| {
                    let fed = feed.next(until.time)?;
                    match fed.is_empty() && until.is_end {
                        true => feed.check_end(until.time),
                        false => Ok(fed),
                    }
                })
                .map_err(|error| failed(&error))?,
                Self::Database(feed, _) => feed.next().await.map_err(|error| failed(&error))?,
            };
            if fed.is_empty() {
                return Ok(sent);
            }
            sent += fed.len() as u64;
            let (done, all) = self.progress();
            bar.set_length(all);
            bar.set_position(done);
            if out.send(fed).await.is_err() {
                // Whoever takes them has failed, and says why.
                return Ok(sent);
            }
        }
    }

    /// How far it is read, and how far there is to read, in some unit.
    fn progress(&self) -> (u64, u64) {
        match self {
            Self::Folder(feed, _) => feed.progress(),
            Self::Database(feed, _) => feed.progress(),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::while_doing("reading what is copied", error)
}
