//! The core against the model: before any store has a say, `decide` and `apply` must do what the model does, record by
//! record, whichever rows are in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{
    BookNo, Code, Command, Completeness, Decision, Hold, HoldStatus, Micros, Record, RowKey, State, apply,
    decide, decide_new,
};
use store::model::Model;
use store::suite::{env, stream};
use store::{AccountFilter, HoldFilter, Outcome, Page, Store, Viewer};

/// The real core on rows in memory: all of them, and those that a store keeps which loads the others.
struct Core {
    full: State,
    standing: State,
    /// How often holds expired to make room for another command.
    made_room: usize,
}

impl Core {
    fn new() -> Self {
        let mut core = Self {
            full: State::new(Completeness::Everything),
            standing: State::new(Completeness::Standing),
            made_room: 0,
        };
        core.full.book_mut(BookNo::OPERATOR);
        core.standing.book_mut(BookNo::OPERATOR);
        core
    }

    fn take(&mut self, command: &Command) -> Outcome {
        loop {
            let decision = decide(&self.full, command);
            let standing = decide_with_loading(&mut self.standing, &self.full, command);
            assert_eq!(standing, decision, "on standing rows, {command:?}");
            decide_on_loaded_rows(&self.full, command, &decision);
            if self.is_new(command) {
                assert_eq!(
                    decide_new(&self.standing, command),
                    decision,
                    "as new, {command:?}"
                );
            }
            match decision {
                Decision::Decided(decided) => {
                    let record = Arc::new(decided.into_record(command.clone()));
                    apply(&mut self.full, &record);
                    apply(&mut self.standing, &record);
                    self.check_written(&record);
                    return Outcome::Recorded(record);
                }
                Decision::Replay(record) => return Outcome::Replayed(record),
                Decision::Conflict(position) => return Outcome::Conflict(position),
                Decision::Nothing => return Outcome::Nothing,
                Decision::Need(keys) => panic!("everything is here, but {keys:?} is needed"),
                Decision::ExpireFirst(holds) => {
                    self.made_room += 1;
                    for hold in holds {
                        let outcome = self.take(&Command::expiry(command.book, hold, command.stamp));
                        let done = matches!(&outcome, Outcome::Recorded(record) if record.outcome.is_ok());
                        assert!(done, "a hold that is due expires: {outcome:?}");
                    }
                }
            }
        }
    }

    fn is_new(&self, command: &Command) -> bool {
        let book = self
            .full
            .book(command.book)
            .expect("commands are for books that are there");
        let mut ids = command.transaction_ids();
        book.keys.peek(&(command.client, command.key)).is_none()
            && ids.all(|id| book.transactions.peek(&id).is_none())
    }

    /// What the records left in the rows is what the model finds.
    async fn compare_rows(&self, model: &Model, seed: u64) {
        let page = Page {
            limit: 100_000,
            after: None,
        };
        for book in self.full.books() {
            let viewer = Viewer {
                book: book.no,
                client: None,
            };
            let accounts = model.accounts(viewer, AccountFilter::default(), page).await;
            for item in accounts.expect("the model answers").items {
                let slot = &book.slots[item.account.no];
                assert_eq!(slot.account, item.account, "SALDO_TEST_SEED={seed}");
                let mut balances: Vec<_> = slot
                    .balances
                    .iter()
                    .map(|(no, here)| (no, here.counters))
                    .collect();
                balances.sort_by_key(|(no, _)| *no);
                let expected = item.balances.iter().map(|here| (here.asset.no, here.counters));
                assert!(
                    expected.eq(balances),
                    "SALDO_TEST_SEED={seed}: balances of {item:#?}"
                );
            }
            for hold in model
                .holds(viewer, HoldFilter::default(), page)
                .await
                .expect("the model answers")
                .items
            {
                assert_eq!(book.holds.peek(&hold.id), Some(&hold), "SALDO_TEST_SEED={seed}");
            }
            for row in model
                .customers(viewer, None, page)
                .await
                .expect("the model answers")
                .items
            {
                assert_eq!(book.customers.peek(&row.id), Some(&row), "SALDO_TEST_SEED={seed}");
            }
            for row in model
                .api_keys(viewer, page)
                .await
                .expect("the model answers")
                .items
            {
                assert_eq!(book.api_keys.peek(&row.id), Some(&row), "SALDO_TEST_SEED={seed}");
            }
        }
    }

    /// A record is the same when it is read back from its canonical bytes.
    fn check_written(&self, record: &Record) {
        let mut bytes = Vec::new();
        ledger::encode(record, &mut bytes);
        for state in [&self.full, &self.standing] {
            assert_eq!(ledger::decode(&bytes, state).as_ref(), Ok(record), "read back");
        }
    }
}

