//! One world, kept three times: with every row; with the standing rows, where keys, transactions and resolved holds are
//! read from past records; and with nothing but what each command asks for.

use std::collections::HashSet;
use std::sync::Arc;

use ledger::{
    Action, BookNo, Command, Completeness, Decision, Hold, HoldStatus, Micros, PlainPosting, Position,
    Posted, Record, RowKey, State, TransactionId, apply, apply_plain, decide, hold_after, hold_placed,
    posted, posted_after,
};

use crate::dump::{assert_same, dump_everything, dump_standing};
use crate::invariants::{self, Invariants};

/// What became of a command.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Reply {
    /// It was recorded now.
    Recorded(Arc<Record>),
    /// It was recorded before.
    Replayed(Arc<Record>),
    /// Its key was used otherwise, at this position.
    Conflict(Position),
    /// An expiry with nothing to do.
    Nothing,
}

/// A command's reply and the expiries that ran ahead of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Turn {
    pub(crate) expired: Vec<Arc<Record>>,
    pub(crate) reply: Reply,
}

/// Three states that must agree, and the records that made them.
pub(crate) struct World {
    pub(crate) full: State,
    pub(crate) standing: State,
    pub(crate) records: Vec<Arc<Record>>,
    invariants: Invariants,
}

impl World {
    pub(crate) fn new() -> Self {
        let empty = |completeness| {
            let mut state = State::new(completeness);
            state.book_mut(BookNo::OPERATOR);
            state
        };
        Self {
            full: empty(Completeness::Everything),
            standing: empty(Completeness::Standing),
            records: Vec::new(),
            invariants: Invariants::default(),
        }
    }

    /// Decides and applies `command` in all three ways.
    pub(crate) fn submit(&mut self, command: &Command) -> Turn {
        let (from_loaded, loaded) = self.on_loaded_rows(command);
        let from_standing = self.on_standing_rows(command);
        let mut made = Vec::new();
        let before = self.full.clone();
        let none = &mut |_: &mut State, _: BookNo, key: RowKey| panic!("{key:?} is needed of a full state");
        let reply = run(&mut self.full, command, none, &mut made);
        let turn = turn(reply, &made);
        assert_eq!(turn, from_loaded, "decided otherwise on loaded rows");
        assert_eq!(turn, from_standing, "decided otherwise on standing rows");
        assert_agrees(&loaded, &self.full);
        self.invariants.check(&before, &made, &self.full);
        for record in &made {
            assert!(invariants::fits(record), "{record:?}");
        }
        self.records.extend(made);
        turn
    }

    /// Replaying the records gives the same rows. So does, from any of `points` on, applying the records since an earlier
    /// one again.
    pub(crate) fn assert_replays(&self, points: &[usize]) {
        let everything = dump_everything(&self.full);
        let standing = dump_standing(&self.full);
        assert_same(
            &dump_standing(&self.standing),
            &standing,
            "a standing state is a part of the complete one",
        );
        let end = self.records.len();
        let again = points
            .iter()
            .flat_map(|from| points.iter().map(|upto| (*from, *upto)));
        let again = again.filter(|(from, upto)| from < upto);
        for (from, upto) in again.chain([(end, end), (0, end), (end / 2, end)]) {
            let mut replayed = Self::new();
            for state in [&mut replayed.full, &mut replayed.standing] {
                let twice = self.records[..upto].iter().chain(&self.records[from..]);
                twice.for_each(|record| apply(state, record));
            }
            let mut by_what_is_left = Self::new().standing;
            for record in self.records[..upto].iter().chain(&self.records[from..]) {
                match PlainPosting::of(record) {
                    Some(plain) => apply_plain(&mut by_what_is_left, &plain),
                    None => apply(&mut by_what_is_left, record),
                }
            }
            assert_same(
                &dump_standing(&by_what_is_left),
                &standing,
                "replayed by what plain postings leave behind",
            );
            assert_same(&dump_everything(&replayed.full), &everything, "replayed");
            assert_same(
                &dump_standing(&replayed.standing),
                &standing,
                "replayed on standing rows",
            );
        }
    }

    fn on_loaded_rows(&self, command: &Command) -> (Turn, State) {
        let mut state = State::new(Completeness::Loaded);
        for no in [BookNo::OPERATOR, command.book] {
            let source = self.full.book(no).expect("the book is there");
            let book = state.book_mut(no);
            book.head = source.head;
            book.root = source.root;
        }
        let mut asked = HashSet::new();
        let mut made = Vec::new();
        let load = &mut |state: &mut State, book: BookNo, key: RowKey| {
            assert!(asked.insert(key), "{key:?} was loaded already");
            load(&self.full, state, book, key);
        };
        let reply = run(&mut state, command, load, &mut made);
        (turn(reply, &made), state)
    }

