//! Checking records by those before them, whichever store they were kept in: what every `verify` shares.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    AccountId, AccountNo, Action, Amount, AssetName, AssetNo, Book, BookNo, Counters, Decision, Done, Map,
    Move, Names, Position, RULES, Record, RowKey, State, built_in, decide, decode,
};

/// The digest of a book with one more record: BLAKE3 of the canonical bytes, keyed with the digest before. So each digest is of
/// all records up to its own, and most of them take two blocks.
#[must_use]
pub fn next_digest(before: &[u8; 32], canonical: &[u8]) -> [u8; 32] {
    blake3::keyed_hash(before, canonical).into()
}

/// Checks a record on the rows that those before it gave: its place, its sums, and, if it was decided by the rules of this
/// version, the decision, by deciding it again. Rows that `state` loads on demand are put into it by `load`, as they were
/// right before the record, and forgotten afterwards.
///
/// # Errors
/// What is wrong with it.
pub fn check(
    state: &mut State,
    record: &Record,
    load: impl FnMut(&mut State, RowKey) -> Result<(), String>,
) -> Result<(), String> {
    let book = state.book(record.book).ok_or("there is no such book yet")?;
    check_place(book, record)?;
    check_sums(book, record)?;
    match record.rules {
        // There never were such rules.
        0 => Err("it was decided by rules 0, which are none".into()),
        RULES => decide_again(state, record, load),
        _ => Ok(()),
    }
}

fn check_place(book: &Book, record: &Record) -> Result<(), String> {
    let next = book.head.position.next();
    if record.position != next {
        return Err(format!(
            "it says that it is at {}, and {next} is due",
            record.position
        ));
    }
    if record.recorded_at <= book.head.recorded_at {
        return Err("its time is not after that of the record before it".into());
    }
    Ok(())
}

/// Each entry follows from the one before it on the same balance.
fn check_sums(book: &Book, record: &Record) -> Result<(), String> {
    let mut so_far: HashMap<(AccountNo, AssetNo), Counters> = HashMap::new();
    for made in record.booked().iter().flat_map(|booked| &booked.moves) {
        let before = |no: AccountNo| {
            if !book.slots.contains(no) {
                return Err(format!("its book has no account {}", no.0));
            }
            let counters = so_far.get(&(no, made.asset.no)).copied();
            let counters =
                counters.or_else(|| book.balance(no, made.asset.no).ok().map(|here| here.counters));
            Ok(counters.unwrap_or_default())
        };
        let (from, to) = (before(made.from.no)?, before(made.to.no)?);
        let (debited, credited) = (debit(from, made), credit(to, made));
        if debited != Some(made.from_after.counters) || credited != Some(made.to_after.counters) {
            return Err("its counters don't follow from those before it".into());
        }
        so_far.insert((made.from.no, made.asset.no), made.from_after.counters);
        so_far.insert((made.to.no, made.asset.no), made.to_after.counters);
    }
    Ok(())
}

fn pending(before: Amount, made: &Move) -> Option<Amount> {
    before.checked_sub(made.free)?.checked_add(made.reserve)
}

fn debit(before: Counters, made: &Move) -> Option<Counters> {
    Some(Counters {
        debits_posted: before.debits_posted.checked_add(made.post)?,
        debits_pending: pending(before.debits_pending, made)?,
        ..before
    })
}

fn credit(before: Counters, made: &Move) -> Option<Counters> {
    Some(Counters {
        credits_posted: before.credits_posted.checked_add(made.post)?,
        credits_pending: pending(before.credits_pending, made)?,
        ..before
    })
}

fn decide_again(
    state: &mut State,
    record: &Record,
    mut load: impl FnMut(&mut State, RowKey) -> Result<(), String>,
) -> Result<(), String> {
    let command = record.clone().into_command();
    let mut loaded = Vec::new();
    let outcome = loop {
        match decide(state, &command) {
            Decision::Decided(decided) => {
                let same = decided.into_record(command.clone()) == *record;
                break same
                    .then_some(())
                    .ok_or_else(|| "deciding it again gives another outcome".into());
            }
            Decision::Need(rows) => {
                for row in rows {
                    load(state, row)?;
                    loaded.push(row);
                }
            }
            other => break Err(format!("deciding it again gives {other:?}")),
        }
    };
    let book = state.book_mut(record.book);
    loaded.into_iter().for_each(|row| book.forget(row));
    outcome
}

