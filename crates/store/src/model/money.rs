//! The rules of money: posts, holds, captures, releases, expiries, reversals.
//!
//! Sums are taken in `u128`, where the sum of two amounts always fits. A sum of three saturates, and is then above any
//! sum of two, which is all that the comparisons here ask.

use ledger::{
    Account, AccountId, AccountRef, AccountStatus, Amount, AssetName, AssetRef, Booked, Capture, Code,
    Counters, Credit, Done, Entry, HeldPosting, Hold, HoldStatus, Micros, Move, Parts, Purpose, Rejection,
    Release, Reverse, Transaction, TransactionId,
};

use super::book::add_up;
use super::judge::{Case, No, about, at};

/// The credit of an account in an asset: without end for `external` and `receivable` ones, and for `internal` ones
/// where so configured; else the limit, else none.
pub(super) fn credit(account: &Account, asset: AssetRef) -> Credit {
    let set = account
        .details()
        .limits
        .iter()
        .find(|limit| limit.asset == asset.no)
        .map(|limit| limit.credit);
    match (account.purpose, set) {
        (Purpose::External | Purpose::Receivable, _) => Credit::Unlimited,
        (Purpose::Internal, Some(Credit::Unlimited)) => Credit::Unlimited,
        (_, Some(Credit::Limit(limit))) => Credit::Limit(limit),
        _ => Credit::NONE,
    }
}

/// Whether available and spendable are `i128`s, and still will be when all that is reserved is let go.
pub(super) fn in_range(counters: &Counters, credit: Credit) -> bool {
    let gone = counters.debits_posted.get() + counters.debits_pending.get();
    let come = counters.credits_posted.get();
    let lowest = gone <= come + (1 << 127);
    let highest = match credit {
        Credit::Limit(limit) => come + limit.get() <= counters.debits_posted.get() + Amount::MAX.get(),
        Credit::Unlimited => true,
    };
    lowest && highest
}

/// What is to move.
struct Want {
    index: usize,
    from: AccountId,
    to: AccountId,
    asset: AssetRef,
    post: u128,
    reserve: u128,
    free: u128,
    force: bool,
}

/// A table to make moves on: each sees those before it.
struct Table<'a> {
    case: Case<'a>,
    made: Vec<Move>,
}

impl<'a> Table<'a> {
    fn new(case: &Case<'a>) -> Self {
        Self {
            case: *case,
            made: Vec::new(),
        }
    }

