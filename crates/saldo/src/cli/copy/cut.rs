//! How much of what is read is taken: all, or what there was at some moment.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use ledger::{Action, BookNo, Command, Done, Micros, Position, Record, Subject};
use store::audit::Fed;

/// A moment of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::cli) enum Point {
    /// Its end.
    #[default]
    End,
    /// When all was recorded up to this time, inclusive.
    Time(Micros),
    /// When this was the last record of a book; other books as they were then.
    Position(BookNo, Position),
}

/// A place in a book, as `BOOK:POSITION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) struct BookPosition(pub(in crate::cli) BookNo, pub(in crate::cli) Position);

impl FromStr for BookPosition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(book, position)| {
            Some(Self(BookNo(book.parse().ok()?), Position(position.parse().ok()?)))
        });
        parsed
            .filter(|parsed| parsed.1.0 > 0)
            .ok_or_else(|| "write it as BOOK:POSITION, such as 1:5012; positions are from 1".to_owned())
    }
}

/// Takes records up to a point, in the order of the journal.
#[derive(Debug, Default)]
pub(in crate::cli) struct Cut {
    point: Point,
    /// Where each book is, of those that are taken.
    ends: BTreeMap<BookNo, (Position, [u8; 32])>,
    /// Books of which nothing more is taken.
    over: BTreeSet<BookNo>,
    /// Nothing more is taken at all.
    all_over: bool,
    /// Whose texts can be read, if the vault belongs to these books.
    keyed: BTreeSet<Subject>,
    /// Commands that erased somebody after the point.
    erasures: Vec<Command>,
}

impl Cut {
    pub(in crate::cli) fn at(point: Point) -> Self {
        let ends = [(BookNo::OPERATOR, Default::default())].into_iter().collect();
        Self {
            point,
            ends,
            ..Self::default()
        }
    }

    /// Those of these records that are to be taken.
    pub(in crate::cli) fn take(&mut self, fed: Vec<Fed>) -> Vec<Fed> {
        let mut taken = Vec::with_capacity(fed.len());
        for one in fed {
            match self.takes(&one) {
                true => taken.push(one),
                false => self.note_erasure(&one.record),
            }
        }
        taken
    }

    /// Who was erased after the point has no key any more, and is to stay erased.
    fn note_erasure(&mut self, record: &Record) {
        if let (Action::EraseCustomer { id }, Ok(_)) = (&record.action, &record.outcome)
            && self.keyed.remove(&(*id).into())
        {
            self.erasures.push(record.clone().into_command());
        }
    }

    /// The commands that erased somebody after the point, of those who were there.
    pub(in crate::cli) fn erasures(&self) -> Vec<Command> {
        self.erasures.clone()
    }

    fn takes(&mut self, one: &Fed) -> bool {
        let record = &*one.record;
        if self.all_over || self.over.contains(&record.book) {
            return false;
        }
        let operator = self.ends.get(&BookNo::OPERATOR).map_or(Position(0), |end| end.0);
        let too_late = match self.point {
            // What was decided on an operator's record that is left out is left out, too.
            Point::Time(time) => record.recorded_at > time || record.base > operator,
            Point::End | Point::Position(..) => false,
        };
        if too_late {
            self.over.insert(record.book);
            return false;
        }
        self.ends.insert(record.book, (record.position, one.digest));
        self.all_over = self.point == Point::Position(record.book, record.position);
        self.note(record);
        true
    }

    fn note(&mut self, record: &Record) {
        self.keyed.insert(Subject::book(record.book));
        let Ok(done) = &record.outcome else { return };
        match &record.action {
            Action::CreateClient(new) => _ = self.keyed.insert(new.id.into()),
            Action::CreateCustomer(new) => _ = self.keyed.insert(new.id.into()),
            Action::EraseCustomer { id } => _ = self.keyed.remove(&(*id).into()),
            _ => {}
        }
        if let Done::Book(no) = done {
            self.ends.entry(*no).or_default();
        }
    }

    /// Whether the point was reached; time always is.
    pub(in crate::cli) fn is_reached(&self) -> bool {
        self.all_over || !matches!(self.point, Point::Position(..))
    }

    /// Every book that was taken, with its position and digest.
    pub(in crate::cli) fn books(&self) -> Vec<(BookNo, Position, [u8; 32])> {
        let book = |(no, (position, digest)): (&BookNo, &(Position, [u8; 32]))| (*no, *position, *digest);
        self.ends.iter().map(book).collect()
    }

    /// Who must have a key of texts, and is not among these.
    pub(in crate::cli) fn keyless(&self, keys: &[(Subject, store::TextKey)]) -> Vec<Subject> {
        let there: BTreeSet<_> = keys.iter().map(|(subject, _)| *subject).collect();
        self.keyed.difference(&there).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_book_is_two_numbers() {
        assert_eq!("1:5012".parse(), Ok(BookPosition(BookNo(1), Position(5012))));
        for wrong in ["", "1", "1:", ":5", "1:0", "1:x", "-1:5", "1:5:6"] {
            assert!(wrong.parse::<BookPosition>().is_err(), "{wrong}");
        }
    }
}
