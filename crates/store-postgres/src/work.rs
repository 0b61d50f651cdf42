//! Deciding a batch on the rows that were loaded for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{
    AccountNo, Action, AssetNo, BookNo, ClientId, Command, Completeness, Decision, Head, Micros, Position,
    Record, RowKey, State, apply, decide, encode,
};
use store::{Outcome, StoreError};

use crate::facts::Operator;
use crate::kept::Place;
use crate::load::Wanted;
use crate::tail::Tail;

/// How far ahead of the store's clock a stamp may be, in µs.
const AHEAD: i64 = 5_000_000;

/// The newest positions of balances.
pub(crate) type Tails = HashMap<(AccountNo, AssetNo), Tail>;

/// A book's head as it was locked.
pub(crate) struct Locked {
    pub(crate) head: Head,
    pub(crate) root: Option<ClientId>,
    pub(crate) digest: [u8; 32],
}

impl Locked {
    pub(crate) const fn place(&self) -> Place {
        Place {
            position: self.head.position,
            digest: self.digest,
        }
    }
}

/// Rows of a book, and what is needed of the operator's.
pub(crate) struct Rows {
    pub(crate) state: State,
    /// The newest positions of the balances.
    pub(crate) tails: Tails,
}

impl Rows {
    fn new(book: BookNo) -> Self {
        let mut state = State::new(Completeness::Loaded);
        state.book_mut(BookNo::OPERATOR);
        state.book_mut(book);
        Self {
            state,
            tails: HashMap::new(),
        }
    }

    pub(crate) fn forget_passing(&mut self, book: BookNo) {
        self.state.book_mut(book).forget_passing();
    }

    pub(crate) fn len(&self) -> usize {
        let accounts = self.state.books().map(|book| book.slots.ids());
        self.tails.len() + accounts.sum::<usize>()
    }
}

/// A batch that is being decided.
pub(crate) struct Work {
    pub(crate) book: BookNo,
    pub(crate) state: State,
    /// The newest positions of the balances that were loaded.
    pub(crate) tails: Tails,
    /// Accounts that another one took the first place from.
    pub(crate) displaced: Vec<AccountNo>,
    /// Where the book stood when it was locked.
    pub(crate) before: Position,
    pub(crate) digest: [u8; 32],
    /// What is new, in order, each with its canonical bytes.
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) canonical: Vec<Vec<u8>>,
    /// How long it took to lock the head.
    pub(crate) waited: Duration,
    now: Micros,
}

/// What became of a command, or the rows that are missing to say so.
pub(crate) type Taken = Result<Result<Outcome, StoreError>, Vec<RowKey>>;

impl Work {
    /// Begins a batch on rows that are known already, if any are.
    pub(crate) fn new(book: BookNo, now: Micros, known: Option<Rows>) -> Self {
        let Rows { state, tails } = known.unwrap_or_else(|| Rows::new(book));
        Self {
            book,
            state,
            tails,
            displaced: Vec::new(),
            before: Position(0),
            digest: [0; 32],
            records: Vec::new(),
            canonical: Vec::new(),
            waited: Duration::ZERO,
            now,
        }
    }

    /// The rows as the batch left them.
    pub(crate) fn into_rows(self) -> Rows {
        Rows {
            state: self.state,
            tails: self.tails,
        }
    }

    /// What commands need for sure and is not known.
    pub(crate) fn wanted(&self, commands: &[&Command]) -> Wanted {
        let book = self.state.book(self.book).expect("it was made with the work");
        Wanted::of(commands, book)
    }

    /// Goes on from where the book stands.
    pub(crate) fn stand_at(&mut self, locked: Locked) {
        let book = self.state.book_mut(self.book);
        book.head = locked.head;
        book.root = locked.root;
        self.before = locked.head.position;
        self.digest = locked.digest;
    }

    /// Sees the operator's book as of a position.
    pub(crate) fn see_operator(&mut self, operator: &Operator) {
        let book = self.state.book_mut(BookNo::OPERATOR);
        if self.book != BookNo::OPERATOR {
            book.head.position = operator.position;
        }
        operator
            .assets
            .iter()
            .for_each(|asset| book.put_asset(asset.clone()));
    }

    /// Up to when holds may be due for these commands.
    pub(crate) fn latest(&self) -> Micros {
        let head = self
            .state
            .book(self.book)
            .map_or(Micros(0), |book| book.head.recorded_at);
        head.max(self.now).plus(2 * AHEAD)
    }

    /// Takes one command: decides, and keeps what is new.
    pub(crate) fn take(&mut self, command: &Command) -> Taken {
        if command.stamp > self.now.plus(AHEAD) {
            return Ok(Err(StoreError::ClockAhead));
        }
        loop {
            match decide(&self.state, command) {
                Decision::Decided(decided) => {
                    return Ok(Ok(Outcome::Recorded(
                        self.keep(decided.into_record(command.clone())),
                    )));
                }
                Decision::Replay(record) => return Ok(Ok(Outcome::Replayed(record))),
                Decision::Conflict(position) => return Ok(Ok(Outcome::Conflict(position))),
                Decision::Nothing => return Ok(Ok(Outcome::Nothing)),
                Decision::Need(rows) => return Err(rows),
                Decision::ExpireFirst(holds) => {
                    let expiry = |hold| Command::expiry(self.book, hold, command.stamp);
                    let expiries: Vec<_> = holds.into_iter().map(expiry).collect();
                    // All or none: after some of them the command might not ask for the others any more.
                    let rows = self.foresee(&expiries.iter().collect::<Vec<_>>());
                    if !rows.is_empty() {
                        return Err(rows);
                    }
                    for expiry in &expiries {
                        self.take(expiry)?.ok();
                    }
                }
            }
        }
    }

    /// Takes a record that was decided elsewhere, if it is the next one.
    pub(crate) fn adopt(&mut self, record: &Arc<Record>) -> Result<(), StoreError> {
        let (book, position) = (record.book, record.position);
        let next = self
            .state
            .book(self.book)
            .map_or(Position(1), |book| book.head.position.next());
        if (book, position) != (self.book, next) {
            return Err(StoreError::NotNext { book, position, next });
        }
        self.add(Arc::clone(record));
        Ok(())
    }

    /// The rows that commands will need, as far as can be told before those ahead of them are taken.
    pub(crate) fn foresee(&self, commands: &[&Command]) -> Vec<RowKey> {
        let needs = commands.iter().map(|command| match decide(&self.state, command) {
            Decision::Need(rows) => rows,
            _ => Vec::new(),
        });
        needs.flatten().collect()
    }

    fn keep(&mut self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.add(Arc::clone(&record));
        record
    }

    fn add(&mut self, record: Arc<Record>) {
        let mut canonical = Vec::new();
        encode(&record, &mut canonical);
        self.digest = store::audit::next_digest(&self.digest, &canonical);
        self.canonical.push(canonical);
        self.displaced.extend(self.about_to_lose_its_place(&record));
        apply(&mut self.state, &record);
        self.records.push(record);
    }

    /// The account that a record takes the first place from.
    fn about_to_lose_its_place(&self, record: &Record) -> Option<AccountNo> {
        record.outcome.as_ref().ok()?;
        let book = self.state.book(self.book)?;
        let place = match &record.action {
            Action::CreateAccount(new) if new.primary => (new.owner, new.purpose),
            Action::UpdateAccount(change) if change.primary => {
                let account = &book.slot(change.id).ok()??.account;
                (account.owner, account.purpose)
            }
            _ => return None,
        };
        book.primaries.peek(&place).copied()
    }
}