    fn account(&self, id: AccountId) -> Result<&'a Account, No> {
        let book = self.case.book;
        let account = book
            .account(id)
            .filter(|account| book.sees(self.case.actor, account.client));
        account
            .map(|account| &**account)
            .ok_or(about(Code::AccountNotFound, id))
    }

    fn asset(&self, name: &AssetName) -> Result<AssetRef, No> {
        let asset = self.case.world.asset(self.case.book.no, name);
        let asset = asset.ok_or(Code::AssetNotFound)?;
        Ok(AssetRef {
            no: asset.no,
            name: asset.name,
        })
    }

    fn counters(&self, account: &Account, asset: AssetRef) -> Counters {
        let before = self.case.book.moves().map(|moved| moved.made);
        add_up(before.chain(&self.made), account.no, asset.no)
    }

    /// Both accounts take what is new to them: the right currency, open, and the debited one not frozen.
    fn check_open(&self, want: &Want) -> Result<(), No> {
        let ends = [self.account(want.from)?, self.account(want.to)?];
        let other = |account: &&&Account| account.currency.is_some_and(|no| no != want.asset.no);
        if let Some(account) = ends.iter().find(other) {
            return Err(about(Code::CurrencyMismatch, account.id));
        }
        let closed = |account: &&&Account| account.status == AccountStatus::Closed;
        if let Some(account) = ends.iter().find(closed) {
            return Err(about(Code::AccountClosed, account.id));
        }
        if ends[0].status == AccountStatus::Frozen {
            return Err(about(Code::AccountFrozen, want.from));
        }
        Ok(())
    }

    /// Checks the floor, the maximum and the size of the counters, and makes the move.
    fn make(&mut self, want: &Want) -> Result<(), No> {
        let (from, to) = (self.account(want.from)?, self.account(want.to)?);
        let (debited, credited) = (self.counters(from, want.asset), self.counters(to, want.asset));
        let rises = want.post + want.reserve > want.free;
        let credit_from = credit(from, want.asset);
        if rises && !want.force && goes_below(&debited, credit_from, want) {
            let due = self.due(from);
            return Err(if due.is_empty() {
                about(Code::InsufficientFunds, from.id)
            } else {
                No::Due(due)
            });
        }
        let limit = to
            .details()
            .limits
            .iter()
            .find(|limit| limit.asset == want.asset.no);
        let most = limit.and_then(|limit| limit.max_balance);
        if rises && most.is_some_and(|most| goes_above(&credited, most, want)) {
            return Err(about(Code::BalanceLimit, to.id));
        }
        let after = |posted: Amount, pending: Amount| {
            let posted = Amount::new(posted.get() + want.post)?;
            let pending = Amount::new(pending.get() - want.free + want.reserve)?;
            Some((posted, pending))
        };
        let from_after = after(debited.debits_posted, debited.debits_pending);
        let from_after = from_after.map(|(debits_posted, debits_pending)| Entry {
            counters: Counters {
                debits_posted,
                debits_pending,
                ..debited
            },
            credit: credit_from,
        });
        let to_after = after(credited.credits_posted, credited.credits_pending);
        let to_after = to_after.map(|(credits_posted, credits_pending)| Entry {
            counters: Counters {
                credits_posted,
                credits_pending,
                ..credited
            },
            credit: credit(to, want.asset),
        });
        let fits = |entry: &Entry| in_range(&entry.counters, entry.credit);
        self.made.push(Move {
            index: want.index as u32,
            from: name(from),
            to: name(to),
            asset: want.asset,
            post: Amount::new(want.post).ok_or(Code::Overflow)?,
            reserve: Amount::new(want.reserve).ok_or(Code::Overflow)?,
            free: Amount::new(want.free).ok_or(Code::Overflow)?,
            from_after: from_after.filter(fits).ok_or(about(Code::Overflow, from.id))?,
            to_after: to_after.filter(fits).ok_or(about(Code::Overflow, to.id))?,
        });
        Ok(())
    }

    /// The holds that reserve money of an account and are over, the longest over first.
    fn due(&self, account: &Account) -> Vec<TransactionId> {
        let is_due = |hold: &Hold| {
            let over = hold.expires_at.is_some_and(|end| end <= self.case.now);
            let reserves = hold.postings.iter().any(|held| held.from.no == account.no);
            hold.status == HoldStatus::Held && over && reserves
        };
        let holds = self.case.book.holds().into_iter().filter(is_due);
        let mut due: Vec<(Option<Micros>, _)> = holds.map(|hold| (hold.expires_at, hold.id)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// What was made since the last time, as one transaction.
    fn booked(&mut self, from: usize, id: TransactionId) -> Booked {
        Booked {
            id,
            moves: self.made[from..].iter().copied().collect(),
        }
    }
}

fn name(account: &Account) -> AccountRef {
    AccountRef {
        no: account.no,
        id: account.id,
    }
}

/// Whether spendable would be below zero.
fn goes_below(before: &Counters, credit: Credit, want: &Want) -> bool {
    let Credit::Limit(limit) = credit else {
        return false;
    };
    let reserved = before.debits_pending.get() - want.free + want.reserve;
    let gone = (before.debits_posted.get() + want.post).saturating_add(reserved);
    gone > before.credits_posted.get() + limit.get()
}

/// Whether settled plus incoming would be above the maximum.
fn goes_above(before: &Counters, most: Amount, want: &Want) -> bool {
    let incoming = before.credits_pending.get() - want.free + want.reserve;
    let come = (before.credits_posted.get() + want.post).saturating_add(incoming);
    come > before.debits_posted.get() + most.get()
}

/// Adds to a refusal which posting it is about.
fn on(index: usize) -> impl Fn(No) -> No {
    move |no| match no {
        No::Refused(rejection) => No::Refused(Rejection {
            posting: Some(index as u32),
            ..rejection
        }),
        other => other,
    }
}

pub(super) fn post(case: &Case<'_>, transaction: &Transaction) -> Result<Done, No> {
    let booked = book_all(&mut Table::new(case), transaction)?;
    Ok(Done::Moved(vec![booked]))
}

pub(super) fn post_batch(case: &Case<'_>, transactions: &[Transaction]) -> Result<Done, No> {
    let mut table = Table::new(case);
    let mut all = Vec::new();
    for (item, transaction) in transactions.iter().enumerate() {
        let booked = book_all(&mut table, transaction).map_err(|no| match no {
            No::Refused(rejection) => No::Refused(Rejection {
                item: Some(item as u32),
                ..rejection
            }),
            other => other,
        });
        all.push(booked?);
    }
    Ok(Done::Moved(all))
}

fn book_all(table: &mut Table<'_>, transaction: &Transaction) -> Result<Booked, No> {
    let start = table.made.len();
    for index in 0..transaction.postings.len() {
        book_posting(table, transaction, index).map_err(on(index))?;
    }
    Ok(table.booked(start, transaction.id))
}

fn book_posting(table: &mut Table<'_>, transaction: &Transaction, index: usize) -> Result<(), No> {
    let posting = &transaction.postings[index];
    table.account(posting.from)?;
    table.account(posting.to)?;
    let asset = table.asset(&posting.asset)?;
    if posting.amount.is_zero() {
        return Err(Code::AmountZero.into());
    }
    if posting.from == posting.to {
        return Err(about(Code::SameAccount, posting.from));
    }
    let amount = posting.amount.get();
    let (post, reserve) = match transaction.hold {
        None => (amount, 0),
        Some(_) => (0, amount),
    };
    let want = Want {
        index,
        from: posting.from,
        to: posting.to,
        asset,
        post,
        reserve,
        free: 0,
        force: transaction.force,
    };
    table.check_open(&want)?;
    table.make(&want)
}

fn no_zero(parts: Option<&Parts>) -> Result<(), No> {
    let zero = parts.into_iter().flatten().find(|(_, amount)| amount.is_zero());
    zero.map_or(Ok(()), |(index, _)| Err(at(Code::AmountZero, *index as usize)))
}

/// A hold of which something is left, if the actor sees all its accounts.
fn open_hold(case: &Case<'_>, table: &Table<'_>, id: TransactionId) -> Result<Hold, No> {
    let hold = case.book.hold(id).ok_or(Code::HoldNotFound)?;
    let seen = |held: &HeldPosting| table.account(held.from.id).is_ok() && table.account(held.to.id).is_ok();
    if !hold.postings.iter().all(seen) {
        return Err(Code::HoldNotFound.into());
    }
    match hold.status {
        HoldStatus::Held => Ok(hold),
        HoldStatus::Expired => Err(Code::HoldExpired.into()),
        HoldStatus::Captured | HoldStatus::Released => Err(Code::HoldResolved.into()),
    }
}

/// A part of a hold: how much of it is taken, and how much let go.
struct Part {
    index: usize,
    take: u128,
    free: u128,
}

/// The parts that fit, in order, and the posting of the first that does not. One before it may yet be refused first.
#[derive(Default)]
struct Parted {
    fit: Vec<Part>,
    exceeds: Option<usize>,
}

fn left_of(hold: &Hold) -> Vec<u128> {
    hold.postings.iter().map(|held| held.remaining.get()).collect()
}

pub(super) fn capture(case: &Case<'_>, capture: &Capture) -> Result<Done, No> {
    no_zero(capture.parts.as_ref())?;
    let table = Table::new(case);
    let hold = open_hold(case, &table, capture.hold)?;
    if hold.expires_at.is_some_and(|end| case.now >= end) {
        return Err(Code::HoldExpired.into());
    }
    let mut left = left_of(&hold);
    let mut parts = Parted::default();
    let asked: Vec<_> = match &capture.parts {
        Some(parts) => parts
            .iter()
            .map(|(index, amount)| (*index as usize, amount.get()))
            .collect(),
        None => left
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, left)| *left > 0)
            .collect(),
    };
    for (index, take) in asked {
        match left.get_mut(index) {
            Some(left) if take <= *left || capture.allow_over => {
                let free = take.min(*left);
                *left -= free;
                parts.fit.push(Part { index, take, free });
            }
            _ => {
                parts.exceeds = Some(index);
                break;
            }
        }
    }
    if capture.last {
        let_go_of_the_rest(&left, &mut parts.fit);
    }
    book_parts(table, &hold, capture.id, &parts, capture.force)
}

