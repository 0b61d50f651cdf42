//! Where a store is, and opening it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use ledger::BookNo;
use service::{Caller, Clock, Service};
use store::{Page, Store, Viewer};
use store_journal::{JournalStore, OpenError, Options};
use store_postgres::{Pending, PostgresStore};

use crate::failure::Failure;

/// What `--store` names: a folder with an embedded store, or a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A database.
    Postgres(Box<store_postgres::Url>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("name a folder, or a database as postgres://…".to_owned());
        }
        match text.split_once("://") {
            None => Ok(Self::Folder(PathBuf::from(text))),
            Some(("postgres" | "postgresql", _)) => {
                let url = store_postgres::Url::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::Postgres(Box::new(url)))
            }
            Some((scheme, _)) => Err(format!(
                "there are no stores at `{scheme}://`; name a folder, or a database as postgres://…"
            )),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// What a store is used for, as far as it has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nobody can use it yet: it was not made to its end.
    Nothing,
    /// A sandbox.
    Sandbox,
    /// Somebody's books.
    Books,
}

/// The foreign id of a sandbox's root client.
pub(crate) const SANDBOX: &str = "saldo-sandbox";

impl Place {
    /// Makes an empty store here. One that is here already is left as it is; a folder of other things is refused.
    pub(crate) async fn create(&self) -> Result<(), Failure> {
        match self {
            Self::Folder(folder) => self.create_in(folder),
            Self::Postgres(url) => {
                let made = store_postgres::create(url, &postgres_options()).await;
                made.map_err(|error| self.failed("making", &error))
            }
        }
    }

    fn create_in(&self, folder: &Path) -> Result<(), Failure> {
        if self.holds_other_things(folder)? {
            return Err(Failure::new(format!(
                "{self} is a folder of other things; name one that is empty or does not exist yet"
            )));
        }
        let disk = store_journal::folder(folder, true).map_err(|error| self.failed("making", &error))?;
        match store_journal::create(&disk, &options_of_folder()?, &self.to_string()) {
            Ok(()) | Err(OpenError::Exists(_)) => Ok(()),
            Err(error) => Err(self.failed("making", &error)),
        }
    }

    /// Opens the store here.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        self.open_with(false).await
    }

    /// Opens the store here, also one that is not to be used.
    pub(crate) async fn open_despite_mark(&self) -> Result<Arc<dyn Store>, Failure> {
        self.open_with(true).await
    }

    /// Whether it is the same store, as far as can be told from the name.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(one), Self::Folder(other)) => {
                let real = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
                real(one) == real(other)
            }
            (Self::Postgres(_), Self::Postgres(_)) => self.to_string() == other.to_string(),
            _ => false,
        }
    }

    async fn open_with(&self, despite_mark: bool) -> Result<Arc<dyn Store>, Failure> {
        match self {
            Self::Folder(folder) => self.open_in(folder, despite_mark),
            Self::Postgres(url) => {
                let mut options = postgres_options();
                options.despite_mark = despite_mark;
                let store = PostgresStore::open(url, options).await;
                let store = store.map_err(|error| self.failed("opening", &error))?;
                tracing::info!(store = %self, "opened");
                Ok(Arc::new(store))
            }
        }
    }

    /// What is yet to be done to the tables of the store here. A folder has none.
    pub(crate) async fn pending(&self) -> Result<Pending, Failure> {
        match self {
            Self::Folder(_) => Ok(Pending::default()),
            Self::Postgres(url) => {
                let pending = store_postgres::check(url, &postgres_options()).await;
                pending.map_err(|error| self.failed("checking", &error))
            }
        }
    }

    /// Brings the tables of the store here up to date; says what was done.
    pub(crate) async fn migrate(&self) -> Result<Pending, Failure> {
        match self {
            Self::Folder(_) => Ok(Pending::default()),
            Self::Postgres(url) => {
                let done = store_postgres::migrate(url, &postgres_options()).await;
                done.map_err(|error| self.failed("migrating", &error))
            }
        }
    }

    fn open_in(&self, folder: &Path, despite_mark: bool) -> Result<Arc<dyn Store>, Failure> {
        if !folder.is_dir() {
            return Err(Failure::new(OpenError::NotFound(self.to_string()).to_string()));
        }
        let disk = store_journal::folder(folder, false).map_err(|error| self.failed("opening", &error))?;
        let mut options = options_of_folder()?;
        options.despite_mark = despite_mark;
        let store = JournalStore::open(disk, options, &self.to_string()).map_err(|error| match error {
            OpenError::NotFound(_) => Failure::new(error.to_string()),
            other => self.failed("opening", &other),
        })?;
        let recovery = store.recovery();
        if recovery.bytes_cut > 0 {
            tracing::warn!(
                store = %self,
                bytes = recovery.bytes_cut,
                files = ?recovery.cut_files,
                "the last write was not complete and nobody was told that it was done; its bytes were put aside"
            );
        }
        tracing::info!(store = %self, frames = recovery.frames, records = recovery.records, "opened");
        Ok(Arc::new(store))
    }

    /// Whether there are files here and none of them is a store's.
    fn holds_other_things(&self, folder: &Path) -> Result<bool, Failure> {
        let files = match std::fs::read_dir(folder) {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed("reading", &error)),
        };
        let names: Vec<_> = files
            .flatten()
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .collect();
        Ok(!names.is_empty() && !names.iter().any(|name| is_ours(name)))
    }

    fn failed(&self, doing: &str, error: &dyn fmt::Display) -> Failure {
        Failure::while_doing(&format!("{doing} the store in {self}"), error)
    }
}

