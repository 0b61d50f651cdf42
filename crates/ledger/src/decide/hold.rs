//! Captures, releases and expiries of holds.

use smallvec::SmallVec;

use super::moves::{Delta, Mover, Path};
use super::post::at_posting;
use super::{OrNeed, Scene, Stop};
use crate::amount::Amount;
use crate::command::{Capture, Parts, Release};
use crate::id::TransactionId;
use crate::record::{Booked, Code, Done, Move, Rejection};
use crate::register::AccountStatus;
use crate::state::{HeldPosting, Hold, HoldStatus, RowKey};

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
    let parts = parts_to_capture(hold, capture)?;
    book(mover, hold, capture.id, &parts, capture.force)
}

pub(super) fn release(scene: &Scene<'_>, release: &Release) -> Result<Done, Stop> {
    check_amounts(release.parts.as_ref())?;
    let mover = Mover::new(*scene);
    let hold = open_hold(scene, &mover, release.hold)?;
    let parts = match &release.parts {
        None => all_that_is_left(hold),
        Some(parts) => {
            let mut left = remaining(hold);
            let mut freed = Vec::with_capacity(parts.len());
            for (index, amount) in parts {
                let exceeds = exceeds_at(*index);
                let Some(left) = left.get_mut(*index as usize) else {
                    return Err(exceeds);
                };
                *left = left.checked_sub(*amount).ok_or(exceeds)?;
                freed.push(Part {
                    index: *index,
                    take: Amount::ZERO,
                    free: *amount,
                });
            }
            freed
        }
    };
    book(mover, hold, release.id, &parts, false)
}

pub(super) fn expire(scene: &Scene<'_>, hold: TransactionId, id: TransactionId) -> Result<Done, Stop> {
    let Some(hold) = scene.book.holds.get(&hold).or_need(RowKey::Hold(hold))? else {
        return Err(Stop::Nothing);
    };
    let due = hold.expires_at.is_some_and(|end| end <= scene.now);
    if hold.status != HoldStatus::Held || !due {
        return Err(Stop::Nothing);
    }
    book(Mover::new(*scene), hold, id, &all_that_is_left(hold), false)
}

fn check_amounts(parts: Option<&Parts>) -> Result<(), Stop> {
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
    if hold.status == HoldStatus::Held {
        Ok(hold)
    } else {
        Err(Code::HoldResolved.into())
    }
}

fn remaining(hold: &Hold) -> Vec<Amount> {
    hold.postings.iter().map(|held| held.remaining).collect()
}

fn all_that_is_left(hold: &Hold) -> Vec<Part> {
    let left = (0..)
        .zip(&hold.postings)
        .filter(|(_, held)| !held.remaining.is_zero());
    left.map(|(index, held)| Part {
        index,
        take: Amount::ZERO,
        free: held.remaining,
    })
    .collect()
}

fn exceeds_at(index: u32) -> Stop {
    Stop::Reject(Rejection {
        posting: Some(index),
        ..Code::CaptureExceedsHold.into()
    })
}

fn parts_to_capture(hold: &Hold, capture: &Capture) -> Result<Vec<Part>, Stop> {
    let Some(asked) = &capture.parts else {
        return Ok(all_that_is_left(hold)
            .into_iter()
            .map(|part| Part {
                take: part.free,
                ..part
            })
            .collect());
    };
    let mut left = remaining(hold);
    let mut parts = Vec::with_capacity(asked.len());
    for (nth, (index, amount)) in asked.iter().enumerate() {
        let Some(left) = left.get_mut(*index as usize) else {
            return Err(exceeds_at(*index));
        };
        let within = (*left).min(*amount);
        if within < *amount && !capture.allow_over {
            return Err(exceeds_at(*index));
        }
        // The last mention of a posting in a last capture lets the rest of it go too.
        let is_last = capture.last && !asked[nth + 1..].iter().any(|(later, _)| later == index);
        let free = if is_last { *left } else { within };
        *left = left.checked_sub(free).unwrap_or_default();
        parts.push(Part {
            index: *index,
            take: *amount,
            free,
        });
    }
    if capture.last {
        let rest = (0..).zip(left).filter(|(_, left)| !left.is_zero());
        parts.extend(rest.map(|(index, free)| Part {
            index,
            take: Amount::ZERO,
            free,
        }));
    }
    Ok(parts)
}

fn book(
    mut mover: Mover<'_>,
    hold: &Hold,
    id: TransactionId,
    parts: &[Part],
    force: bool,
) -> Result<Done, Stop> {
    let mut moves = SmallVec::new();
    for part in parts {
        let held = &hold.postings[part.index as usize];
        let made = book_part(&mut mover, held, part, force).map_err(|stop| at_posting(stop, part.index));
        moves.extend(mover.gather(made)?);
    }
    mover.finish()?;
    Ok(Done::Moved(vec![Booked { id, moves }]))
}

fn book_part(mover: &mut Mover<'_>, held: &HeldPosting, part: &Part, force: bool) -> Result<Move, Stop> {
    let (from, to) = mover.accounts(held.from.id, held.to.id)?;
    // Accounts with something held can't be closed, and what a frozen one has held may still be taken; more may not.
    if part.take > part.free && from.status == AccountStatus::Frozen {
        return Err(Stop::Reject(Rejection {
            account: Some(from.id),
            ..Code::AccountFrozen.into()
        }));
    }
    let path = Path {
        from,
        to,
        asset: held.asset,
    };
    let delta = Delta {
        post: part.take,
        free: part.free,
        ..Delta::default()
    };
    mover.make(part.index, &path, delta, force)
}
