//! Outcomes as bytes: what moved, and each side's counters after it.

use super::Names;
use super::wire::{DecodeError, Decoded, Reader, Writer};
use crate::amount::Amount;
use crate::asset::AssetNo;
use crate::balance::{Counters, Credit};
use crate::command::{Action, Posting, Transaction};
use crate::id::{AccountId, AccountNo, BookNo, ClientId, TransactionId};
use crate::record::{AccountRef, AssetRef, Booked, Code, Done, Entry, Move, Record, Rejection};
use crate::register::Scopes;
use crate::time::Micros;

const REJECTED: u8 = 0;
const CHANGED: u8 = 1;
const BOOK: u8 = 2;
const CUSTOMER: u8 = 3;
const ACCOUNT: u8 = 4;
const MOVED: u8 = 5;
const ROTATED: u8 = 6;

pub(super) fn put(w: &mut Writer<'_>, record: &Record) {
    match &record.outcome {
        Err(rejection) => {
            w.bytes(&[REJECTED, rejection.code as u8]);
            w.option(rejection.item, Writer::uint);
            w.option(rejection.posting, Writer::uint);
            w.option(rejection.account, |w, id| w.bytes(&id.to_bytes()));
        }
        Ok(Done::Changed) => w.byte(CHANGED),
        Ok(Done::Book(book)) => {
            w.byte(BOOK);
            w.uint(book.0);
        }
        Ok(Done::Customer(number)) => {
            w.byte(CUSTOMER);
            w.int(*number);
        }
        Ok(Done::Account { no, primary, client }) => {
            w.byte(ACCOUNT);
            w.uint(no.0);
            w.byte(u8::from(*primary));
            w.bytes(&client.to_bytes());
        }
        Ok(Done::Rotated {
            client,
            scopes,
            old_ends_at,
        }) => {
            w.byte(ROTATED);
            w.option(*client, |w, client| w.bytes(&client.to_bytes()));
            w.uint(scopes.0);
            w.int(old_ends_at.0);
        }
        Ok(Done::Moved(booked)) => {
            w.byte(MOVED);
            // The ids and their number are in the action.
            for booked in booked {
                w.uint(booked.moves.len() as u128);
                for (ordinal, made) in (0..).zip(&booked.moves) {
                    put_move(w, ordinal, made);
                }
            }
        }
    }
}

fn put_move(w: &mut Writer<'_>, ordinal: u32, made: &Move) {
    let amounts = [made.post, made.reserve, made.free];
    let in_order = made.index == ordinal;
    w.byte(there(&amounts) | u8::from(in_order) << 3);
    if !in_order {
        w.uint(made.index);
    }
    w.uint(made.from.no.0);
    w.uint(made.to.no.0);
    w.uint(made.asset.no.0);
    for amount in amounts.iter().filter(|amount| !amount.is_zero()) {
        w.uint(amount.get());
    }
    put_entry(w, &made.from_after);
    put_entry(w, &made.to_after);
}

fn put_entry(w: &mut Writer<'_>, entry: &Entry) {
    let c = &entry.counters;
    let counters = [
        c.debits_posted,
        c.debits_pending,
        c.credits_posted,
        c.credits_pending,
    ];
    let (credit, limit) = match entry.credit {
        Credit::Limit(limit) if limit.is_zero() => (0, None),
        Credit::Limit(limit) => (1, Some(limit)),
        Credit::Unlimited => (2, None),
    };
    w.byte(there(&counters) | credit << 4);
    for amount in counters.iter().filter(|amount| !amount.is_zero()) {
        w.uint(amount.get());
    }
    if let Some(limit) = limit {
        w.uint(limit.get());
    }
}

/// A bit for each amount that is not zero.
fn there(amounts: &[Amount]) -> u8 {
    let mut bits = 0;
    for (bit, amount) in amounts.iter().enumerate() {
        bits |= u8::from(!amount.is_zero()) << bit;
    }
    bits
}

pub(super) fn take(
    r: &mut Reader<'_>,
    book: BookNo,
    action: &mut Action,
    names: &impl Names,
) -> Decoded<Result<Done, Rejection>> {
    let tag = r.byte()?;
    if tag != REJECTED && (tag == MOVED) != moves(action) {
        return Err(DecodeError::Invalid("outcome"));
    }
    Ok(Ok(match tag {
        REJECTED => {
            let code = Code::from_number(r.byte()?).ok_or(DecodeError::Invalid("code"))?;
            return Ok(Err(Rejection {
                code,
                item: r.option(Reader::uint)?,
                posting: r.option(Reader::uint)?,
                account: r.option(|r| Ok(AccountId::from_bytes(r.array()?)))?,
            }));
        }
        CHANGED => Done::Changed,
        BOOK => Done::Book(BookNo(r.uint()?)),
        CUSTOMER => Done::Customer(r.int()?),
        ACCOUNT => Done::Account {
            no: AccountNo(r.uint()?),
            primary: r.flag()?,
            client: ClientId::from_bytes(r.array()?),
        },
        ROTATED => Done::Rotated {
            client: r.option(|r| Ok(ClientId::from_bytes(r.array()?)))?,
            scopes: Scopes(r.uint()?),
            old_ends_at: Micros(r.int()?),
        },
        MOVED => Done::Moved(take_booked(r, book, action, names)?),
        _ => return Err(DecodeError::Invalid("outcome")),
    }))
}

