//! The invariants of the crate's head, checked on a complete state and on the records that led there.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    AccountNo, Action, Amount, AssetNo, Book, BookNo, Code, Counters, Credit, Done, Head, HoldStatus, Record,
    State,
};

/// What is remembered of each balance and book, apart from any state.
#[derive(Default)]
pub(crate) struct Invariants {
    chain: HashMap<(BookNo, AccountNo, AssetNo), Counters>,
    heads: HashMap<BookNo, Head>,
}

impl Invariants {
    /// Checks the records of one command, given the states before and after it.
    pub(crate) fn check(&mut self, before: &State, made: &[Arc<Record>], after: &State) {
        for record in made {
            self.check_head(record);
            self.check_chain(record, before.book(record.book).expect("the book is there"));
        }
        for book in after.books() {
            check_sums(book);
            check_held(book);
            self.check_rows(book);
        }
    }

    /// 5: positions without gaps, times that rise with them.
    fn check_head(&mut self, record: &Record) {
        let head = self.heads.entry(record.book).or_default();
        assert_eq!(record.position, head.position.next(), "positions have no gaps");
        assert!(record.recorded_at > head.recorded_at, "times rise");
        head.position = record.position;
        head.recorded_at = record.recorded_at;
    }

    /// 2, 3 and 4: each entry follows from the one before, and keeps to the floor.
    fn check_chain(&mut self, record: &Record, before: &Book) {
        let is_forced = |nth: usize| match &record.action {
            Action::Capture(capture) => capture.force,
            Action::Reverse(reverse) => reverse.force,
            _ => record
                .transaction(nth)
                .is_some_and(|transaction| transaction.force),
        };
        for (nth, booked) in record.booked().iter().enumerate() {
            for m in &booked.moves {
                assert_ne!(m.from.no, m.to.no);
                let ends = [(m.from, &m.from_after, true), (m.to, &m.to_after, false)];
                for (end, entry, is_debit) in ends {
                    let account = &before.slots[end.no].account;
                    assert_eq!((account.id, account.credit(m.asset.no)), (end.id, entry.credit));
                    let key = (record.book, end.no, m.asset.no);
                    let last = self.chain.entry(key).or_default();
                    let expected = if is_debit {
                        Counters {
                            debits_posted: plus(last.debits_posted, m.post),
                            debits_pending: minus(plus(last.debits_pending, m.reserve), m.free),
                            ..*last
                        }
                    } else {
                        Counters {
                            credits_posted: plus(last.credits_posted, m.post),
                            credits_pending: minus(plus(last.credits_pending, m.reserve), m.free),
                            ..*last
                        }
                    };
                    assert_eq!(entry.counters, expected, "an entry follows from the one before");
                    let available = entry.counters.checked_available().expect("a number");
                    let fell = available < last.checked_available().expect("a number");
                    if fell
                        && !is_forced(nth)
                        && let Credit::Limit(limit) = entry.credit
                    {
                        assert!(available >= -limit.signed(), "{record:?} went below the floor");
                    }
                    *last = expected;
                }
            }
        }
    }

    fn check_rows(&self, book: &Book) {
        for slot in book.slots.iter() {
            let no = &slot.account.no;
            let found = book.slot(slot.account.id).expect("it is here");
            assert_eq!(found.map(|found| found.account.no), Some(*no), "by its id, too");
            for (asset, balance) in slot.balances.iter() {
                let last = self.chain.get(&(book.no, *no, asset));
                assert_eq!(Some(&balance.counters), last, "a row is its last entry");
                let credit = slot.account.credit(asset);
                assert!(credit.is_exact(&balance.counters), "{balance:?} with {credit:?}");
            }
        }
        let head = self.heads.get(&book.no).copied().unwrap_or_default();
        assert_eq!(
            (book.head.position, book.head.recorded_at),
            (head.position, head.recorded_at)
        );
    }
}

