//! Checking a store against itself: every record by those before it, and every other row by what the records give.
//!
//! Servers may go on meanwhile: each book is read as it was at one moment. The register, the balances and the open holds of
//! the book at hand are kept in memory, as the records give them; everything else streams by.

mod book;
mod expected;
mod lines;
mod past;
mod trails;

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Action, BookNo, Done, Position, Record};
use store::audit::Directory;
use tokio_postgres::Client;

use crate::error::{OpenError, describe};
use crate::migrate::{check as pending, connect};
use crate::options::{Options, Url};
use book::Audit;

/// What was checked, all of it good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Records read and decided again.
    pub records: u64,
    /// Each book with its position and digest.
    pub books: Vec<(BookNo, Position, [u8; 32])>,
}

/// Why a store is not known to be well.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// It could not be read to its end.
    #[error("{0}")]
    Unchecked(String),
    /// It is damaged.
    #[error("book {book}: {what}")]
    Wrong {
        /// The book.
        book: BookNo,
        /// What is wrong, and where.
        what: String,
    },
}

/// How far a check is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Records checked.
    pub records: u64,
    /// Records that there were at the beginning.
    pub total: u64,
}

/// Why a book is not known to be well.
#[derive(Debug)]
enum Fault {
    Unchecked(String),
    Wrong(String),
}

impl Fault {
    fn of(self, book: BookNo) -> VerifyError {
        match self {
            Self::Unchecked(why) => VerifyError::Unchecked(why),
            Self::Wrong(what) => VerifyError::Wrong { book, what },
        }
    }
}

/// The database did not answer.
fn asked(error: tokio_postgres::Error) -> Fault {
    Fault::Unchecked(describe(&error))
}

/// All that is read in one transaction is of one moment. Sorting a large table may take its time.
const BEGIN: &str = "begin isolation level repeatable read read only; set local statement_timeout = 0; \
     set local idle_in_transaction_session_timeout = '10min'";

/// What the operator's book gives to the others.
#[derive(Default)]
struct Shared {
    /// Accepted commands that made assets.
    assets: Vec<Arc<Record>>,
    /// The commands that made the books.
    roots: BTreeMap<BookNo, Arc<Record>>,
}

impl Shared {
    fn take(&mut self, record: &Arc<Record>) {
        match (&record.action, &record.outcome) {
            (Action::Initialise { .. } | Action::RegisterAsset { .. }, Ok(_)) => {
                self.assets.push(Arc::clone(record));
            }
            (Action::CreateClient(_), Ok(Done::Book(no))) => {
                self.roots.insert(*no, Arc::clone(record));
            }
            _ => {}
        }
    }
}

/// Checks the store of a database.
///
/// # Errors
/// The first thing that is wrong, with its place, or why it could not be checked.
pub async fn verify(
    url: &Url,
    options: &Options,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, VerifyError> {
    let yet = pending(url, options).await?.0;
    if !yet.is_empty() {
        let why =
            "the tables are of an older version; start a server on them once, which brings them up to date";
        return Err(VerifyError::Unchecked(why.into()));
    }
    let client = connect(url, options).await?.1.client;
    let mut directory = Directory::new();
    let mut shared = Shared::default();
    let mut operator = Audit::operator();
    let of_operator = |fault: Fault| fault.of(BookNo::OPERATOR);
    run(&client, BEGIN).await.map_err(of_operator)?;
    let (last, total) = count(&client).await.map_err(of_operator)?;
    let mut done = 0;
    let mut tell = |records: u64| {
        done += records;
        progress(Progress {
            records: done,
            total: total.max(done),
        });
    };
    let head = operator
        .all(&client, &mut directory, &mut shared, &mut tell)
        .await;
    let head = head.map_err(of_operator)?;
    check_books(&client, &shared, last).await.map_err(of_operator)?;
    run(&client, "commit").await.map_err(of_operator)?;
    let mut books = vec![(BookNo::OPERATOR, head.0, head.1)];
    for no in (1..=last.0).map(BookNo) {
        run(&client, BEGIN).await.map_err(of_operator)?;
        // What the book was decided on may be newer than what was seen of the operator's.
        let newer = operator.newer(&client, &mut directory, &mut shared).await;
        newer.map_err(of_operator)?;
        let mut book = Audit::of(no, &shared).map_err(of_operator)?;
        let head = book.all(&client, &mut directory, &mut shared, &mut tell).await;
        let head = head.map_err(|fault| fault.of(no))?;
        directory.forget(no);
        run(&client, "commit").await.map_err(of_operator)?;
        books.push((no, head.0, head.1));
    }
    Ok(Report {
        records: books.iter().map(|(_, position, _)| position.0).sum(),
        books,
    })
}

async fn run(client: &Client, command: &str) -> Result<(), Fault> {
    client.batch_execute(command).await.map_err(asked)
}

/// The last book, and the records of all books.
async fn count(client: &Client) -> Result<(BookNo, u64), Fault> {
    let sql = "select max(book), coalesce(sum(position), 0)::int8 from saldo.heads";
    let rows = client.query_typed(sql, &[]).await.map_err(asked)?;
    let row = rows
        .first()
        .ok_or_else(|| Fault::Wrong("there are no heads".into()))?;
    let last: Option<i32> = row.get(0);
    let records: i64 = row.get(1);
    Ok((BookNo(last.unwrap_or(0).cast_unsigned()), records.cast_unsigned()))
}

/// Every book that was made has a head, and nothing belongs to one that was not made.
async fn check_books(client: &Client, shared: &Shared, last: BookNo) -> Result<(), Fault> {
    let made = shared.roots.keys().next_back().copied().unwrap_or_default();
    if made != last {
        return Err(Fault::Wrong(format!(
            "the last book that it made is {made}, and the last one in table saldo.heads is {last}"
        )));
    }
    for table in [
        "heads",
        "commands",
        "mentions",
        "entries",
        "deviations",
        "balances",
        "clients",
        "customers",
        "accounts",
        "api_keys",
        "assets",
        "rates",
        "holds",
        "hold_accounts",
    ] {
        let last = last.0.cast_signed();
        let sql = format!("select book from saldo.{table} where book > {last} or book < 0 limit 1");
        if let Some(row) = client.query_typed(&sql, &[]).await.map_err(asked)?.first() {
            let stray: i32 = row.get(0);
            return Err(Fault::Wrong(format!(
                "table saldo.{table} has rows of a book {stray}, and there is no such book"
            )));
        }
    }
    Ok(())
}