/// A record as it was read from a store, with its book's digest after it.
#[derive(Clone, Debug)]
pub struct Fed {
    /// The record.
    pub record: Arc<Record>,
    /// The digest.
    pub digest: [u8; 32],
}

/// Reads the records of a store from the first on: what one names was named by those before it.
#[derive(Debug, Default)]
pub struct Reading {
    names: Directory,
    ends: Map<BookNo, End>,
}

/// Where a book stands in a reading.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    position: Position,
    digest: [u8; 32],
}

impl Reading {
    /// At the beginning.
    #[must_use]
    pub fn new() -> Self {
        let mut ends = Map::default();
        ends.insert(BookNo::OPERATOR, End::default());
        Self {
            names: Directory::new(),
            ends,
        }
    }

    /// Reads the next record of some book.
    ///
    /// # Errors
    /// When it can't be read, or is not the next one.
    pub fn take(&mut self, canonical: &[u8]) -> Result<Fed, String> {
        let record = decode(canonical, &self.names).map_err(|error| error.to_string())?;
        let (book, position) = (record.book, record.position);
        let end = self.ends.get_mut(&book).ok_or("there is no such book yet")?;
        if position != end.position.next() {
            let next = end.position.next();
            return Err(format!("book {book}: {next} is due, and {position} was found"));
        }
        *end = End {
            position,
            digest: next_digest(&end.digest, canonical),
        };
        let digest = end.digest;
        if let Ok(Done::Book(no)) = &record.outcome {
            self.ends.entry(*no).or_default();
        }
        self.names.take(&record);
        Ok(Fed {
            record: Arc::new(record),
            digest,
        })
    }

    /// Every book so far, with its position and digest, in order.
    #[must_use]
    pub fn books(&self) -> Vec<(BookNo, Position, [u8; 32])> {
        let book = |(no, end): (&BookNo, &End)| (*no, end.position, end.digest);
        let mut books: Vec<_> = self.ends.iter().map(book).collect();
        books.sort_unstable();
        books
    }
}

/// Names of accounts and assets as records give them: enough to read the records after them.
#[derive(Debug, Default)]
pub struct Directory(Map<BookNo, Given>);

/// What a book gave names to.
#[derive(Debug, Default)]
struct Given {
    accounts: Map<AccountNo, AccountId>,
    assets: Map<AssetNo, AssetName>,
    registered: u32,
}

impl Directory {
    /// One that knows what is built in.
    #[must_use]
    pub fn new() -> Self {
        let mut operator = Given::default();
        // Its places differ from store to store, its name does not.
        let built_in = built_in(6).into_iter().map(|asset| (asset.no, asset.name));
        operator.assets.extend(built_in);
        Self([(BookNo::OPERATOR, operator)].into_iter().collect())
    }

    /// Learns the names that a record gives.
    pub fn take(&mut self, record: &Record) {
        match (&record.action, &record.outcome) {
            (Action::CreateAccount(new), Ok(Done::Account { no, .. })) => {
                self.0
                    .entry(record.book)
                    .or_default()
                    .accounts
                    .insert(*no, new.id);
            }
            (Action::RegisterAsset { name, .. }, Ok(_)) => {
                let given = self.0.entry(record.book).or_default();
                let no = AssetNo::registered(record.book == BookNo::OPERATOR, given.registered);
                given.assets.insert(no, *name);
                given.registered += 1;
            }
            _ => {}
        }
    }

    /// Forgets a book that was read to its end.
    pub fn forget(&mut self, book: BookNo) {
        self.0.remove(&book);
    }
}

impl Names for Directory {
    fn account(&self, book: BookNo, no: AccountNo) -> Option<AccountId> {
        self.0.get(&book)?.accounts.get(&no).copied()
    }

    fn asset(&self, book: BookNo, no: AssetNo) -> Option<AssetName> {
        let home = if no.is_shared() { BookNo::OPERATOR } else { book };
        self.0.get(&home)?.assets.get(&no).copied()
    }
}