fn plus(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).expect("within range")
}

fn minus(a: Amount, b: Amount) -> Amount {
    a.checked_sub(b).expect("within range")
}

/// A sum of numbers of 128 bits that can't overflow: by halves.
#[derive(Clone, Copy, Default)]
struct Sum {
    high: i128,
    low: i128,
}

impl Sum {
    fn add(&mut self, number: i128) {
        self.high += number >> 64;
        self.low += number & i128::from(u64::MAX);
    }

    fn is_zero(self) -> bool {
        self.low & i128::from(u64::MAX) == 0 && self.high + (self.low >> 64) == 0
    }
}

/// 1: what is on all accounts of a book is nothing, and what is reserved is coming in elsewhere.
fn check_sums(book: &Book) {
    let mut sums: HashMap<AssetNo, [Sum; 2]> = HashMap::new();
    for (asset, balance) in book.slots.iter().flat_map(|slot| slot.balances.iter()) {
        let [settled, pending] = sums.entry(asset).or_default();
        settled.add(balance.counters.settled());
        pending.add(balance.counters.reserved());
        pending.add(-balance.counters.incoming());
    }
    for (asset, [settled, pending]) in sums {
        assert!(settled.is_zero(), "settled of {asset:?} sums to zero");
        assert!(pending.is_zero(), "pending of {asset:?} sums to zero");
    }
}

/// What is pending is what the open holds keep; the indexes of open holds list just these.
fn check_held(book: &Book) {
    let mut pending: HashMap<(AccountNo, AssetNo), [Sum; 2]> = HashMap::new();
    let mut open = 0;
    for (id, hold) in book.holds.iter() {
        let is_open = hold.status == HoldStatus::Held;
        let kept = hold.postings.iter().any(|held| !held.remaining.is_zero());
        assert_eq!(is_open, kept, "{hold:?}");
        assert_eq!(
            is_open && hold.expires_at.is_some(),
            book.expiring.contains(&(hold.due(), *id))
        );
        for held in hold.postings.iter().filter(|_| is_open) {
            open += 1;
            pending.entry((held.from.no, held.asset.no)).or_default()[0].add(held.remaining.signed());
            pending.entry((held.to.no, held.asset.no)).or_default()[1].add(held.remaining.signed());
            for no in [held.from.no, held.to.no] {
                assert!(book.holds_by_account[&no].contains(&(hold.due(), *id)));
            }
        }
    }
    assert!(open > 0 || book.holds_by_account.is_empty() && book.expiring.is_empty());
    for slot in book.slots.iter() {
        let no = &slot.account.no;
        for (asset, balance) in slot.balances.iter() {
            let [mut reserved, mut incoming] = pending.remove(&(*no, asset)).unwrap_or_default();
            reserved.add(-balance.counters.reserved());
            incoming.add(-balance.counters.incoming());
            assert!(reserved.is_zero() && incoming.is_zero(), "{balance:?} of {no:?}");
        }
    }
    assert!(
        pending.is_empty(),
        "held on accounts without a balance: {:?}",
        pending.keys()
    );
}

/// The codes that only a command about the register may be refused with.
pub(crate) fn fits(record: &Record) -> bool {
    let moves = matches!(
        record.action,
        Action::Post(_) | Action::PostBatch(_) | Action::Capture(_) | Action::Release(_) | Action::Reverse(_)
    );
    match &record.outcome {
        Ok(Done::Moved(_)) => moves || matches!(record.action, Action::Expire { .. }),
        Ok(_) => !moves,
        Err(rejection) if rejection.code == Code::IdempotencyConflict => false,
        Err(rejection) if matches!(record.action, Action::Expire { .. }) => {
            panic!("an expiry is never refused: {rejection:?}")
        }
        Err(rejection) => {
            !moves
                || rejection.code > Code::IdempotencyConflict
                || rejection.code == Code::TransactionNotFound
        }
    }
}
