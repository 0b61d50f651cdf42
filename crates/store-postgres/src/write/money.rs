//! Commands, what leads to them, balances, holds.

use std::collections::BTreeSet;

use ledger::{AccountNo, AssetNo, Book, Hold, HoldStatus, Position};

use super::{Writes, add};
use crate::changes::{Deviation, History, Touched};
use crate::numeric::Numeric;
use crate::rows::{self, pack};
use crate::work::Tails;

pub(super) fn add_history(
    writes: &mut Writes<'_>,
    no: i32,
    history: History,
    canonical: Vec<Vec<u8>>,
    tails: &mut Tails,
) {
    add!(
        writes,
        "insert into saldo.commands (book, position, recorded_at, key, id, record) \
         select $1, * from unnest($2::int8[], $3::int8[], $4::uuid[], $5::uuid[], $6::bytea[])",
        no,
        history.positions,
        history.times,
        history.keys,
        history.ids,
        canonical,
    );
    if !history.mentions.is_empty() {
        let (hashes, positions): (Vec<_>, Vec<_>) = history.mentions.into_iter().unzip();
        add!(
            writes,
            "insert into saldo.mentions (book, hash, position) select $1, * from unnest($2::uuid[], $3::int8[])",
            no,
            hashes,
            positions,
        );
    }
    add_entries(writes, no, &history.entries, tails);
    add_deviations(writes, no, &history.deviations);
    add_rates(writes, no, &history.rates);
}

/// Adds what was touched to the tails, and writes the chunks that came of it.
fn add_entries(
    writes: &mut Writes<'_>,
    no: i32,
    entries: &[(AccountNo, AssetNo, Position)],
    tails: &mut Tails,
) {
    let chunks = entries.iter().filter_map(|(account, asset, position)| {
        let tail = tails.entry((*account, *asset)).or_default();
        let chunk = tail.push(rows::position(*position))?;
        Some((*account, *asset, chunk))
    });
    let chunks: Vec<_> = chunks.collect();
    if chunks.is_empty() {
        return;
    }
    add!(
        writes,
        "insert into saldo.entries (book, account, asset, first, positions) \
         select $1, * from unnest($2::int4[], $3::int4[], $4::int8[], $5::bytea[])",
        no,
        chunks.iter().map(|row| rows::account(row.0)).collect::<Vec<_>>(),
        chunks.iter().map(|row| rows::asset(row.1)).collect::<Vec<_>>(),
        chunks.iter().map(|row| row.2.first).collect::<Vec<_>>(),
        chunks.into_iter().map(|row| row.2.bytes).collect::<Vec<_>>(),
    );
}

fn add_deviations(writes: &mut Writes<'_>, no: i32, all: &[Deviation]) {
    if all.is_empty() {
        return;
    }
    add!(
        writes,
        "insert into saldo.deviations (book, account, asset, position, index, recorded_at, effective_at, settled) \
         select $1, * from unnest($2::int4[], $3::int4[], $4::int8[], $5::int4[], $6::int8[], $7::int8[], $8::numeric[])",
        no,
        all.iter()
            .map(|row| rows::account(row.account))
            .collect::<Vec<_>>(),
        all.iter().map(|row| rows::asset(row.asset)).collect::<Vec<_>>(),
        all.iter()
            .map(|row| rows::position(row.position))
            .collect::<Vec<_>>(),
        all.iter().map(|row| row.index).collect::<Vec<_>>(),
        all.iter().map(|row| row.recorded_at.0).collect::<Vec<_>>(),
        all.iter().map(|row| row.effective_at.0).collect::<Vec<_>>(),
        all.iter().map(|row| row.settled).collect::<Vec<_>>(),
    );
}

fn add_rates(writes: &mut Writes<'_>, no: i32, all: &[(ledger::RateRow, i32)]) {
    // Names are texts of their own in the parameters, which outlive this function.
    for (row, index) in all {
        add!(
            writes,
            "insert into saldo.rates (book, position, index, base, quote, as_of, recorded_at, row) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            no,
            rows::position(row.position),
            *index,
            row.rate.base.as_str().to_owned(),
            row.rate.quote.as_str().to_owned(),
            row.rate.as_of.0,
            row.recorded_at.0,
            pack(row),
        );
    }
}

pub(super) fn add_balances(writes: &mut Writes<'_>, no: i32, touched: &Touched, book: &Book, tails: &Tails) {
    if touched.balances.is_empty() {
        return;
    }
    let all: Vec<_> = touched
        .balances
        .iter()
        .map(|(account, asset)| {
            let balance = book.balance(*account, *asset).expect("it was just changed");
            (*account, *asset, balance)
        })
        .collect();
    let counter = |counter: fn(&ledger::Counters) -> ledger::Amount| -> Vec<Numeric> {
        all.iter()
            .map(|(.., balance)| counter(&balance.counters).into())
            .collect()
    };
    add!(
        writes,
        "insert into saldo.balances (book, account, asset, last, last_at, \
           debits_posted, debits_pending, credits_posted, credits_pending, tail) \
         select $1, * from unnest($2::int4[], $3::int4[], $4::int8[], $5::int8[], \
           $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[], $10::bytea[]) \
         on conflict (book, account, asset) do update set last = excluded.last, last_at = excluded.last_at, \
           debits_posted = excluded.debits_posted, debits_pending = excluded.debits_pending, \
           credits_posted = excluded.credits_posted, credits_pending = excluded.credits_pending, \
           tail = excluded.tail",
        no,
        all.iter().map(|row| rows::account(row.0)).collect::<Vec<_>>(),
        all.iter().map(|row| rows::asset(row.1)).collect::<Vec<_>>(),
        all.iter()
            .map(|row| rows::position(row.2.last))
            .collect::<Vec<_>>(),
        all.iter().map(|row| row.2.last_at.0).collect::<Vec<_>>(),
        counter(|counters| counters.debits_posted),
        counter(|counters| counters.debits_pending),
        counter(|counters| counters.credits_posted),
        counter(|counters| counters.credits_pending),
        all.iter()
            .map(|row| tails[&(row.0, row.1)].bytes().to_vec())
            .collect::<Vec<_>>(),
    );
}

