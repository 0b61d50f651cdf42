//! Reading all records of a store, in an order in which another store can take them: those of each book in theirs, and between
//! two of the operator's book all that were decided there. Servers may go on meanwhile.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use ledger::{BookNo, Position};
use store::audit::{Fed, Reading};
use tokio_postgres::Client;

use crate::error::{OpenError, describe};
use crate::migrate::{check, connect};
use crate::options::{Options, Url};
use crate::pages::Pages;
use crate::rows::{get_number, get_position};

/// So many are given out at once.
const RECORDS: usize = 4_096;
/// About so many bytes are read ahead, of all books together.
const BYTES: usize = 64 << 20;

/// A reader of all records.
pub struct Feed {
    client: Client,
    reading: Reading,
    books: BTreeMap<BookNo, Stream>,
    /// The books with something left, by the operator's position at which their next record was decided.
    next: BinaryHeap<Reverse<(Position, BookNo)>>,
}

/// A book that is read.
#[derive(Default)]
struct Stream {
    /// The last record that was given out.
    given: Position,
    /// Where this round ends.
    target: Position,
    pages: Pages,
    /// Read and not given out.
    ahead: VecDeque<Vec<u8>>,
}

impl Feed {
    /// Begins at the first record.
    ///
    /// # Errors
    /// When there is no store, or the database can't be used.
    pub async fn open(url: &Url, options: &Options) -> Result<Self, OpenError> {
        if !check(url, options).await?.0.is_empty() {
            let why = "the tables are of an older version; start a server on them once, which brings them up to date";
            return Err(OpenError::Database(why.into()));
        }
        let client = connect(url, options).await?.1.client;
        Ok(Self {
            client,
            reading: Reading::new(),
            books: BTreeMap::new(),
            next: BinaryHeap::new(),
        })
    }

    /// What was given out so far.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// How many records were given out, and how many there were when it was looked.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let given = self.books.values().map(|stream| stream.given.0).sum();
        (given, self.books.values().map(|stream| stream.target.0).sum())
    }

    /// Reads on to where the books are now. Answers how many records that is.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn look(&mut self) -> Result<u64, OpenError> {
        // One statement, so what a record was decided on is not missing.
        let heads = self
            .client
            .query_typed("select book, position from saldo.heads", &[])
            .await?;
        let mut left = 0;
        for row in &heads {
            let stream = self.books.entry(BookNo(get_number(row, 0))).or_default();
            stream.target = get_position(row, 1);
            left += stream.target.0.saturating_sub(stream.given.0);
        }
        self.next.clear();
        let others: Vec<_> = self
            .books
            .keys()
            .copied()
            .filter(|no| *no != BookNo::OPERATOR)
            .collect();
        for no in others {
            self.queue(no).await?;
        }
        Ok(left)
    }

    /// Puts a book where its next record is due.
    async fn queue(&mut self, no: BookNo) -> Result<(), OpenError> {
        if let Some(canonical) = self.peek(no).await? {
            let base = ledger::peek_base(canonical).map_err(|error| damaged(no, error))?;
            self.next.push(Reverse((base, no)));
        }
        Ok(())
    }

    /// The next record of a book that is to be given out in this round.
    async fn peek(&mut self, no: BookNo) -> Result<Option<&[u8]>, OpenError> {
        let each = BYTES / self.books.len().max(16);
        let stream = self.books.get_mut(&no).expect("it was seen");
        if stream.given >= stream.target {
            return Ok(None);
        }
        if stream.ahead.is_empty() {
            let found = stream
                .pages
                .next(&self.client, no, stream.given, each)
                .await
                .map_err(|error| OpenError::Database(describe(&error)))?;
            stream.ahead = found.iter().map(|row| row.get(4)).collect();
            if stream.ahead.is_empty() {
                return Err(damaged(no, "records are missing"));
            }
        }
        Ok(stream.ahead.front().map(Vec::as_slice))
    }

    /// The next records; none when this round is at its end.
    ///
    /// # Errors
    /// When the database can't be read, or a record.
    pub async fn next(&mut self) -> Result<Vec<Fed>, OpenError> {
        let mut fed = Vec::new();
        while fed.len() < RECORDS {
            let operator = self
                .books
                .get(&BookNo::OPERATOR)
                .map_or(Position(0), |stream| stream.given);
            match self.next.peek().copied() {
                Some(Reverse((base, no))) if base <= operator => {
                    self.next.pop();
                    self.give(no, operator, &mut fed).await?;
                    self.queue(no).await?;
                }
                _ => {
                    if self.peek(BookNo::OPERATOR).await?.is_none() {
                        break;
                    }
                    self.give_one(BookNo::OPERATOR, &mut fed)?;
                }
            }
        }
        Ok(fed)
    }

    /// Gives out what a book has at this position of the operator's.
    async fn give(&mut self, no: BookNo, operator: Position, fed: &mut Vec<Fed>) -> Result<(), OpenError> {
        while fed.len() < RECORDS {
            let Some(canonical) = self.peek(no).await? else {
                return Ok(());
            };
            let base = ledger::peek_base(canonical).map_err(|error| damaged(no, error))?;
            if base > operator {
                return Ok(());
            }
            self.give_one(no, fed)?;
        }
        Ok(())
    }

    fn give_one(&mut self, no: BookNo, fed: &mut Vec<Fed>) -> Result<(), OpenError> {
        let stream = self.books.get_mut(&no).expect("it was seen");
        let canonical = stream.ahead.pop_front().expect("it was looked at");
        let one = self
            .reading
            .take(&canonical)
            .map_err(|error| damaged(no, error))?;
        stream.given = one.record.position;
        fed.push(one);
        Ok(())
    }
}

fn damaged(no: BookNo, what: impl std::fmt::Display) -> OpenError {
    OpenError::Database(format!("book {no} is damaged: {what}; `saldo verify` says more"))
}
