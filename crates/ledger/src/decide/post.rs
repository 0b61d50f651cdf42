//! Posting, holding, and reversing.

use smallvec::SmallVec;

use super::hold::check_amounts;
use super::moves::{Delta, Mover, Path};
use super::{OrNeed, Scene, Stop};
use crate::amount::Amount;
use crate::command::{Posting, Reverse, Transaction};
use crate::record::{Booked, Code, Done, Moves, Rejection};
use crate::standing::{Posted, PostedPosting};
use crate::state::RowKey;

pub(super) fn post(scene: &Scene<'_>, transaction: &Transaction) -> Result<Done, Stop> {
    let mut mover = match transaction.postings.len() {
        1 => Mover::once(*scene),
        _ => Mover::new(*scene),
    };
    let mut booked = vec![nothing_yet(transaction)];
    book(&mut mover, transaction, &mut booked[0].moves)?;
    mover.finish()?;
    Ok(Done::Moved(booked))
}

pub(super) fn post_batch(scene: &Scene<'_>, transactions: &[Transaction]) -> Result<Done, Stop> {
    let mut mover = Mover::new(*scene);
    let mut all = Vec::with_capacity(transactions.len());
    for (item, transaction) in (0..).zip(transactions) {
        let mut booked = nothing_yet(transaction);
        book(&mut mover, transaction, &mut booked.moves).map_err(|stop| match stop {
            Stop::Reject(rejection) => Stop::Reject(Rejection {
                item: Some(item),
                ..rejection
            }),
            other => other,
        })?;
        all.push(booked);
    }
    mover.finish()?;
    Ok(Done::Moved(all))
}

fn nothing_yet(transaction: &Transaction) -> Booked {
    Booked {
        id: transaction.id,
        moves: SmallVec::new(),
    }
}

/// Books one transaction. With rows missing, the moves are not whole, and `finish` says so.
fn book(mover: &mut Mover<'_>, transaction: &Transaction, moves: &mut Moves) -> Result<(), Stop> {
    for (index, posting) in (0..).zip(&transaction.postings) {
        let made = book_posting(mover, index, posting, transaction, moves);
        mover.gather(made.map_err(|stop| at_posting(stop, index)))?;
    }
    Ok(())
}

fn book_posting(
    mover: &mut Mover<'_>,
    index: u32,
    posting: &Posting,
    transaction: &Transaction,
    moves: &mut Moves,
) -> Result<(), Stop> {
    let (from, to) = mover.accounts(posting.from, posting.to)?;
    let asset = mover.asset(&posting.asset)?;
    if posting.amount.is_zero() {
        return Err(Code::AmountZero.into());
    }
    if from.account.no == to.account.no {
        return Err(Stop::Reject(Rejection {
            account: Some(from.account.id),
            ..Code::SameAccount.into()
        }));
    }
    let path = Path { from, to, asset };
    Mover::check_open(&path)?;
    let delta = match transaction.hold {
        Some(_) => Delta {
            reserve: posting.amount,
            ..Delta::default()
        },
        None => Delta {
            post: posting.amount,
            ..Delta::default()
        },
    };
    mover.make(index, &path, delta, transaction.force, moves)
}

pub(super) fn at_posting(stop: Stop, index: u32) -> Stop {
    match stop {
        Stop::Reject(rejection) => Stop::Reject(Rejection {
            posting: Some(index),
            ..rejection
        }),
        other => other,
    }
}

pub(super) fn reverse(scene: &Scene<'_>, reverse: &Reverse) -> Result<Done, Stop> {
    let id = reverse.transaction;
    let original = scene
        .book
        .transactions
        .get(&id)
        .or_need(RowKey::Transaction(id))?;
    let original = original.ok_or(Code::TransactionNotFound)?;
    let mut mover = Mover::new(*scene);
    for posting in &original.postings {
        mover
            .accounts(posting.from.id, posting.to.id)
            .map_err(|stop| match stop {
                Stop::Reject(_) => Code::TransactionNotFound.into(),
                other => other,
            })?;
    }
    check_amounts(reverse.parts.as_ref())?;
    if !original.has_posted() {
        return Err(Code::NotPosted.into());
    }
    let mut left: Vec<_> = original.postings.iter().map(PostedPosting::left).collect();
    let parts = match &reverse.parts {
        Some(parts) => parts.to_vec(),
        None => all_that_is_left(&left)?,
    };
    let mut moves = Moves::new();
    for (index, amount) in parts {
        let part = (index, amount);
        let made = reverse_part(&mut mover, original, &mut left, part, reverse.force, &mut moves);
        mover.gather(made.map_err(|stop| at_posting(stop, index)))?;
    }
    mover.finish()?;
    Ok(Done::Moved(vec![Booked {
        id: reverse.id,
        moves,
    }]))
}

/// A whole reversal goes backwards, so that money that was passed on comes back before it is returned.
fn all_that_is_left(left: &[Amount]) -> Result<Vec<(u32, Amount)>, Stop> {
    let all = (0..).zip(left.iter().copied());
    let mut all: Vec<_> = all.filter(|(_, left)| !left.is_zero()).collect();
    if all.is_empty() {
        return Err(Code::ReversalExceeds.into());
    }
    all.reverse();
    Ok(all)
}

fn reverse_part(
    mover: &mut Mover<'_>,
    original: &Posted,
    left: &mut [Amount],
    (index, amount): (u32, Amount),
    force: bool,
    moves: &mut Moves,
) -> Result<(), Stop> {
    let posting = original.postings.get(index as usize);
    let posting = posting.ok_or(Code::ReversalExceeds)?;
    // The opposite way: what was credited is debited.
    let (from, to) = mover.accounts(posting.to.id, posting.from.id)?;
    let path = Path {
        from,
        to,
        asset: posting.asset,
    };
    Mover::check_open(&path)?;
    let left = &mut left[index as usize];
    *left = left.checked_sub(amount).ok_or(Code::ReversalExceeds)?;
    let delta = Delta {
        post: amount,
        ..Delta::default()
    };
    mover.make(index, &path, delta, force, moves)
}