pub(super) fn add_holds(writes: &mut Writes<'_>, no: i32, touched: &Touched, book: &Book) {
    let hold = |id| &**book.holds.peek(id).expect("it was just placed or changed");
    let placed: Vec<_> = touched
        .placed
        .iter()
        .map(|(id, index)| (hold(id), *index))
        .collect();
    let changed: Vec<_> = touched
        .holds
        .iter()
        .filter(|id| !touched.placed.contains_key(id))
        .map(hold)
        .collect();
    if !placed.is_empty() {
        insert_holds(writes, no, &placed);
    }
    if !changed.is_empty() {
        update_holds(writes, no, &changed);
    }
}

/// When an open hold expires.
fn due(hold: &Hold) -> Option<i64> {
    let open = hold.status == HoldStatus::Held;
    hold.expires_at.filter(|_| open).map(|at| at.0)
}

/// The accounts of a hold, each once.
fn accounts_of(hold: &Hold) -> BTreeSet<AccountNo> {
    hold.postings
        .iter()
        .flat_map(|held| [held.from.no, held.to.no])
        .collect()
}

fn insert_holds(writes: &mut Writes<'_>, no: i32, placed: &[(&Hold, i32)]) {
    add!(
        writes,
        "insert into saldo.holds (book, position, index, id, status, due, row) \
         select $1, * from unnest($2::int8[], $3::int4[], $4::uuid[], $5::int2[], $6::int8[], $7::bytea[])",
        no,
        placed
            .iter()
            .map(|(hold, _)| rows::position(hold.position))
            .collect::<Vec<_>>(),
        placed.iter().map(|(_, index)| *index).collect::<Vec<_>>(),
        placed
            .iter()
            .map(|(hold, _)| rows::id(hold.id.0))
            .collect::<Vec<_>>(),
        placed
            .iter()
            .map(|(hold, _)| rows::status(hold.status))
            .collect::<Vec<_>>(),
        placed.iter().map(|(hold, _)| due(hold)).collect::<Vec<_>>(),
        placed.iter().map(|(hold, _)| pack(*hold)).collect::<Vec<_>>(),
    );
    let sides = placed
        .iter()
        .flat_map(|(hold, index)| accounts_of(hold).into_iter().map(|no| (no, *hold, *index)));
    let sides: Vec<_> = sides.collect();
    add!(
        writes,
        "insert into saldo.hold_accounts (book, account, position, index, id, status, due) \
         select $1, * from unnest($2::int4[], $3::int8[], $4::int4[], $5::uuid[], $6::int2[], $7::int8[])",
        no,
        sides
            .iter()
            .map(|(account, ..)| rows::account(*account))
            .collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold, _)| rows::position(hold.position))
            .collect::<Vec<_>>(),
        sides.iter().map(|(.., index)| *index).collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold, _)| rows::id(hold.id.0))
            .collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold, _)| rows::status(hold.status))
            .collect::<Vec<_>>(),
        sides.iter().map(|(_, hold, _)| due(hold)).collect::<Vec<_>>(),
    );
}

fn update_holds(writes: &mut Writes<'_>, no: i32, changed: &[&Hold]) {
    add!(
        writes,
        "update saldo.holds h set status = u.status, due = u.due, row = u.row \
         from unnest($2::uuid[], $3::int2[], $4::int8[], $5::bytea[]) u (id, status, due, row) \
         where h.book = $1 and h.id = u.id",
        no,
        changed.iter().map(|hold| rows::id(hold.id.0)).collect::<Vec<_>>(),
        changed
            .iter()
            .map(|hold| rows::status(hold.status))
            .collect::<Vec<_>>(),
        changed.iter().map(|hold| due(hold)).collect::<Vec<_>>(),
        changed.iter().map(|hold| pack(*hold)).collect::<Vec<_>>(),
    );
    // A hold that stays open stays as it is in the lists.
    let resolved = changed.iter().filter(|hold| hold.status != HoldStatus::Held);
    let sides = resolved.flat_map(|hold| accounts_of(hold).into_iter().map(|no| (no, *hold)));
    let sides: Vec<_> = sides.collect();
    if sides.is_empty() {
        return;
    }
    add!(
        writes,
        "update saldo.hold_accounts s set status = u.status, due = null \
         from unnest($2::int4[], $3::int8[], $4::uuid[], $5::int2[]) u (account, position, id, status) \
         where s.book = $1 and s.account = u.account and s.position = u.position and s.id = u.id",
        no,
        sides
            .iter()
            .map(|(account, _)| rows::account(*account))
            .collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold)| rows::position(hold.position))
            .collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold)| rows::id(hold.id.0))
            .collect::<Vec<_>>(),
        sides
            .iter()
            .map(|(_, hold)| rows::status(hold.status))
            .collect::<Vec<_>>(),
    );
}
