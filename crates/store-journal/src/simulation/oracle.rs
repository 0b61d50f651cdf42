//! What must be true of a store that was opened again, whatever happened before.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ledger::{AccountId, BookNo, Micros, Position, Record, TransactionId};
use store::model::Model;
use store::suite::Random;
use store::{
    AccountBalances, AccountFilter, AsOf, HoldFilter, Outcome, Page, Stamped, Store, StoreError, Viewer,
};

use super::clients::{Clock, KeyOf, Plan};
use super::{Kind, Wrong};
use crate::find::read_payload;
use crate::log::Locator;
use crate::reads::View;

const EVERYTHING: Page = Page {
    limit: 100_000,
    after: None,
};

/// A question that a reader asks.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Digest,
    Balances,
    Then(AccountId, AsOf),
    Entries(AccountId),
    Transaction(TransactionId),
    Holds,
    Records(Position),
}

/// What a reader saw at a position.
pub(super) struct Seen {
    pub(super) book: BookNo,
    pub(super) position: Position,
    pub(super) ask: Ask,
    pub(super) answer: String,
}

impl Ask {
    /// One about something that is there.
    pub(super) fn by_chance(random: &mut Random, view: &View, book: BookNo, position: Position) -> Self {
        let viewer = Viewer { book, client: None };
        let accounts = view.accounts(viewer, &AccountFilter::default(), EVERYTHING);
        let accounts: Vec<_> = accounts.map_or_else(
            |_| Vec::new(),
            |list| list.items.iter().map(|row| row.account.id).collect(),
        );
        let records = view.records(book, Position(position.0.saturating_sub(5)), 5);
        let records = records.unwrap_or_default();
        let booked = records.iter().flat_map(|record| record.booked());
        let booked: Vec<_> = booked.map(|booked| booked.id).collect();
        let time = records.first().map_or(Micros(0), |record| record.recorded_at);
        match random.below(8) {
            0 => Self::Digest,
            1 | 2 if !accounts.is_empty() => {
                let mut then = AsOf::NOW;
                match random.below(3) {
                    0 => then.position = Some(Position(random.below(position.0 + 1))),
                    1 => then.recorded_at = Some(time),
                    _ => then.effective_at = Some(time),
                }
                Self::Then(random.pick(&accounts), then)
            }
            3 if !accounts.is_empty() => Self::Entries(random.pick(&accounts)),
            4 if !booked.is_empty() => Self::Transaction(random.pick(&booked)),
            5 => Self::Holds,
            6 => Self::Records(Position(position.0.saturating_sub(random.below(20)))),
            _ => Self::Balances,
        }
    }

    /// What the store answers.
    pub(super) fn of_store(&self, view: &View, book: BookNo) -> Result<String, StoreError> {
        let viewer = Viewer { book, client: None };
        Ok(match self {
            Self::Digest => format!("{:?}", view.digest(book)?),
            Self::Balances => format!(
                "{:?}",
                view.accounts(viewer, &AccountFilter::default(), EVERYTHING)?
            ),
            Self::Then(id, as_of) => settled(view.account_then(viewer, *id, *as_of)?),
            Self::Entries(id) => format!("{:?}", view.entries(viewer, *id, None, None, EVERYTHING)?),
            Self::Transaction(id) => format!("{:?}", view.transaction(viewer, *id)?),
            Self::Holds => format!("{:?}", view.holds(viewer, &HoldFilter::default(), EVERYTHING)?),
            Self::Records(after) => format!("{:?}", view.records(book, *after, 1_000)?),
        })
    }

    /// What the model answers.
    fn of_model(&self, model: &Model, book: BookNo) -> Result<String, StoreError> {
        let viewer = Viewer { book, client: None };
        Ok(match self {
            Self::Digest => format!("{:?}", at_once(model.digest(book))?),
            Self::Balances => {
                let all = model.accounts(viewer, AccountFilter::default(), EVERYTHING);
                format!("{:?}", at_once(all)?)
            }
            Self::Then(id, as_of) => settled(at_once(model.account(viewer, *id, *as_of))?),
            Self::Entries(id) => {
                format!(
                    "{:?}",
                    at_once(model.entries(viewer, *id, None, None, EVERYTHING))?
                )
            }
            Self::Transaction(id) => format!("{:?}", at_once(model.transaction(viewer, *id))?),
            Self::Holds => {
                format!(
                    "{:?}",
                    at_once(model.holds(viewer, HoldFilter::default(), EVERYTHING))?
                )
            }
            Self::Records(after) => format!("{:?}", at_once(model.records(book, *after, 1_000))?),
        })
    }
}

/// What is promised of balances as of then.
fn settled(found: Option<Stamped<AccountBalances>>) -> String {
    let found = found.map(|stamped| {
        let balances = stamped.value.balances.into_iter();
        let settled = balances.map(|balance| (balance.asset.name, balance.counters.settled()));
        let settled: Vec<_> = settled.filter(|(_, settled)| *settled != 0).collect();
        (stamped.position, settled)
    });
    format!("{found:?}")
}

/// The model's answers are there at once.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("the model never waits for anything"),
    }
}

/// Everything that the store was seen to have, and the model that was fed with it.
pub(super) struct Oracle {
    model: Model,
    records: Vec<Arc<Record>>,
    by_key: HashMap<KeyOf, usize>,
}

impl Oracle {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            model: Model::new(move || clock.now()),
            records: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn records(&self) -> &[Arc<Record>] {
        &self.records
    }