/// Decides with those rows alone that `decide` asks for, and applies what comes of it: that panics where a row that changes
/// is missing.
fn decide_on_loaded_rows(full: &State, command: &Command, expected: &Decision) {
    let mut state = State::new(Completeness::Loaded);
    for book in full.books() {
        let here = state.book_mut(book.no);
        here.root = book.root;
        here.head = book.head;
    }
    let decision = decide_with_loading(&mut state, full, command);
    assert_eq!(
        decision, *expected,
        "on rows that were loaded on demand, {command:?}"
    );
    if let Decision::Decided(decided) = decision {
        apply(&mut state, &Arc::new(decided.into_record(command.clone())));
    }
}

fn decide_with_loading(state: &mut State, full: &State, command: &Command) -> Decision {
    for _ in 0..1_000 {
        match decide(state, command) {
            Decision::Need(keys) => {
                assert!(!keys.is_empty(), "a need without rows");
                keys.into_iter()
                    .for_each(|key| load(state, full, command.book, key));
            }
            decision => return decision,
        }
    }
    panic!("rows are asked for without end by {command:?}");
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
            None => book.slots.put_absent(id),
        },
        RowKey::Primary(owner, purpose) => {
            let primary = from.primaries.peek(&(owner, purpose)).copied();
            book.primaries.put((owner, purpose), primary);
        }
        RowKey::Balance(account, asset) => {
            let balance = from.balance(account, asset).expect("everything is here");
            let slot = book
                .slots
                .get_mut(account)
                .expect("the account was asked for first");
            slot.balances.put(asset, balance);
        }
        RowKey::Balances(account) => {
            let slot = book
                .slots
                .get_mut(account)
                .expect("the account was asked for first");
            slot.balances.clone_from(&from.slots[account].balances);
            book.mark_balances_loaded(account);
        }
        RowKey::ApiKey(id) => book.api_keys.put(id, from.api_keys.peek(&id).cloned()),
        RowKey::Key(client, key) => book
            .keys
            .put((client, key), from.keys.peek(&(client, key)).cloned()),
        RowKey::Transaction(id) => book.transactions.put(id, from.transactions.peek(&id).cloned()),
        RowKey::Hold(id) => match from.holds.peek(&id) {
            Some(hold) => book.holds.put(id, Some(Arc::clone(hold))),
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

/// How streams fared.
#[derive(Default, Debug)]
struct Shares {
    commands: usize,
    accepted: usize,
    refused: BTreeMap<Code, usize>,
    replayed: usize,
    conflicts: usize,
    nothing: usize,
    made_room: usize,
}

impl Shares {
    fn count(&mut self, outcome: &Outcome) {
        self.commands += 1;
        match outcome {
            Outcome::Recorded(record) => match &record.outcome {
                Ok(_) => self.accepted += 1,
                Err(rejection) => *self.refused.entry(rejection.code).or_default() += 1,
            },
            Outcome::Replayed(_) => self.replayed += 1,
            Outcome::Conflict(_) => self.conflicts += 1,
            Outcome::Nothing => self.nothing += 1,
            Outcome::Accepted(_) => self.accepted += 1,
        }
    }

    /// Enough is accepted to get somewhere, and every refusal comes up.
    fn check(&self) {
        assert!(self.accepted * 2 > self.commands, "half is accepted: {self:?}");
        assert!(self.made_room > 0, "no hold expired to make room: {self:?}");
        for code in Code::ALL
            .iter()
            .filter(|code| **code != Code::IdempotencyConflict)
        {
            assert!(self.refused.contains_key(code), "{code} never came up: {self:?}");
        }
    }
}

#[test]
fn the_core_decides_as_the_model_does() {
    let first = env("SALDO_TEST_SEED", 1);
    let streams = env("SALDO_TEST_STREAMS", 500);
    let mut shares = Shares::default();
    for seed in first..first + streams {
        let model = Model::new(|| Micros::MAX);
        let mut core = Core::new();
        for (index, command) in stream(seed, 200).into_iter().flatten().enumerate() {
            let expected = model
                .take(&command)
                .expect("streams are for books that are there");
            let found = core.take(&command);
            assert_eq!(
                found, expected,
                "SALDO_TEST_SEED={seed}, command {index}: {command:#?}"
            );
            shares.count(&found);
        }
        shares.made_room += core.made_room;
        store::suite::run(core.compare_rows(&model, seed));
    }
    println!("{shares:?}");
    if streams >= 500 {
        shares.check();
    }
}