/// Whether a file of this name is a store's, or what a file system brings along.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    let segment = name.strip_suffix(".log");
    ["lock", "signing.key", "texts.vault", "lost+found"].contains(&name)
        || segment.is_some_and(|number| number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The usual ones of a database. A reader of `SALDO_UNSAFE_DATABASE=1` has been told what it may cost.
pub(crate) fn postgres_options() -> store_postgres::Options {
    let clock = Clock::System;
    let mut options = store_postgres::Options::new(Arc::new(move || clock.now()));
    options.allow_unsafe = std::env::var_os("SALDO_UNSAFE_DATABASE").is_some_and(|value| value == "1");
    options
}

/// The usual ones. What can't be written for sure ends the process: the next opening finds out what is durable.
pub(crate) fn options() -> Options {
    let clock = Clock::System;
    let mut options = Options::new(Arc::new(move || clock.now()));
    options.on_fatal = Arc::new(|why| {
        tracing::error!(
            "{why}; stopping at once, since what is durable is not known until the store is opened again"
        );
        std::process::abort();
    });
    options
}

/// The usual ones, with files as small as the environment says: for small disks, and for tests that change files often.
fn options_of_folder() -> Result<Options, Failure> {
    let mut options = options();
    if let Some(bytes) = bytes_in("SALDO_SEGMENT_BYTES", 4 << 10)? {
        options.log.sizes.rest = bytes;
        options.log.sizes.first = options.log.sizes.first.min(bytes);
    }
    if let Some(bytes) = bytes_in("SALDO_SNAPSHOT_BYTES", 1)? {
        options.snapshot_every = Some(bytes);
    }
    Ok(options)
}

/// A number of bytes in the environment, of at least `least`.
fn bytes_in(name: &str, least: u64) -> Result<Option<u64>, Failure> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(None);
    };
    let bytes = text.to_str().and_then(|text| text.parse().ok());
    let bytes = bytes.filter(|bytes| (least..=1 << 40).contains(bytes));
    bytes.map(Some).ok_or_else(|| {
        Failure::new(format!(
            "{name} must be a number of bytes from {least} to {}, and is `{}`",
            1_u64 << 40,
            text.to_string_lossy()
        ))
    })
}

/// What the service's store is used for. Its vault is checked on the way: without the keys of texts it is of no use.
pub(crate) async fn content(service: &Service) -> Result<Content, Failure> {
    service.check_vault().await?;
    let operator = Viewer {
        book: BookNo::OPERATOR,
        client: None,
    };
    let first = Page {
        limit: 1,
        after: None,
    };
    let store: &dyn Store = &*service.store;
    let sandbox = Some(SANDBOX.to_owned());
    let sandbox = service.clients(&Caller::server(), sandbox, first).await?;
    if !sandbox.items.is_empty() {
        return Ok(Content::Sandbox);
    }
    let used = !store.api_keys(operator, first).await?.items.is_empty()
        || !store.clients(operator, None, first).await?.items.is_empty();
    Ok(if used { Content::Books } else { Content::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_told_from_other_things() {
        for ours in [
            "lock",
            "signing.key",
            "00000001.log",
            "00000002.log.new",
            "signing.key.new",
            "texts.vault",
            "lost+found",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["thesis.txt", "1.log", "00000001.keys.txt", "xxxxxxxx.log", ""] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn a_place_is_a_folder_or_a_database() {
        assert_eq!("./x".parse(), Ok(Place::Folder(PathBuf::from("./x"))));
        let database = "postgresql://me:hush@db/saldo?prepare=off".parse::<Place>();
        let shown = database.map(|place| place.to_string());
        assert_eq!(
            shown,
            Ok("postgres://db:5432/saldo".to_owned()),
            "the password is not shown"
        );
        for no in ["", "postgres://db/saldo?prepare=perhaps", "s3://bucket"] {
            assert!(no.parse::<Place>().is_err(), "{no}");
        }
    }
}
