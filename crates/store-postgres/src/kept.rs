//! What a server keeps of a book from one batch to the next, while no other server writes to it.
//!
//! Every change of a book moves its head, and the head's digest covers all of its records. So rows that were true when the
//! head stood somewhere are true whenever it is found, locked, with the same position and digest, and at no other time.

use std::collections::HashMap;

use ledger::{BookNo, Position};
use parking_lot::Mutex;

use crate::work::Rows;

/// So many rows are kept, of all books; then it is begun anew.
const MOST: usize = 1 << 17;
/// After so many batches with nobody else's between them rows are kept: where servers take turns they would be stale.
const ALONE: u32 = 4;

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
    /// How many batches in a row found the head where this server had left it.
    pub(crate) alone: u32,
    pub(crate) rows: Option<Rows>,
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
    /// Counts a batch that found the head at `place`; what was kept of another place is no longer true.
    pub(crate) fn find(&mut self, place: Place) {
        if self.place == place {
            self.alone = self.alone.saturating_add(1);
        } else {
            *self = Self::default();
        }
    }

    fn len(&self) -> usize {
        1 + self.rows.as_ref().map_or(0, Rows::len)
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

    /// Keeps where a batch left its book, and its rows if nobody else seems to write.
    pub(crate) fn put(&self, book: BookNo, place: Place, alone: u32, mut rows: Rows) {
        let worth = alone >= ALONE && book != BookNo::OPERATOR;
        let rows = worth.then(|| {
            rows.forget_passing(book);
            rows
        });
        let kept = Kept { place, alone, rows };
        let mut books = self.0.lock();
        books.rows += kept.len();
        books.by_no.insert(book, kept);
        if books.rows > MOST {
            *books = Books::default();
        }
    }
}
