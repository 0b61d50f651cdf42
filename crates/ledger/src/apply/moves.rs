//! What a record leaves behind in balances, holds and transactions.

use std::sync::Arc;

use smallvec::SmallVec;

use super::move_head;
use crate::amount::Amount;
use crate::asset::AssetNo;
use crate::balance::{Balance, Counters};
use crate::command::Action;
use crate::id::{AccountNo, BookNo, Position, TransactionId};
use crate::record::{Booked, Move, Record};
use crate::standing::{HeldPosting, Hold, HoldStatus, Posted, PostedPosting};
use crate::state::{Book, Completeness, State};
use crate::time::Micros;

/// What a record leaves behind that moves money once and does nothing else: two balances. Nearly all records are so, and who has
/// this need not keep them in memory.
#[derive(Clone, PartialEq, Debug)]
pub struct PlainPosting {
    /// The book.
    pub book: BookNo,
    /// The record's number in it.
    pub position: Position,
    /// When the book took it.
    pub recorded_at: Micros,
    /// What moved.
    pub asset: AssetNo,
    /// The debited account, and its counters after it.
    pub from: (AccountNo, Counters),
    /// The credited account, and its counters after it.
    pub to: (AccountNo, Counters),
}

impl PlainPosting {
    /// What `record` leaves behind, if that is all: it has one posting, holds nothing, and counts for when it was recorded.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let (Action::Post(transaction), [booked]) = (&record.action, record.booked()) else {
            return None;
        };
        let [made] = booked.moves.as_slice() else {
            return None;
        };
        let plain = transaction.hold.is_none() && record.effective_at(0) == record.recorded_at;
        plain.then_some(Self {
            book: record.book,
            position: record.position,
            recorded_at: record.recorded_at,
            asset: made.asset.no,
            from: (made.from.no, made.from_after.counters),
            to: (made.to.no, made.to_after.counters),
        })
    }
}

/// Applies what a record leaves behind, as [`apply()`](super::apply()) applies the record: to rows of [`Completeness::Standing`], where whatever was
/// loaded to decide it (its key, its id) was forgotten before. A row that says that they are free would be believed from then on.
///
/// # Panics
/// When a balance that the record changes is not loaded, or where keys and transactions are kept.
pub fn apply_plain(state: &mut State, plain: &PlainPosting) {
    let book = state.book_mut(plain.book);
    assert_eq!(
        book.completeness(),
        Completeness::Standing,
        "elsewhere the record itself is applied"
    );
    debug_assert!(
        book.keys.is_empty() && book.transactions.is_empty(),
        "what was loaded to decide it is still here"
    );
    let at = (plain.position, plain.recorded_at);
    move_head(book, plain.position, plain.recorded_at);
    for (account, counters) in [plain.from, plain.to] {
        put_balance(book, at, account, plain.asset, counters);
    }
}

pub(super) fn apply_moves(book: &mut Book, record: &Record, moves: &[Move]) {
    for m in moves {
        for (account, entry) in [(m.from.no, &m.from_after), (m.to.no, &m.to_after)] {
            let at = (record.position, record.recorded_at);
            put_balance(book, at, account, m.asset.no, entry.counters);
        }
    }
}

fn put_balance(
    book: &mut Book,
    (last, last_at): (Position, Micros),
    account: AccountNo,
    asset: AssetNo,
    counters: Counters,
) {
    let slot = book.slots.get_mut(account).expect("decided on this row");
    if slot.balances.get(asset).is_none_or(|here| here.last <= last) {
        let balance = Balance {
            counters,
            last,
            last_at,
        };
        slot.balances.put(asset, balance);
    }
}

pub(super) fn apply_to_hold(book: &mut Book, record: &Record, action: &Action, nth: usize, booked: &Booked) {
    match action {
        Action::Post(_) | Action::PostBatch(_) => {
            if let Some(hold) = hold_placed(record, nth)
                && book.holds.peek(&hold.id).is_none()
            {
                book.put_hold(hold);
            }
        }
        Action::Capture(capture) => change_hold(book, record, capture.hold, booked, HoldStatus::Released),
        Action::Release(release) => change_hold(book, record, release.hold, booked, HoldStatus::Released),
        Action::Expire { hold, .. } => change_hold(book, record, *hold, booked, HoldStatus::Expired),
        _ => {}
    }
}

fn held_posting(m: &Move) -> HeldPosting {
    HeldPosting {
        from: m.from,
        to: m.to,
        asset: m.asset,
        amount: m.reserve,
        captured: Amount::ZERO,
        remaining: m.reserve,
    }
}

