//! What can go wrong on the way to the database, and what it means to who waits.

use store::StoreError;
use tokio_postgres::error::SqlState;

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
        let code = database.code();
        let passing = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            // A primary that became a standby.
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::OUT_OF_MEMORY,
            // Another writer was faster where no lock was held: a distributed database may tell so late.
            SqlState::UNIQUE_VIOLATION,
            SqlState::DIVISION_BY_ZERO,
        ];
        let class = &code.code()[..2];
        match code {
            code if *code == SqlState::DISK_FULL => Self::NoSpace,
            // 08: the connection; 57: the server goes down, comes up, or was told to end the session.
            code if passing.contains(code) || ["08", "57"].contains(&class) => {
                Self::Passing(describe(&error))
            }
            _ => Self::Lasting(StoreError::Closed(format!(
                "the database refuses: {}",
                describe(&error)
            ))),
        }
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
        text = format!("{text}: {deeper}");
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