/// Whether it is an action that moves money.
fn moves(action: &Action) -> bool {
    matches!(
        action,
        Action::Post(_)
            | Action::PostBatch(_)
            | Action::Capture(_)
            | Action::Release(_)
            | Action::Expire { .. }
            | Action::Reverse(_)
    )
}

/// Reads what was booked, and gives the action's transactions their postings back.
fn take_booked(
    r: &mut Reader<'_>,
    book: BookNo,
    action: &mut Action,
    names: &impl Names,
) -> Decoded<Vec<Booked>> {
    let one = |r: &mut Reader<'_>, id: TransactionId| -> Decoded<Booked> {
        let len: u32 = r.uint()?;
        let moves = (0..len)
            .map(|ordinal| take_move(r, book, ordinal, names))
            .collect::<Decoded<_>>()?;
        Ok(Booked { id, moves })
    };
    let transactions: &mut [Transaction] = match action {
        Action::Post(transaction) => std::slice::from_mut(transaction),
        Action::PostBatch(transactions) => transactions,
        Action::Capture(capture) => return Ok(vec![one(r, capture.id)?]),
        Action::Release(release) => return Ok(vec![one(r, release.id)?]),
        Action::Expire { id, .. } => return Ok(vec![one(r, *id)?]),
        Action::Reverse(reverse) => return Ok(vec![one(r, reverse.id)?]),
        _ => return Err(DecodeError::Invalid("outcome")),
    };
    let mut all = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        let booked = one(r, transaction.id)?;
        transaction.postings = booked.moves.iter().map(posting_of).collect();
        all.push(booked);
    }
    Ok(all)
}

fn posting_of(made: &Move) -> Posting {
    // A posting either posts or reserves all of its amount.
    let amount = if made.post.is_zero() {
        made.reserve
    } else {
        made.post
    };
    Posting {
        from: made.from.id,
        to: made.to.id,
        asset: made.asset.name,
        amount,
    }
}

fn take_move(r: &mut Reader<'_>, book: BookNo, ordinal: u32, names: &impl Names) -> Decoded<Move> {
    let flags = r.byte()?;
    if flags >> 4 != 0 {
        return Err(DecodeError::Invalid("move"));
    }
    let in_order = flags >> 3 & 1 == 1;
    let index = if in_order { ordinal } else { r.uint()? };
    if !in_order && index == ordinal {
        return Err(DecodeError::Invalid("move"));
    }
    let mut account = || -> Decoded<AccountRef> {
        let no = AccountNo(r.uint()?);
        let id = names.account(book, no).ok_or(DecodeError::Unnamed)?;
        Ok(AccountRef { no, id })
    };
    let (from, to) = (account()?, account()?);
    let asset = AssetNo(r.uint()?);
    let name = names.asset(book, asset).ok_or(DecodeError::Unnamed)?;
    let mut amounts = [Amount::ZERO; 3];
    for (bit, amount) in amounts.iter_mut().enumerate() {
        if flags >> bit & 1 == 1 {
            *amount = r.some_amount()?;
        }
    }
    let [post, reserve, free] = amounts;
    let asset = AssetRef { no: asset, name };
    let (from_after, to_after) = (take_entry(r)?, take_entry(r)?);
    Ok(Move {
        index,
        from,
        to,
        asset,
        post,
        reserve,
        free,
        from_after,
        to_after,
    })
}

fn take_entry(r: &mut Reader<'_>) -> Decoded<Entry> {
    let flags = r.byte()?;
    let mut amounts = [Amount::ZERO; 4];
    for (bit, amount) in amounts.iter_mut().enumerate() {
        if flags >> bit & 1 == 1 {
            *amount = r.some_amount()?;
        }
    }
    let [debits_posted, debits_pending, credits_posted, credits_pending] = amounts;
    let credit = match flags >> 4 {
        0 => Credit::NONE,
        1 => Credit::Limit(r.some_amount()?),
        2 => Credit::Unlimited,
        _ => return Err(DecodeError::Invalid("credit")),
    };
    let counters = Counters {
        debits_posted,
        debits_pending,
        credits_posted,
        credits_pending,
    };
    Ok(Entry { counters, credit })
}
