//! `saldo restore`: makes a store of a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;
use ledger::{BookNo, Micros, Position};
use serde_json::json;
use store::Mark;
use store_journal::backup::Backup;
use store_journal::log::Disk;

use super::copy::{BookPosition, Cut, Destination, Point, Source, Until, drain};
use crate::failure::Failure;
use crate::place::Place;

/// Makes a store of a backup.
#[derive(clap::Args)]
#[command(
    after_help = "Stopped anywhere, it goes on where it was when it is started again. The store can be used when all of it is there \
                  and every book's digest is that of the backup."
)]
pub(crate) struct Restore {
    /// The folder of the backup
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Where to: a folder or database without a store
    #[arg(long, value_name = "URL")]
    to: Place,
    /// The file with the keys of names, labels and references that was backed up apart. Without it the store takes no writes until
    /// this is run again with it
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// Only what there was when this was a book's last position; BOOK is its number, as `saldo verify` shows it
    #[arg(long, value_name = "BOOK:POSITION", conflicts_with = "at_time")]
    at_position: Option<BookPosition>,
    /// Only what was recorded up to this time, such as 2026-11-21T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    at_time: Option<Micros>,
    /// Says what was done as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Micros, String> {
    dialects::time::parse(text).ok_or_else(|| "write it as 2026-11-21T12:00:00Z".to_owned())
}

/// A vault's file.
pub(super) fn read_vault(file: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let read = |file: &Path| {
        let bytes = std::fs::read(file);
        bytes.map_err(|error| Failure::while_doing(&format!("reading the vault {}", file.display()), error))
    };
    file.map(read).transpose()
}

/// The backup in a folder.
pub(super) fn open(folder: &Path) -> Result<Backup, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::while_doing(&format!("reading the backup in {}", folder.display()), error)
    };
    if !folder.is_dir() {
        return Err(failed(&"there is no such folder"));
    }
    let disk = store_journal::folder(folder, false).map_err(|error| failed(&error))?;
    Backup::open(disk).map_err(|error| failed(&error))
}

/// Compares a backup's files with their hashes.
pub(super) fn check_files(backup: &Backup, folder: &Path) -> Result<(), Failure> {
    let bar = super::bar("{wide_bar} {bytes}/{total_bytes} {eta} checking files");
    let checked = tokio::task::block_in_place(|| {
        backup.check_files(|progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.bytes);
        })
    });
    bar.finish_and_clear();
    checked
        .map_err(|error| Failure::while_doing(&format!("checking the backup in {}", folder.display()), error))
}

impl Restore {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let backup = open(&self.from)?;
        let vault = read_vault(self.vault.as_deref())?;
        let disk = backup.as_store(vault).map_err(|error| {
            Failure::while_doing(&format!("reading the backup in {}", self.from.display()), error)
        })?;
        check_files(&backup, &self.from)?;
        let point = match (self.at_position, self.at_time) {
            (Some(BookPosition(book, position)), _) => Point::Position(book, position),
            (None, Some(time)) => Point::Time(time),
            (None, None) => Point::End,
        };
        let bar = super::bar("{wide_bar} {percent}% {msg} records {eta}");
        let restored = Restoring {
            from: &self.from,
            disk,
            to: &self.to,
            point,
            has_vault: self.vault.is_some(),
        };
        let restored = restored.run(&bar).await;
        bar.finish_and_clear();
        let restored = restored?;
        self.say(&restored);
        Ok(())
    }

    fn say(&self, restored: &Restored) {
        let Restored { records, books } = restored;
        if self.json {
            let books: Vec<_> = books.iter().map(super::book_as_json).collect();
            println!(
                "{}",
                json!({"ok": true, "usable": self.vault.is_some(), "records": records, "books": books})
            );
        } else {
            println!(
                "OK: {records} records restored; {} books have the digests of the backup",
                books.len()
            );
        }
        match self.vault {
            Some(_) => eprintln!("Next: saldo serve --store {}", self.to),
            None => eprintln!(
                "The keys of names, labels and references are not there yet, so the store is marked as unfinished and takes no writes. \
                 Run the same again with --vault FILE."
            ),
        }
    }
}

/// What was restored.
pub(super) struct Restored {
    pub(super) records: u64,
    pub(super) books: Vec<(BookNo, Position, [u8; 32])>,
}

/// A backup that becomes a store.
pub(super) struct Restoring<'a> {
    pub(super) from: &'a Path,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) to: &'a Place,
    pub(super) point: Point,
    pub(super) has_vault: bool,
}

impl Restoring<'_> {
    pub(super) async fn run(&self, bar: &ProgressBar) -> Result<Restored, Failure> {
        let source = Source::of_disk(Arc::clone(&self.disk), &self.from.display().to_string())?;
        let mut destination = Destination::open(self.to).await?;
        match self.take(source, &mut destination, bar).await {
            Ok(books) => {
                let records = destination.taken;
                match self.has_vault {
                    true => destination.finish().await?,
                    false => destination.leave().await,
                }
                Ok(Restored { records, books })
            }
            Err(failure) => {
                destination.leave().await;
                Err(failure)
            }
        }
    }

    async fn take(
        &self,
        source: Source,
        destination: &mut Destination,
        bar: &ProgressBar,
    ) -> Result<Vec<(BookNo, Position, [u8; 32])>, Failure> {
        let from = self.from.display().to_string();
        match destination.mark().await? {
            Some(Mark::Unfinished(other)) if other == from => {}
            None if destination.is_empty() => destination.begin(&from).await?,
            _ => {
                return Err(Failure::new(format!(
                    "there is a store in {} already; name a place without one",
                    self.to
                )));
            }
        }
        let until = Until {
            time: Micros::MAX,
            is_end: true,
        };
        let (source, cut, _) = drain(source, Cut::at(self.point), destination, until, bar).await?;
        if !cut.is_reached() {
            let Point::Position(book, position) = self.point else {
                return Err(Failure::new("the point was not reached"));
            };
            let end = cut.books().into_iter().find(|(no, ..)| *no == book);
            return Err(Failure::new(match end {
                Some((_, end, _)) => {
                    format!("book {book} has no position {position} in this backup; its last is {end}")
                }
                None => format!("there is no book {book} in this backup"),
            }));
        }
        let books = cut.books();
        destination.compare(&books).await?;
        if self.has_vault {
            let keys = source.text_keys().await?;
            if let Some(first) = cut.keyless(&keys).first() {
                return Err(Failure::new(format!(
                    "the vault has no key for {} books, clients and customers of the backup, such as {}: it is older than the books; \
                     use the one that was written with this backup, or a later one",
                    cut.keyless(&keys).len(),
                    ledger::ClientId(first.0)
                )));
            }
            destination.take_text_keys(keys).await?;
            // The same commands, under their keys: who asks for it again gets the answer.
            destination.submit(cut.erasures()).await?;
        }
        Ok(books)
    }
}