    fn on_standing_rows(&mut self, command: &Command) -> Turn {
        let mut made = Vec::new();
        let records = &self.records;
        let load = &mut |state: &mut State, no: BookNo, key: RowKey| {
            let past = || records.iter().filter(|record| record.book == no);
            let book = state.book_mut(no);
            match key {
                RowKey::Key(client, key) => {
                    let known = past().find(|record| record.client == client && record.key == key);
                    book.keys.put((client, key), known.cloned());
                }
                RowKey::Transaction(id) => book
                    .transactions
                    .put(id, past_transaction(past(), id).map(Arc::new)),
                RowKey::Hold(id) => book.holds.put(id, past_hold(past(), id).map(Arc::new)),
                other => panic!("{other:?} is needed of a standing state"),
            }
        };
        let reply = run(&mut self.standing, command, load, &mut made);
        turn(reply, &made)
    }
}

fn turn(reply: Reply, made: &[Arc<Record>]) -> Turn {
    let own = usize::from(matches!(reply, Reply::Recorded(_)));
    Turn {
        expired: made[..made.len() - own].to_vec(),
        reply,
    }
}

/// The loop that every store runs: load what is needed, expire what is due, decide, apply.
fn run(
    state: &mut State,
    command: &Command,
    load: &mut dyn FnMut(&mut State, BookNo, RowKey),
    made: &mut Vec<Arc<Record>>,
) -> Reply {
    for _ in 0..10_000 {
        match decide(state, command) {
            Decision::Decided(decided) => {
                let record = Arc::new(decided.into_record(command.clone()));
                apply(state, &record);
                made.push(Arc::clone(&record));
                return Reply::Recorded(record);
            }
            Decision::Replay(record) => return Reply::Replayed(record),
            Decision::Conflict(position) => return Reply::Conflict(position),
            Decision::Nothing => return Reply::Nothing,
            Decision::Need(keys) => {
                assert!(!keys.is_empty(), "a need for nothing");
                let mut distinct = HashSet::new();
                for key in keys.into_iter().filter(|key| distinct.insert(*key)) {
                    load(state, command.book, key);
                }
            }
            Decision::ExpireFirst(holds) => {
                assert!(!holds.is_empty(), "nothing to expire first");
                for hold in holds {
                    let expiry = Command::expiry(command.book, hold, command.stamp);
                    let reply = run(state, &expiry, load, made);
                    let expired = matches!(&reply, Reply::Recorded(record) if record.outcome.is_ok());
                    assert!(expired, "the expiry of {hold} that was asked for: {reply:?}");
                }
            }
        }
    }
    panic!("no end of needs for {command:?}");
}

/// Answers a need from the complete state, never over a row that is here: it may have changed.
fn load(full: &State, state: &mut State, no: BookNo, key: RowKey) {
    let source = full.book(no).expect("the book is there");
    let book = state.book_mut(no);
    match key {
        RowKey::Client(id) => book.clients.put(id, source.clients.peek(&id).cloned()),
        RowKey::Customer(id) => book.customers.put(id, source.customers.peek(&id).cloned()),
        RowKey::Number(number) => book.numbers.put(number, source.numbers.peek(&number).copied()),
        RowKey::Account(id) => match source.slot(id).expect("complete") {
            Some(slot) if book.slots.contains(slot.account.no) => {}
            Some(slot) => book.put_account(Arc::clone(&slot.account)),
            None => book.slots.put_absent(id),
        },
        RowKey::Primary(owner, purpose) => {
            let place = (owner, purpose);
            let primary = source.primaries.peek(&place).copied();
            if let Some(primary) = primary.filter(|primary| !book.slots.contains(*primary)) {
                book.put_account(Arc::clone(&source.slots[primary].account));
            }
            book.primaries.put(place, primary);
        }
        RowKey::Balance(account, asset) => {
            let balance = source.balance(account, asset).expect("complete");
            let slot = book.slots.get_mut(account).expect("loaded before");
            assert!(slot.balances.get(asset).is_none(), "loaded already");
            slot.balances.put(asset, balance);
        }
        RowKey::Balances(account) => {
            let slot = book.slots.get_mut(account).expect("loaded before");
            for (asset, balance) in source.balances(account).expect("complete").iter() {
                if slot.balances.get(asset).is_none() {
                    slot.balances.put(asset, balance);
                }
            }
            book.mark_balances_loaded(account);
        }
        RowKey::ApiKey(id) => book.api_keys.put(id, source.api_keys.peek(&id).cloned()),
        RowKey::Asset(name) => {
            for no in [no, BookNo::OPERATOR] {
                let source = full.book(no).expect("the book is there");
                match source.assets.peek(&name) {
                    Some(asset) => state.book_mut(no).put_asset((**asset).clone()),
                    None => state.book_mut(no).assets.put(name, None),
                }
            }
        }
        RowKey::Key(client, key) => {
            book.keys
                .put((client, key), source.keys.peek(&(client, key)).cloned());
        }
        RowKey::Transaction(id) => book.transactions.put(id, source.transactions.peek(&id).cloned()),
        RowKey::Hold(id) => match source.holds.peek(&id) {
            Some(_) if book.holds.peek(&id).is_some() => {}
            Some(hold) => book.put_hold((**hold).clone()),
            None => book.holds.put(id, None),
        },
        RowKey::Due(account) => {
            let open = source.holds_by_account.get(&account).into_iter().flatten();
            for (due, id) in open.filter(|(due, _)| *due != Micros::MAX) {
                let hold = source.holds.peek(id).expect("indexed");
                assert_eq!(hold.due(), *due);
                let reserves = hold.postings.iter().any(|held| held.from.no == account);
                if reserves && book.holds.peek(id).is_none() {
                    book.put_hold((**hold).clone());
                }
            }
            book.mark_due_loaded(account);
        }
    }
}