/// Changes a hold by what was captured or let go; with nothing left it has `end`, or `captured` if anything was.
fn change_hold(book: &mut Book, record: &Record, id: TransactionId, booked: &Booked, end: HoldStatus) {
    let Some(hold) = book.holds.peek(&id) else {
        // Where only open holds are kept, one that is not here was resolved by this record or a later one.
        assert!(
            book.completeness() == Completeness::Standing,
            "decided on this hold"
        );
        return;
    };
    if hold.last >= record.position {
        return;
    }
    let mut hold = Hold::clone(hold);
    fold_into_hold(&mut hold, record, booked, end);
    book.put_hold(hold);
}

/// Changes `hold` by what `booked` captured or let go of it.
fn fold_into_hold(hold: &mut Hold, record: &Record, booked: &Booked, end: HoldStatus) {
    hold.last = record.position;
    for m in &booked.moves {
        let held = &mut hold.postings[m.index as usize];
        held.captured = held
            .captured
            .checked_add(m.post)
            .expect("no more than was posted");
        held.remaining = held.remaining.checked_sub(m.free).expect("no more than was held");
    }
    if hold.postings.iter().all(|held| held.remaining.is_zero()) {
        let captured = hold.postings.iter().any(|held| !held.captured.is_zero());
        hold.status = if captured && end == HoldStatus::Released {
            HoldStatus::Captured
        } else {
            end
        };
    }
}

/// The hold that the `nth` transaction of `record` placed, as it stood right then.
#[must_use]
pub fn hold_placed(record: &Record, nth: usize) -> Option<Hold> {
    let terms = record.transaction(nth)?.hold?;
    let booked = record.booked().get(nth)?;
    Some(Hold {
        id: booked.id,
        position: record.position,
        recorded_at: record.recorded_at,
        last: record.position,
        expires_at: terms.expires_at,
        postings: booked.moves.iter().map(held_posting).collect(),
        status: HoldStatus::Held,
    })
}

/// Takes a hold past a later record that captured, released or expired some of it.
///
/// # Panics
/// When `record` is not about this hold.
pub fn hold_after(hold: &mut Hold, record: &Record) {
    let (about, end) = match &record.action {
        Action::Capture(capture) => (capture.hold, HoldStatus::Released),
        Action::Release(release) => (release.hold, HoldStatus::Released),
        Action::Expire { hold, .. } => (*hold, HoldStatus::Expired),
        other => panic!("{other:?} changes no hold"),
    };
    assert_eq!(about, hold.id, "a record about another hold");
    for booked in record.booked() {
        fold_into_hold(hold, record, booked, end);
    }
}

/// The `nth` transaction of `record` as later commands see it, before any reversal.
#[must_use]
pub fn posted(record: &Record, nth: usize) -> Option<Posted> {
    let booked = record.booked().get(nth)?;
    let postings: SmallVec<_> = booked
        .moves
        .iter()
        .map(|m| PostedPosting {
            from: m.from,
            to: m.to,
            asset: m.asset,
            amount: m.post,
            reversed: Amount::ZERO,
        })
        .collect();
    Some(Posted {
        id: booked.id,
        position: record.position,
        last: record.position,
        postings,
    })
}

/// Takes a transaction past a later record that reversed some of it.
///
/// # Panics
/// When more would be reversed than was posted, which no record does.
pub fn posted_after(posted: &mut Posted, record: &Record) {
    posted.last = record.position;
    for m in record.booked().iter().flat_map(|booked| &booked.moves) {
        let posting = &mut posted.postings[m.index as usize];
        posting.reversed = posting
            .reversed
            .checked_add(m.post)
            .expect("no more than was posted");
    }
}

pub(super) fn apply_to_transactions(
    book: &mut Book,
    record: &Record,
    action: &Action,
    nth: usize,
    id: TransactionId,
) {
    let reversed = match action {
        Action::Reverse(reverse) => Some(reverse.transaction),
        _ => None,
    };
    if book.completeness() == Completeness::Standing {
        if let Some(original) = reversed {
            book.transactions.forget(&original);
        }
        return;
    }
    if let Some(original) = reversed {
        let row = book.transactions.peek(&original).expect("decided on this row");
        if row.last < record.position {
            let mut row = Posted::clone(row);
            posted_after(&mut row, record);
            book.transactions.put(original, Some(Arc::new(row)));
        }
    }
    if book.transactions.peek(&id).is_none() {
        let row = posted(record, nth).expect("the record booked it");
        book.transactions.put(id, Some(Arc::new(row)));
    }
}
