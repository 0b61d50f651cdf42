//! The core alone against the model: before any store has a say, `decide` and `apply` must do what the model does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::{
    BookNo, Command, Completeness, Decision, Hold, HoldStatus, Micros, Record, RowKey, State, apply, decide,
};

use super::stream;
use crate::Outcome;
use crate::model::Model;

/// The real core on rows in memory.
struct Core {
    state: State,
}

impl Core {
    fn new() -> Self {
        let mut state = State::new(Completeness::Everything);
        state.book_mut(BookNo::OPERATOR);
        Self { state }
    }

    fn take(&mut self, command: &Command) -> Outcome {
        loop {
            let decision = decide(&self.state, command);
            let loaded = decide_on_loaded_rows(&self.state, command);
            assert_eq!(
                loaded, decision,
                "on rows that were loaded on demand, {command:?}"
            );
            match decision {
                Decision::Decided(decided) => {
                    let record = Arc::new(decided.into_record(command.clone()));
                    apply(&mut self.state, &record);
                    return Outcome::Recorded(record);
                }
                Decision::Replay(record) => return Outcome::Replayed(record),
                Decision::Conflict(position) => return Outcome::Conflict(position),
                Decision::Nothing => return Outcome::Nothing,
                Decision::Need(keys) => panic!("everything is here, but {keys:?} is needed"),
                Decision::ExpireFirst(holds) => {
                    for hold in holds {
                        let outcome = self.take(&Command::expiry(command.book, hold, command.stamp));
                        let done = matches!(&outcome, Outcome::Recorded(record) if record.outcome.is_ok());
                        assert!(done, "a hold that is due expires: {outcome:?}");
                    }
                }
            }
        }
    }
}

/// Decides with those rows alone that `decide` asks for, and, on both, applies what comes of it.
fn decide_on_loaded_rows(full: &State, command: &Command) -> Decision {
    let mut state = State::new(Completeness::Loaded);
    for book in full.books() {
        let here = state.book_mut(book.no);
        here.root = book.root;
        here.head = book.head;
    }
    let mut asked = BTreeSet::new();
    loop {
        let decision = decide(&state, command);
        let Decision::Need(keys) = decision else {
            if let Decision::Decided(decided) = &decision {
                // It panics where a row that changes is missing.
                apply(
                    &mut state,
                    &Arc::new(decided.clone().into_record(command.clone())),
                );
            }
            return decision;
        };
        assert!(!keys.is_empty(), "a need without rows");
        for key in keys {
            let again = !asked.insert(format!("{key:?}"));
            // Postings of one transaction may need the same row.
            assert!(!again || asked.len() < 10_000, "{key:?} is asked for without end");
            load(&mut state, full, command.book, key);
        }
    }
}

fn load(state: &mut State, full: &State, no: BookNo, key: RowKey) {
    let from = full.book(no).expect("commands are for books that are there");
    let found = |result: Result<_, _>| result.expect("everything is here");
    if let RowKey::Asset(name) = key {
        for no in [no, BookNo::OPERATOR] {
            let asset = full.book(no).and_then(|book| book.assets.peek(&name)).cloned();
            state.book_mut(no).assets.put(name, asset);
        }
        return;
    }
    let book = state.book_mut(no);
    match key {
        RowKey::Client(id) => book.clients.put(id, from.clients.peek(&id).cloned()),
        RowKey::Customer(id) => book.customers.put(id, from.customers.peek(&id).cloned()),
        RowKey::Number(number) => book.numbers.put(number, from.numbers.peek(&number).copied()),
        RowKey::Account(id) => match found(from.slot(id)) {
            Some(slot) => book.put_account(Arc::clone(&slot.account)),
            None => book.account_nos.put(id, None),
        },
        RowKey::Primary(owner, purpose) => {
            let primary = from.primaries.peek(&(owner, purpose)).copied();
            book.primaries.put((owner, purpose), primary);
        }
        RowKey::Balance(account, asset) => {
            let balance = from.balance(account, asset).expect("everything is here");
            let slot = book
                .slots
                .get_mut(&account)
                .expect("the account was asked for first");
            slot.put_balance(asset, balance);
        }
        RowKey::Balances(account) => {
            let slot = book
                .slots
                .get_mut(&account)
                .expect("the account was asked for first");
            slot.balances.clone_from(&from.slots[&account].balances);
            book.mark_balances_loaded(account);
        }
        RowKey::ApiKey(id) => book.api_keys.put(id, from.api_keys.peek(&id).cloned()),
        RowKey::Key(client, key) => book
            .keys
            .put((client, key), from.keys.peek(&(client, key)).cloned()),
        RowKey::Transaction(id) => book.transactions.put(id, from.transactions.peek(&id).cloned()),
        RowKey::Hold(id) => match from.holds.peek(&id) {
            Some(hold) => book.put_hold(Hold::clone(hold)),
            None => book.holds.put(id, None),
        },
        RowKey::Due(account) => {
            let open = from.holds.iter().map(|(_, hold)| hold);
            let open = open.filter(|hold| hold.status == HoldStatus::Held && hold.expires_at.is_some());
            let reserves = |hold: &&Arc<Hold>| hold.postings.iter().any(|held| held.from.no == account);
            open.filter(reserves)
                .for_each(|hold| book.put_hold(Hold::clone(hold)));
            book.mark_due_loaded(account);
        }
        RowKey::Asset(_) => {}
    }
}

/// How a stream fared.
#[derive(Clone, Default, Debug)]
pub struct Shares {
    /// Commands that were accepted.
    pub accepted: usize,
    /// Commands that were refused, by code.
    pub refused: BTreeMap<&'static str, usize>,
    /// Commands that had been recorded before.
    pub replayed: usize,
    /// Commands under a used key.
    pub conflicts: usize,
    /// Expiries that had nothing to do.
    pub nothing: usize,
}

impl Shares {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Recorded(record) => match &record.outcome {
                Ok(_) => self.accepted += 1,
                Err(rejection) => *self.refused.entry(rejection.code.as_str()).or_default() += 1,
            },
            Outcome::Replayed(_) => self.replayed += 1,
            Outcome::Conflict(_) => self.conflicts += 1,
            Outcome::Nothing => self.nothing += 1,
        }
    }

    /// Adds those of another stream.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.replayed += other.replayed;
        self.conflicts += other.conflicts;
        self.nothing += other.nothing;
        for (code, count) in &other.refused {
            *self.refused.entry(code).or_default() += count;
        }
    }
}

/// Feeds the stream of a seed to the core and to the model, and compares every outcome and record.
///
/// # Panics
/// Where they differ; the message names the seed and the command.
#[must_use]
pub fn check_core(seed: u64, commands: usize) -> Shares {
    let model = Model::new(|| Micros::MAX);
    let mut core = Core::new();
    let mut shares = Shares::default();
    for (index, command) in stream(seed, commands).into_iter().flatten().enumerate() {
        let expected = model
            .take(&command)
            .expect("streams are for books that are there");
        let found = core.take(&command);
        assert_eq!(found, expected, "seed {seed}, command {index}: {command:?}");
        shares.count(&found);
        if let Outcome::Recorded(record) = &found {
            check_written(&core.state, record, seed, index);
        }
    }
    shares
}

/// A record is the same when it is read back from its canonical bytes.
fn check_written(state: &State, record: &Record, seed: u64, index: usize) {
    let mut bytes = Vec::new();
    ledger::encode(record, &mut bytes);
    let read = ledger::decode(&bytes, state);
    assert_eq!(
        read.as_ref(),
        Ok(record),
        "seed {seed}, command {index}: read back"
    );
}