/// A transaction as it is read back from records.
fn past_transaction<'a>(records: impl Iterator<Item = &'a Arc<Record>>, id: TransactionId) -> Option<Posted> {
    let mut row = None;
    for record in records {
        if let Some(nth) = record.booked().iter().position(|booked| booked.id == id) {
            row = Some(posted(record, nth).expect("booked"));
        } else if let (Some(row), Action::Reverse(reverse)) = (&mut row, &record.action)
            && reverse.transaction == id
            && record.outcome.is_ok()
        {
            posted_after(row, record);
        }
    }
    row
}

/// A hold as it is read back from records.
fn past_hold<'a>(records: impl Iterator<Item = &'a Arc<Record>>, id: TransactionId) -> Option<Hold> {
    let mut row: Option<Hold> = None;
    for record in records.filter(|record| record.outcome.is_ok()) {
        if let Some(row) = &mut row {
            let about = match &record.action {
                Action::Capture(capture) => capture.hold,
                Action::Release(release) => release.hold,
                Action::Expire { hold, .. } => *hold,
                _ => continue,
            };
            if about == id {
                hold_after(row, record);
            }
        } else if let Some(nth) = record.booked().iter().position(|booked| booked.id == id) {
            row = hold_placed(record, nth);
        }
    }
    row
}

/// Whatever was loaded or written by the command is as it is in the complete state.
fn assert_agrees(loaded: &State, full: &State) {
    for part in loaded.books() {
        let whole = full.book(part.no).expect("the book is there");
        assert_eq!((part.root, part.head), (whole.root, whole.head));
        for (id, row) in part.clients.iter() {
            assert_eq!(Some(row), whole.clients.peek(id));
        }
        for (id, row) in part.customers.iter() {
            assert_eq!(Some(row), whole.customers.peek(id));
        }
        for (number, id) in part.numbers.iter() {
            assert_eq!(Some(id), whole.numbers.peek(number));
        }
        for (id, row) in part.api_keys.iter() {
            assert_eq!(Some(row), whole.api_keys.peek(id));
        }
        for slot in part.slots.iter() {
            let no = slot.account.no;
            let there = &whole.slots[no];
            assert_eq!(slot.account, there.account);
            for (asset, balance) in slot.balances.iter() {
                assert_eq!(Ok(balance), whole.balance(no, asset));
            }
        }
        for (place, no) in part.primaries.iter() {
            assert_eq!(Some(no), whole.primaries.peek(place));
        }
        for (name, asset) in part.assets.iter().filter(|(_, asset)| asset.no.0 >= 1100) {
            assert_eq!(Some(asset), whole.assets.peek(name));
        }
        for (key, record) in part.keys.iter() {
            assert_eq!(Some(record), whole.keys.peek(key));
        }
        for (id, row) in part.transactions.iter() {
            assert_eq!(Some(row), whole.transactions.peek(id));
        }
        for (id, row) in part.holds.iter() {
            assert_eq!(Some(row), whole.holds.peek(id));
            let open = row.status == HoldStatus::Held;
            assert_eq!(open, row.postings.iter().any(|held| !held.remaining.is_zero()));
        }
    }
}