/// A last capture lets the rest go with the last part that names a posting, and by itself where none does.
fn let_go_of_the_rest(left: &[u128], parts: &mut Vec<Part>) {
    for (index, rest) in left.iter().enumerate().filter(|(_, rest)| **rest > 0) {
        match parts.iter_mut().rev().find(|part| part.index == index) {
            Some(part) => part.free += rest,
            None => parts.push(Part {
                index,
                take: 0,
                free: *rest,
            }),
        }
    }
}

pub(super) fn release(case: &Case<'_>, release: &Release) -> Result<Done, No> {
    no_zero(release.parts.as_ref())?;
    let table = Table::new(case);
    let hold = open_hold(case, &table, release.hold)?;
    let mut left = left_of(&hold);
    let mut parts = Parted::default();
    if release.parts.is_none() {
        let_go_of_the_rest(&left, &mut parts.fit);
    }
    for (index, amount) in release.parts.iter().flatten() {
        let (index, free) = (*index as usize, amount.get());
        match left.get_mut(index) {
            Some(left) if free <= *left => *left -= free,
            _ => {
                parts.exceeds = Some(index);
                break;
            }
        }
        parts.fit.push(Part { index, take: 0, free });
    }
    book_parts(table, &hold, release.id, &parts, false)
}

pub(super) fn expire(case: &Case<'_>, hold: TransactionId, id: TransactionId) -> Result<Done, No> {
    let hold = case
        .book
        .hold(hold)
        .filter(|hold| hold.status == HoldStatus::Held);
    let due = |hold: &Hold| hold.expires_at.is_some_and(|end| end <= case.now);
    let hold = hold.filter(due).ok_or(No::Nothing)?;
    let mut parts = Parted::default();
    let_go_of_the_rest(&left_of(&hold), &mut parts.fit);
    book_parts(Table::new(case), &hold, id, &parts, false)
}

