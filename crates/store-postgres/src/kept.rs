//! What a server keeps of a book from one batch to the next: accounts and balances.
//!
//! Every change of a book moves its head, and the head's digest covers all of its records. So rows that were true when the
//! head stood somewhere are true whenever it is found, locked, with the same position and digest. Where another server wrote
//! meanwhile, its records are read and put into the rows, which is cheaper than to load all rows anew; that they lead from the
//! one digest to the other proves that they are all there was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Action, Balance, BookNo, Position, Record};
use parking_lot::Mutex;
use tokio_postgres::Row;

use crate::error::Failure;
use crate::rows;
use crate::session::Transaction;
use crate::work::{Rows, Work};

/// So many rows are kept, of all books; then it is begun anew.
const MOST: usize = 1 << 17;
/// At most so many records of others are read, and so many more for each command of the last batch: as many as are cheaper than
/// loading rows anew.
const WORTH_FOLLOWING: (usize, usize) = (256, 8);

/// Where a book stood after a batch of this server.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) digest: [u8; 32],
}

/// What is kept of a book.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) place: Place,
    pub(crate) rows: Option<Rows>,
    /// How many commands the last batch had.
    commands: usize,
    /// How long the last batch waited for the head.
    waited: Duration,
}

/// What is kept of all books.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<Books>);

#[derive(Default)]
struct Books {
    by_no: HashMap<BookNo, Kept>,
    rows: usize,
}

impl Kept {
    fn len(&self) -> usize {
        1 + self.rows.as_ref().map_or(0, Rows::len)
    }

    /// The records that were written since, as far as it is worth to read them.
    pub(crate) async fn read_since(&self, tx: &Transaction, book: BookNo) -> Result<Vec<Row>, Failure> {
        if self.commands == 0 {
            return Ok(Vec::new());
        }
        let sql =
            "select record from saldo.commands where book = $1 and position > $2 order by position limit $3";
        let (some, each) = WORTH_FOLLOWING;
        let most = i64::try_from(some + each * self.commands).unwrap_or(i64::MAX);
        let (book, after) = (rows::book(book), rows::position(self.place.position));
        tx.query(sql, &[&book, &after, &most]).await
    }
}

impl Shelf {
    /// Takes what is kept of a book; a batch that fails does not put it back.
    pub(crate) fn take(&self, book: BookNo) -> Kept {
        let mut books = self.0.lock();
        let kept = books.by_no.remove(&book);
        books.rows -= kept.as_ref().map_or(0, Kept::len);
        kept.unwrap_or_default()
    }

    /// How long the last batch of a book waited for its head, while nothing is known to have changed.
    pub(crate) fn waited(&self, book: BookNo) -> Duration {
        let books = self.0.lock();
        books.by_no.get(&book).map_or(Duration::ZERO, |kept| kept.waited)
    }

    /// Keeps where a batch of so many commands, which waited so long for the head, left its book, and its rows.
    pub(crate) fn put(
        &self,
        book: BookNo,
        place: Place,
        (commands, waited): (usize, Duration),
        mut rows: Rows,
    ) {
        // Of the operator's book others know what they need as facts.
        let rows = (book != BookNo::OPERATOR).then(|| {
            rows.forget_passing(book);
            rows
        });
        let commands = rows.as_ref().map_or(0, |_| commands);
        let kept = Kept {
            place,
            rows,
            commands,
            waited,
        };
        let mut books = self.0.lock();
        books.rows += kept.len();
        books.by_no.insert(book, kept);
        if books.rows > MOST {
            *books = Books::default();
        }
    }
}

/// Puts the records that lead from `from` to `to` into the rows of a batch, and answers with them. `None`, with the rows spoilt,
/// when they don't lead there, or when they changed more than balances.
pub(crate) async fn follow(
    tx: &Transaction,
    work: &mut Work,
    from: Place,
    to: Place,
    read: &[Row],
) -> Result<Option<Vec<Arc<Record>>>, Failure> {
    if from.position.0.checked_add(read.len() as u64) != Some(to.position.0) {
        return Ok(None);
    }
    let canonical = read.iter().map(|row| row.get::<_, &[u8]>(0));
    let digest = canonical.clone().fold(from.digest, |digest, record| {
        store::audit::next_digest(&digest, record)
    });
    if digest != to.digest {
        return Ok(None);
    }
    let records = tx.facts().decode(tx, canonical).await?;
    let followed = records.iter().all(|record| take_balances(work, record));
    Ok(followed.then_some(records))
}

/// Takes balances as a record left them, of accounts that are here. Says no when it changed accounts or assets.
fn take_balances(work: &mut Work, record: &Record) -> bool {
    let changes_more = matches!(
        record.action,
        Action::CreateAccount(_)
            | Action::UpdateAccount(_)
            | Action::RegisterAsset { .. }
            | Action::Initialise { .. }
    );
    if changes_more && record.outcome.is_ok() {
        return false;
    }
    let book = work.state.book_mut(record.book);
    let mut touched = Vec::with_capacity(2);
    for made in record.booked().iter().flat_map(|booked| &booked.moves) {
        for (no, entry) in [(made.from.no, &made.from_after), (made.to.no, &made.to_after)] {
            if book.balances(no).is_err() {
                continue;
            }
            let Some(slot) = book.slots.get_mut(no) else {
                continue;
            };
            let balance = Balance {
                counters: entry.counters,
                last: record.position,
                last_at: record.recorded_at,
            };
            slot.balances.put(made.asset.no, balance);
            touched.push((no, made.asset.no));
        }
    }
    touched.sort_unstable();
    touched.dedup();
    for balance in touched {
        // A chunk that becomes full is written by who recorded this.
        let tail = work.tails.entry(balance).or_default();
        tail.push(rows::position(record.position));
    }
    true
}
