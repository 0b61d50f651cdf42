//! Captures, releases and expiries of holds.

use super::moves::{Delta, Mover, Path};
use super::post::at_posting;
use super::{OrNeed, Scene, Stop};
use crate::amount::Amount;
use crate::command::{Capture, Parts, Release};
use crate::id::TransactionId;
use crate::record::{Booked, Code, Done, Moves, Rejection};
use crate::standing::{HeldPosting, Hold, HoldStatus};
use crate::state::RowKey;

/// A part of a hold that is taken, freed, or both.
#[derive(Clone, Copy)]
struct Part {
    index: u32,
    take: Amount,
    free: Amount,
}

pub(super) fn capture(scene: &Scene<'_>, capture: &Capture) -> Result<Done, Stop> {
    check_amounts(capture.parts.as_ref())?;
    let mover = Mover::new(*scene);
    let hold = open_hold(scene, &mover, capture.hold)?;
    if hold.expires_at.is_some_and(|end| end <= scene.now) {
        return Err(Code::HoldExpired.into());
    }
    let parts = parts_to_capture(hold, capture);
    book(mover, hold, capture.id, parts, capture.force)
}

pub(super) fn release(scene: &Scene<'_>, release: &Release) -> Result<Done, Stop> {
    check_amounts(release.parts.as_ref())?;
    let mover = Mover::new(*scene);
    let hold = open_hold(scene, &mover, release.hold)?;
    let parts = match &release.parts {
        None => all_that_is_left(hold).map(Ok).collect(),
        Some(asked) => parts_to_release(hold, asked),
    };
    book(mover, hold, release.id, parts, false)
}

pub(super) fn expire(scene: &Scene<'_>, hold: TransactionId, id: TransactionId) -> Result<Done, Stop> {
    let Some(hold) = scene.book.holds.get(&hold).or_need(RowKey::Hold(hold))? else {
        return Err(Stop::Nothing);
    };
    let due = hold.expires_at.is_some_and(|end| end <= scene.now);
    if hold.status != HoldStatus::Held || !due {
        return Err(Stop::Nothing);
    }
    let parts = all_that_is_left(hold).map(Ok).collect();
    book(Mover::new(*scene), hold, id, parts, false)
}

pub(super) fn check_amounts(parts: Option<&Parts>) -> Result<(), Stop> {
    match parts.into_iter().flatten().find(|(_, amount)| amount.is_zero()) {
        Some((index, _)) => Err(at_posting(Code::AmountZero.into(), *index)),
        None => Ok(()),
    }
}

/// The hold, if the actor sees both sides of it and something is still held.
fn open_hold<'a>(scene: &Scene<'a>, mover: &Mover<'a>, id: TransactionId) -> Result<&'a Hold, Stop> {
    let hold = scene.book.holds.get(&id).or_need(RowKey::Hold(id))?;
    let hold = hold.ok_or(Code::HoldNotFound)?;
    for held in &hold.postings {
        mover
            .accounts(held.from.id, held.to.id)
            .map_err(|stop| match stop {
                Stop::Reject(_) => Code::HoldNotFound.into(),
                other => other,
            })?;
    }
    match hold.status {
        HoldStatus::Held => Ok(hold),
        // Whether the expiry is recorded yet must not show: the answer is that of a hold whose time is over.
        HoldStatus::Expired => Err(Code::HoldExpired.into()),
        HoldStatus::Captured | HoldStatus::Released => Err(Code::HoldResolved.into()),
    }
}

fn remaining(hold: &Hold) -> Vec<Amount> {
    hold.postings.iter().map(|held| held.remaining).collect()
}

fn all_that_is_left(hold: &Hold) -> impl Iterator<Item = Part> {
    let left = (0..)
        .zip(&hold.postings)
        .filter(|(_, held)| !held.remaining.is_zero());
    left.map(|(index, held)| Part {
        index,
        take: Amount::ZERO,
        free: held.remaining,
    })
}

fn exceeds_at(index: u32) -> Stop {
    Stop::Reject(Rejection {
        posting: Some(index),
        ..Code::CaptureExceedsHold.into()
    })
}

/// The parts in order, up to the first that exceeds the hold: it is for the books to say whether one before it fails.
fn parts_to_capture(hold: &Hold, capture: &Capture) -> Vec<Result<Part, Stop>> {
    let Some(asked) = &capture.parts else {
        let all = all_that_is_left(hold);
        return all
            .map(|part| {
                Ok(Part {
                    take: part.free,
                    ..part
                })
            })
            .collect();
    };
    let mut left = remaining(hold);
    let mut parts = Vec::with_capacity(asked.len());
    for (nth, (index, amount)) in asked.iter().enumerate() {
        let here = left.get_mut(*index as usize);
        let Some(left) = here.filter(|left| **left >= *amount || capture.allow_over) else {
            parts.push(Err(exceeds_at(*index)));
            return parts;
        };
        // The last mention of a posting in a last capture lets the rest of it go too.
        let is_last = capture.last && !asked[nth + 1..].iter().any(|(later, _)| later == index);
        let free = if is_last { *left } else { (*left).min(*amount) };
        *left = left.checked_sub(free).unwrap_or_default();
        parts.push(Ok(Part {
            index: *index,
            take: *amount,
            free,
        }));
    }
    if capture.last {
        let rest = (0..).zip(left).filter(|(_, left)| !left.is_zero());
        let let_go = |(index, free)| Part {
            index,
            take: Amount::ZERO,
            free,
        };
        parts.extend(rest.map(let_go).map(Ok));
    }
    parts
}

/// The parts in order, up to the first that exceeds the hold.
fn parts_to_release(hold: &Hold, asked: &Parts) -> Vec<Result<Part, Stop>> {
    let mut left = remaining(hold);
    let mut parts = Vec::with_capacity(asked.len());
    for (index, free) in asked.iter().copied() {
        let here = left.get_mut(index as usize);
        let Some((left, rest)) = here.and_then(|left| left.checked_sub(free).map(|rest| (left, rest))) else {
            parts.push(Err(exceeds_at(index)));
            return parts;
        };
        *left = rest;
        parts.push(Ok(Part {
            index,
            take: Amount::ZERO,
            free,
        }));
    }
    parts
}

fn book(
    mut mover: Mover<'_>,
    hold: &Hold,
    id: TransactionId,
    parts: Vec<Result<Part, Stop>>,
    force: bool,
) -> Result<Done, Stop> {
    let mut moves = Moves::new();
    for part in parts {
        let made = part.and_then(|part| {
            let held = &hold.postings[part.index as usize];
            book_part(&mut mover, held, part, force, &mut moves).map_err(|stop| at_posting(stop, part.index))
        });
        mover.gather(made)?;
    }
    mover.finish()?;
    Ok(Done::Moved(vec![Booked { id, moves }]))
}

fn book_part(
    mover: &mut Mover<'_>,
    held: &HeldPosting,
    part: Part,
    force: bool,
    moves: &mut Moves,
) -> Result<(), Stop> {
    let (from, to) = mover.accounts(held.from.id, held.to.id)?;
    let path = Path {
        from,
        to,
        asset: held.asset,
    };
    // Accounts with something held can't be closed, and what a frozen one has held may still be taken. More than is held
    // is a new movement.
    if part.take > part.free {
        Mover::check_open(&path)?;
    }
    let delta = Delta {
        post: part.take,
        free: part.free,
        ..Delta::default()
    };
    mover.make(part.index, &path, delta, force, moves)
}
