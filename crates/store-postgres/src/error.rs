//! What can go wrong on the way to the database, and what it means to who waits.

use store::StoreError;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a statement, or all of a piece of work, failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The same work again may succeed: a conflict with another transaction, a lost or late connection.
    Passing(String),
    /// No space on the database's disk.
    NoSpace,
    /// It will fail the same way again.
    Lasting(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Lasting(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            return Self::Passing(describe(&error));
        };
        let passing = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::OUT_OF_MEMORY,
            // Another writer was faster where no lock was held: a distributed database may tell so late.
            SqlState::UNIQUE_VIOLATION,
            SqlState::DIVISION_BY_ZERO,
        ];
        let code = database.code();
        if is_fatal(database) || passing.contains(code) || ["08", "57"].contains(&class(code)) {
            return Self::Passing(describe(&error));
        }
        if is_full(database) {
            return Self::NoSpace;
        }
        let mut why = format!("the database refuses: {}", describe(&error));
        if *code == SqlState::INVALID_SQL_STATEMENT_NAME || *code == SqlState::DUPLICATE_PSTATEMENT {
            why += "; behind a pooler that lends connections for one transaction, add prepare=off to the URL";
        }
        Self::Lasting(StoreError::Closed(why))
    }
}

fn class(code: &SqlState) -> &str {
    &code.code()[..2]
}

/// Whether the session ended with it: then what it was about to do may be done all the same. A server whose WAL finds no
/// space stops so, in the middle of a commit.
fn is_fatal(error: &DbError) -> bool {
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// Whether there was no space for a file. PostgreSQL has a code for a full disk; what exceeds a quota comes without one.
fn is_full(error: &DbError) -> bool {
    let said = ["No space left on device", "Disk quota exceeded"];
    let systems = ["58", "XX"].contains(&class(error.code()));
    *error.code() == SqlState::DISK_FULL || systems && said.iter().any(|said| error.message().contains(said))
}

/// Whether a connection is of no more use after this: it is lost, or leads to a server that takes no writes (a primary that
/// became a standby, or one that was told so).
pub(crate) fn ends_session(error: &tokio_postgres::Error) -> bool {
    let Some(database) = error.as_db_error() else {
        return true;
    };
    let code = database.code();
    let leaves = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
    ];
    is_fatal(database)
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || leaves.contains(code)
        || class(code) == "08"
}

/// Whether connecting may go better in a moment. It does not when the URL names what is not there or not allowed.
pub(crate) fn passes_at_start(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        // 28: who we are; 3D: which database; 42: what we may do.
        Some(database) => !["28", "3D", "42"].contains(&class(database.code())),
        None => true,
    }
}

/// The driver's error with its causes, in one line.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(database) = error.as_db_error() {
        return format!("{} ({})", database.message(), database.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        let deeper_text = deeper.to_string();
        // Some say what their cause says.
        if !text.ends_with(&deeper_text) {
            text = format!("{text}: {deeper_text}");
        }
        cause = deeper.source();
    }
    text
}

/// A row that is not as this version writes it.
pub(crate) fn corrupt(what: impl std::fmt::Display) -> Failure {
    Failure::Lasting(StoreError::Corrupt(what.to_string()))
}

/// Why a store could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none.
    #[error("this is no PostgreSQL URL: {0}; write postgres://user:password@host:port/database")]
    Url(String),
    /// TLS can't be set up as the URL says.
    #[error("TLS to the database: {0}")]
    Tls(String),
    /// There is none.
    #[error("there is no store in this database; `saldo init --store postgres://…` makes one")]
    NotFound,
    /// The database can't be reached, or refuses.
    #[error("the database can't be used: {0}")]
    Database(String),
    /// The database would not keep what it said it kept.
    #[error("the database runs with {0}=off and may lose what was answered when it crashes; set {0}=on")]
    Unsafe(&'static str),
    /// The server is too old.
    #[error("the database is PostgreSQL {0}; version 15 or later is needed")]
    TooOld(String),
    /// It is not to be used.
    #[error("this store takes no writes: {0}")]
    Marked(store::Mark),
    /// A newer version of this program was here.
    #[error(
        "the database's tables are of version {found}, this program knows up to {known}; use a newer one"
    )]
    TooNew {
        /// What was found.
        found: i32,
        /// What is known.
        known: i32,
    },
    /// Its books are kept in a way of before the first release.
    #[error(
        "the database's tables were made by a version before the first release, and are not read; make a new store in another database"
    )]
    Unreleased,
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Passing(why) => Self::Database(why),
            Failure::NoSpace => Self::Database(StoreError::NoSpace.to_string()),
            Failure::Lasting(error) => Self::Database(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(describe(&error))
    }
}