fn book_parts(
    mut table: Table<'_>,
    hold: &Hold,
    id: TransactionId,
    parts: &Parted,
    force: bool,
) -> Result<Done, No> {
    for part in &parts.fit {
        let held = &hold.postings[part.index];
        let want = Want {
            index: part.index,
            from: held.from.id,
            to: held.to.id,
            asset: held.asset,
            post: part.take,
            reserve: 0,
            free: part.free,
            force,
        };
        // What is held may be taken whatever became of the accounts; more than that is new to them.
        if part.take > part.free {
            table.check_open(&want).map_err(on(part.index))?;
        }
        table.make(&want).map_err(on(part.index))?;
    }
    match parts.exceeds {
        Some(index) => Err(at(Code::CaptureExceedsHold, index)),
        None => Ok(Done::Moved(vec![table.booked(0, id)])),
    }
}

pub(super) fn reverse(case: &Case<'_>, reverse: &Reverse) -> Result<Done, No> {
    let mut table = Table::new(case);
    let original = case
        .book
        .posted(reverse.transaction)
        .ok_or(Code::TransactionNotFound)?;
    let sees = |id| table.account(id).is_ok();
    if !original
        .postings
        .iter()
        .all(|posting| sees(posting.from.id) && sees(posting.to.id))
    {
        return Err(Code::TransactionNotFound.into());
    }
    no_zero(reverse.parts.as_ref())?;
    if original.postings.iter().all(|posting| posting.amount.is_zero()) {
        return Err(Code::NotPosted.into());
    }
    let postings = original.postings.iter();
    let mut left: Vec<_> = postings
        .map(|posting| posting.amount.get() - posting.reversed.get())
        .collect();
    let parts: Vec<_> = match &reverse.parts {
        Some(parts) => parts
            .iter()
            .map(|(index, amount)| (*index as usize, amount.get()))
            .collect(),
        // Backwards, so that money that was passed on comes back before it is returned.
        None => left
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, left)| *left > 0)
            .rev()
            .collect(),
    };
    if parts.is_empty() && reverse.parts.is_none() {
        return Err(Code::ReversalExceeds.into());
    }
    for (index, amount) in parts {
        let posting = original
            .postings
            .get(index)
            .ok_or(at(Code::ReversalExceeds, index))?;
        let want = Want {
            index,
            from: posting.to.id,
            to: posting.from.id,
            asset: posting.asset,
            post: amount,
            reserve: 0,
            free: 0,
            force: reverse.force,
        };
        table.check_open(&want).map_err(on(index))?;
        left[index] = left[index]
            .checked_sub(amount)
            .ok_or(at(Code::ReversalExceeds, index))?;
        table.make(&want).map_err(on(index))?;
    }
    Ok(Done::Moved(vec![table.booked(0, reverse.id)]))
}
