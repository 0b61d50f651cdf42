//! `saldo backup`: keeps a copy of a store's journal in a folder, and proves that it can be restored.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::HumanBytes;
use serde_json::json;
use service::Clock;
use store::Mark;
use store_journal::backup::{BackedUp, back_up};
use store_journal::log::Disk;

use super::copy::{Point, disk};
use super::restore::{Restoring, check_files, open, read_vault};
use crate::failure::Failure;
use crate::place::{Place, options};

/// Keeps a copy of a store.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "The first run copies all, later ones what is new. A server may use the store meanwhile. Killed anywhere, the backup \
                  before it is still good, and the next run goes on."
)]
pub(crate) struct Backup {
    #[command(subcommand)]
    verify: Option<Check>,
    #[command(flatten)]
    store: super::Store,
    /// The folder of the backup: a new or empty one, or that of earlier runs
    #[arg(long, value_name = "FOLDER", required = true)]
    to: Option<PathBuf>,
    /// Where to write the keys of names, labels and references, replacing what is there: a file that is kept apart from the
    /// backup, under rules of its own, since whoever has both can read what was erased
    #[arg(long, value_name = "FILE")]
    vault_to: Option<PathBuf>,
    /// Says what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Check {
    /// Restores a backup to a temporary folder, checks all of it, and compares digests
    Verify(Verify),
}

/// Checks a backup.
#[derive(clap::Args)]
struct Verify {
    /// The folder of the backup
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The file with the keys of names, labels and references: then it is checked that it belongs to the backup
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// Where to restore to; it takes as much space as the store, and is removed
    #[arg(long, value_name = "FOLDER")]
    temp: Option<PathBuf>,
    /// Says what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match (self.verify, self.to) {
            (Some(Check::Verify(verify)), _) => verify.run().await,
            (None, Some(to)) => {
                let place = self.store.store;
                let done = tokio::task::block_in_place(|| save(&place, &to, self.vault_to.as_deref()))?;
                say(&done, &to, self.vault_to.is_some(), self.json);
                Ok(())
            }
            (None, None) => Err(Failure::new("name the folder of the backup: --to FOLDER")),
        }
    }
}

fn save(place: &Place, to: &Path, vault_to: Option<&Path>) -> Result<BackedUp, Failure> {
    let Place::Folder(folder) = place else {
        return Err(Failure::new(format!(
            "{place} is a database, which is backed up with its own tools, such as pg_basebackup; docs/backup.md says how"
        )));
    };
    let from = disk(folder, place)?;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::while_doing(&format!("backing up {place} to {}", to.display()), error)
    };
    if let Some(mark @ Mark::Unfinished(_)) = store_journal::mark(&*from).map_err(|error| failed(&error))? {
        return Err(failed(&mark));
    }
    let target = target(to).map_err(|error| failed(&error))?;
    let bar = super::bar("{wide_bar} {percent}% {eta}");
    let done = back_up(
        &*from,
        &place.to_string(),
        &*target,
        Clock::System.now(),
        |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.bytes);
        },
    );
    bar.finish_and_clear();
    let done = done.map_err(|error| failed(&error))?;
    if let Some(file) = vault_to {
        // After the books: so it has the keys of all that is in them, but of who was erased.
        let bytes = store_journal::vault_copy(&*from).map_err(|error| failed(&error))?;
        write_private(file, &bytes)
            .map_err(|error| Failure::while_doing(&format!("writing the vault {}", file.display()), error))?;
    }
    Ok(done)
}

/// The folder of a backup, made if it is not there.
fn target(to: &Path) -> Result<Arc<dyn Disk>, Failure> {
    let make = !to.is_dir();
    store_journal::folder(to, make).map_err(|error| Failure::new(error.to_string()))
}

/// Writes a file that its owner alone may read, in place of what is there, durably.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut written = options.open(&beside)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&beside, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn say(done: &BackedUp, to: &Path, has_vault: bool, as_json: bool) {
    let BackedUp {
        manifest,
        records,
        bytes,
    } = done;
    if as_json {
        let books: Vec<_> = manifest.books.iter().map(super::book_as_json).collect();
        let said = json!({"ok": true, "records": records, "bytesCopied": bytes, "bytes": manifest.bytes(),
            "files": manifest.files.len(), "vault": has_vault, "books": books});
        println!("{said}");
    } else {
        println!(
            "OK: {records} records are new, {} were copied; the backup in {} has {} in {} files",
            HumanBytes(*bytes),
            to.display(),
            HumanBytes(manifest.bytes()),
            manifest.files.len()
        );
    }
    if !has_vault {
        eprintln!(
            "The keys of names, labels and references are not in it. Keep them too, somewhere else: --vault-to FILE. Without them the \
             backup's money can be restored, but no name be read."
        );
    }
}

impl Verify {
    async fn run(self) -> Result<(), Failure> {
        let from = &self.from;
        let failed = |error: &dyn std::fmt::Display| {
            Failure::while_doing(&format!("checking the backup in {}", from.display()), error)
        };
        let backup = open(from)?;
        check_files(&backup, from)?;
        let vault = read_vault(self.vault.as_deref())?;
        let disk = backup.as_store(vault).map_err(|error| failed(&error))?;
        let bar = super::bar("{wide_bar} {bytes}/{total_bytes} {eta} checking records");
        let checked = tokio::task::block_in_place(|| {
            store_journal::verify(&disk, &options(), &from.display().to_string(), |progress| {
                bar.set_length(progress.total);
                bar.set_position(progress.bytes);
            })
        });
        bar.finish_and_clear();
        let report = checked.map_err(|error| failed(&error))?;
        let recorded: Vec<_> = report.books.iter().filter(|book| book.1.0 > 0).copied().collect();
        if recorded != backup.manifest().books {
            return Err(failed(&"the digests of its books are not those in its manifest"));
        }
        let temp = self.temp.unwrap_or_else(std::env::temp_dir);
        let temp = Temporary::make(&temp).map_err(|error| {
            Failure::while_doing(&format!("making a folder in {}", temp.display()), error)
        })?;
        let bar = super::bar("{wide_bar} {percent}% {msg} records restored {eta}");
        let restoring = Restoring {
            from,
            disk,
            to: &Place::Folder(temp.0.join("store")),
            point: Point::End,
            has_vault: self.vault.is_some(),
        };
        let restored = restoring.run(&bar).await;
        bar.finish_and_clear();
        let restored = restored?;
        if restored.books != report.books {
            return Err(failed(&"what was restored has other digests"));
        }
        if self.json {
            let books: Vec<_> = restored.books.iter().map(super::book_as_json).collect();
            println!(
                "{}",
                json!({"ok": true, "records": restored.records, "vault": self.vault.is_some(), "books": books})
            );
        } else {
            println!(
                "OK: {} records of the backup of {} were restored and checked; {} books have the digests of its manifest",
                restored.records,
                dialects::time::format(backup.manifest().taken_at),
                restored.books.len()
            );
        }
        Ok(())
    }
}

/// A folder that is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn make(within: &Path) -> std::io::Result<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let folder = within.join(format!("saldo-restore-{:016x}", u64::from_le_bytes(bytes)));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a temporary folder could not be removed");
        }
    }
}