    /// Checks a store that was just opened, and learns what it has.
    pub(super) fn check(&mut self, view: &View, plan: &mut Plan, random: &mut Random) -> Result<(), Wrong> {
        let mut seen = std::mem::take(&mut plan.seen);
        for book in 0..3 {
            self.compare(BookNo(book), &mut seen)?;
        }
        self.follow(view, &mut seen)?;
        if let Some(too_early) = seen.first() {
            let (book, position) = (too_early.book, too_early.position);
            let what =
                format!("a reader saw position {position} of book {book}, which is not there any more");
            return Err(Wrong::new(Kind::ShownTooEarly, what));
        }
        self.check_answers(plan)?;
        self.compare_now(view, random)
    }

    /// Reads all records. Those that were there before must be the same; the model must agree with new ones.
    fn follow(&mut self, view: &View, seen: &mut Vec<Seen>) -> Result<(), Wrong> {
        let damaged = |error: String| Wrong::new(Kind::Refused, error);
        let origin = view.reader.origin();
        let mut frames = view
            .reader
            .scan(origin)
            .map_err(|error| damaged(error.to_string()))?;
        let mut nth = 0;
        while let Some(frame) = frames.next_frame().map_err(|error| damaged(error.to_string()))? {
            for (at, payload) in frame.records() {
                let record = self.read(view, at, payload).map_err(damaged)?;
                match self.records.get(nth) {
                    Some(before) if *before != record => {
                        let what =
                            format!("record {nth} is another one now: {record:?} instead of {before:?}");
                        return Err(Wrong::new(Kind::Changed, what));
                    }
                    Some(_) => {}
                    None => self.learn(record, seen)?,
                }
                nth += 1;
            }
        }
        if nth < self.records.len() {
            let what = format!(
                "of {} records that were durable, {nth} are left",
                self.records.len()
            );
            return Err(Wrong::new(Kind::Lost, what));
        }
        Ok(())
    }

    fn read(&self, view: &View, at: Locator, payload: &[u8]) -> Result<Arc<Record>, String> {
        let published = view.published.read();
        let read = read_payload(payload, at, &published.tables.state, &view.hasher);
        read.map(|(record, _)| record).map_err(|error| error.to_string())
    }

    fn learn(&mut self, record: Arc<Record>, seen: &mut Vec<Seen>) -> Result<(), Wrong> {
        let key = (record.book, record.client, record.key);
        if let Some(before) = self.by_key.insert(key, self.records.len()) {
            let first = &self.records[before];
            let what = format!("one key was recorded twice: {first:?} and {record:?}");
            return Err(Wrong::new(Kind::Doubled, what));
        }
        let expected = self.model.take(&Record::clone(&record).into_command());
        if expected != Ok(Outcome::Recorded(Arc::clone(&record))) {
            let what = format!("the model gives {expected:?} instead of {record:?}");
            return Err(Wrong::new(Kind::Differs, what));
        }
        let book = record.book;
        self.records.push(record);
        // What book 0 records may make another book.
        let books = if book == BookNo::OPERATOR {
            0..3
        } else {
            book.0..book.0 + 1
        };
        books.map(BookNo).try_for_each(|book| self.compare(book, seen))
    }

    /// Compares what readers saw of a book where the model is now.
    fn compare(&self, book: BookNo, seen: &mut Vec<Seen>) -> Result<(), Wrong> {
        let Ok(here) = at_once(self.model.position(book)) else {
            return Ok(());
        };
        for one in seen.extract_if(.., |one| one.book == book && one.position == here) {
            let expected = one.ask.of_model(&self.model, book);
            if expected.as_ref() != Ok(&one.answer) {
                let (ask, answer) = (one.ask, one.answer);
                let what = format!(
                    "a reader asked {ask:?} of book {book} at position {here}, saw {answer}, and should have seen {expected:?}"
                );
                return Err(Wrong::new(Kind::ShownTooEarly, what));
            }
        }
        Ok(())
    }

    /// What was acknowledged is there, with the same outcome.
    fn check_answers(&self, plan: &Plan) -> Result<(), Wrong> {
        let found = |key: &KeyOf| self.by_key.get(key).map(|nth| &self.records[*nth]);
        for (key, record) in &plan.acknowledged {
            match found(key) {
                Some(there) if there == record => {}
                other => {
                    let what = format!("{record:?} was acknowledged, and there is {other:?}");
                    return Err(Wrong::new(Kind::Lost, what));
                }
            }
        }
        for (key, position) in &plan.accepted {
            let is_there = |record: &Arc<Record>| record.position == *position && record.outcome.is_ok();
            if !found(key).is_some_and(is_there) {
                let what =
                    format!("{key:?} was said to be accepted at position {position}, and is not there");
                return Err(Wrong::new(Kind::Lost, what));
            }
        }
        for (key, position) in &plan.conflicts {
            if found(key).is_none_or(|record| record.position != *position) {
                let what = format!("{key:?} was said to be used at position {position}, and is not");
                return Err(Wrong::new(Kind::Lost, what));
            }
        }
        Ok(())
    }

    /// What memory holds now is what the model gives.
    fn compare_now(&self, view: &View, random: &mut Random) -> Result<(), Wrong> {
        for book in (0..3).map(BookNo) {
            let Ok((position, _)) = view.digest(book) else {
                continue;
            };
            let mut asks = vec![Ask::Digest, Ask::Balances, Ask::Holds];
            asks.extend((0..4).map(|_| Ask::by_chance(random, view, book, position)));
            for ask in asks {
                let (found, expected) = (ask.of_store(view, book), ask.of_model(&self.model, book));
                if found != expected {
                    let what = format!("{ask:?} of book {book} is {found:?} instead of {expected:?}");
                    return Err(Wrong::new(Kind::Differs, what));
                }
            }
        }
        Ok(())
    }
}
