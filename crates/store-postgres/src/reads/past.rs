//! Balances as of then, and entries: an index leads to the record, and the record says what the counters were after it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ledger::{Account, AccountId, AccountNo, Amount, AssetNo, Counters, Entry, Micros, Position, Record};
use store::{AccountBalances, AsOf, AssetBalance, Cursor, Direction, EntryView, Listed, Page, Viewer};
use tokio::try_join;
use tokio_postgres::Row;

use super::lists::one_more;
use super::money::Balances;
use super::{Read, Reader, Seen, shared};
use crate::error::corrupt;
use crate::numeric::Wrapped;
use crate::rows::{self, get_number};
use crate::session::ask;
use crate::tail::{CHUNK, positions};

type Key = (AccountNo, AssetNo);

/// By which recorded time the counters are read, before any correction.
fn recorded_by(as_of: AsOf) -> Micros {
    let recorded = as_of.recorded_at.unwrap_or(Micros::MAX);
    recorded.min(as_of.effective_at.unwrap_or(Micros::MAX))
}

/// The entry that a record left on a balance.
fn last_entry(record: &Record, (account, asset): Key) -> Option<Entry> {
    let moves = record
        .booked()
        .iter()
        .flat_map(|booked| &booked.moves)
        .filter(|made| made.asset.no == asset);
    let sides = moves.flat_map(|made| [(made.from.no, made.from_after), (made.to.no, made.to_after)]);
    sides
        .filter(|(no, _)| *no == account)
        .map(|(_, entry)| entry)
        .next_back()
}

/// Counters that say nothing but `settled`.
fn settled_alone(settled: i128) -> Counters {
    let amount = Amount::new(settled.unsigned_abs()).expect("settled is a difference of counters");
    let nothing = Counters::default();
    match settled >= 0 {
        true => Counters {
            credits_posted: amount,
            ..nothing
        },
        false => Counters {
            debits_posted: amount,
            ..nothing
        },
    }
}

impl Reader {
    /// Accounts with their balances as of then, given which assets they have touched by now.
    pub(super) async fn balances_then(
        &self,
        seen: &Seen,
        accounts: Vec<Arc<Account>>,
        now: &Balances,
        as_of: AsOf,
    ) -> Read<Vec<AccountBalances>> {
        let numbers: Vec<_> = accounts.iter().map(|account| rows::account(account.no)).collect();
        let (last, corrections) = try_join!(
            self.last_records(seen, &numbers, as_of),
            self.corrections(seen, &numbers, as_of)
        )?;
        let mut all = Vec::with_capacity(accounts.len());
        for account in accounts {
            let mut balances = Vec::new();
            for (asset, _) in now.get(&account.no).into_iter().flatten() {
                let key = (account.no, *asset);
                let correction = corrections.get(&key).copied().unwrap_or(0);
                let (mut counters, credit, last, last_at) = match last.get(&key) {
                    Some(record) => {
                        let entry = last_entry(record, key).expect("the record touched this balance");
                        (entry.counters, entry.credit, record.position, record.recorded_at)
                    }
                    // Nothing was recorded by then; something recorded later may count.
                    None if correction != 0 => (
                        Counters::default(),
                        account.credit(*asset),
                        Position(0),
                        Micros::default(),
                    ),
                    None => continue,
                };
                if as_of.effective_at.is_some() {
                    counters = settled_alone(counters.settled().wrapping_add(correction));
                }
                balances.push(AssetBalance {
                    asset: self.tx.facts().asset(&self.tx, seen.viewer.book, *asset).await?,
                    counters,
                    credit,
                    last,
                    last_at,
                });
            }
            all.push(self.with_balances(seen, account, balances).await?);
        }
        Ok(all)
    }

    /// The last record by then of each balance.
    async fn last_records(
        &self,
        seen: &Seen,
        accounts: &[i32],
        as_of: AsOf,
    ) -> Read<HashMap<Key, Arc<Record>>> {
        let tails = "select account, asset, tail from saldo.balances where book = $1 and account = any($2)";
        let chunks = "select b.account, b.asset, e.positions from saldo.balances b cross join lateral ( \
                        select positions from saldo.entries where book = $1 and account = b.account \
                        and asset = b.asset and first <= $3 order by first desc limit 1 \
                      ) e where b.book = $1 and b.account = any($2)";
        let then = match as_of.position {
            Some(position) => rows::position(position),
            None => self.position_at(seen, recorded_by(as_of)).await?,
        };
        let (book, accounts) = (seen.book(), accounts.to_vec());
        let (chunks, tails) = try_join!(
            ask!(self.tx, chunks, book, accounts, then),
            ask!(self.tx, tails, book, accounts),
        )?;
        let mut last: HashMap<Key, i64> = HashMap::new();
        // A tail is newer than any chunk.
        for row in chunks.iter().chain(&tails) {
            let by_then = positions(row.get(2))?
                .into_iter()
                .rfind(|position| *position <= then);
            let key = (AccountNo(get_number(row, 0)), AssetNo(get_number(row, 1)));
            last.extend(by_then.map(|position| (key, position)));
        }
        let wanted: BTreeSet<_> = last.values().copied().collect();
        let found = self.records_at(seen, &wanted).await?;
        let records = self
            .tx
            .facts()
            .decode(&self.tx, found.iter().map(|row| row.get::<_, &[u8]>(1)))
            .await?;
        let by_position: HashMap<_, _> = records
            .into_iter()
            .map(|record| (rows::position(record.position), record))
            .collect();
        let record = |(key, position)| Some((key, Arc::clone(by_position.get(&position)?)));
        Ok(last.into_iter().filter_map(record).collect())
    }

    /// Positions and records, newest first.
    async fn records_at(&self, seen: &Seen, positions: &BTreeSet<i64>) -> Read<Vec<Row>> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "select c.position, c.record from unnest($2::int8[]) k (position) cross join lateral \
                     (select position, record from saldo.commands where book = $1 and position = k.position limit 1) c \
                   order by c.position desc";
        let positions: Vec<_> = positions.iter().copied().collect();
        self.tx.query(sql, &[&seen.book(), &positions]).await
    }

    /// The records that touched an account within some positions, newest first.
    pub(super) async fn touching(
        &self,
        account: AccountNo,
        seen: &Seen,
        (first, last): (i64, i64),
        limit: i64,
    ) -> Read<Vec<Row>> {
        let tails = "select tail from saldo.balances where book = $1 and account = $2";
        let chunks = "select e.positions from saldo.balances b cross join lateral ( \
                        select positions from saldo.entries where book = $1 and account = $2 \
                        and asset = b.asset and first <= $3 order by first desc limit $4 \
                      ) e where b.book = $1 and b.account = $2";
        let (book, account) = (seen.book(), rows::account(account));
        // The newest chunk may reach beyond the last position; all others are full.
        let enough = limit.saturating_add(CHUNK as i64) / CHUNK as i64 + 1;
        let (chunks, tails) = try_join!(
            ask!(self.tx, chunks, book, account, last, enough),
            ask!(self.tx, tails, book, account),
        )?;
        let mut wanted = BTreeSet::new();
        for row in chunks.iter().chain(&tails) {
            let within = |position: &i64| (first..=last).contains(position);
            wanted.extend(positions(row.get(0))?.into_iter().filter(within));
        }
        while wanted.len() as i64 > limit {
            wanted.pop_first();
        }
        self.records_at(seen, &wanted).await
    }

    /// The last position that was recorded at a time or before, found by halving: times rise with positions.
    async fn position_at(&self, seen: &Seen, time: Micros) -> Read<i64> {
        let last = rows::position(seen.position);
        if time == Micros::MAX {
            return Ok(last);
        }
        let sql = "with recursive search (low, high) as ( \
                     select 0::int8, $3::int8 + 1 \
                     union all \
                     select case when c.recorded_at <= $2 then c.position else s.low end, \
                       case when c.recorded_at <= $2 then s.high else c.position end \
                     from search s cross join lateral ( \
                       select position, recorded_at from saldo.commands \
                       where book = $1 and position = (s.low + s.high) / 2 limit 1 \
                     ) c where s.high - s.low > 1 \
                   ) select low from search where high - low = 1";
        let found = self.tx.query(sql, &[&seen.book(), &time.0, &last]).await?;
        let row = found
            .first()
            .ok_or_else(|| corrupt("the positions of a book have a gap"))?;
        Ok(row.get(0))
    }

    /// By effective time: out with what was recorded by the earlier of the two times but counts for another, in with what
    /// counts by then, whenever it was recorded.
    async fn corrections(&self, seen: &Seen, accounts: &[i32], as_of: AsOf) -> Read<HashMap<Key, i128>> {
        let Some(effective) = as_of.effective_at else {
            return Ok(HashMap::new());
        };
        let sql = "select account, asset, \
                     coalesce(sum(settled) filter (where recorded_at <= $3 and effective_at <= $4), 0) \
                     - coalesce(sum(settled) filter (where recorded_at <= $5), 0) \
                   from saldo.deviations where book = $1 and account = any($2) group by account, asset";
        let recorded = as_of.recorded_at.unwrap_or(Micros::MAX).0;
        let accounts = accounts.to_vec();
        let by = recorded_by(as_of).0;
        let found = self
            .tx
            .query(sql, &[&seen.book(), &accounts, &recorded, &effective.0, &by])
            .await?;
        let correction = |row: &Row| {
            let key = (AccountNo(get_number(row, 0)), AssetNo(get_number(row, 1)));
            (key, row.get::<_, Wrapped>(2).0)
        };
        Ok(found.iter().map(correction).collect())
    }

    pub(super) async fn entries(
        &self,
        viewer: Viewer,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Read<Option<Listed<EntryView>>> {
        let (seen, account) = try_join!(self.seen(viewer), self.account_row(viewer, account))?;
        let Some(account) = account.filter(|account| seen.sees(account.client)) else {
            return Ok(None);
        };
        let within = self.within(&seen, from, to).await?;
        let last = page.after.map_or(i64::MAX, |after| after.position.cast_signed());
        // Each record has a line or more, but the one that the page begins in may have none left.
        let records = one_more(page).saturating_add(1);
        let found = self
            .touching(account.no, &seen, (within.0, within.1.min(last)), records)
            .await?;
        let records = self
            .tx
            .facts()
            .decode(&self.tx, found.iter().map(|row| row.get::<_, &[u8]>(1)))
            .await?;
        let mut lines = Vec::new();
        for record in &records {
            let at = |index| Cursor {
                position: record.position.0,
                index,
            };
            let mut placed: Vec<_> = (0..).map(at).zip(sides(record, account.no)).collect();
            placed.retain(|(at, _)| page.after.is_none_or(|after| *at < after));
            lines.extend(placed.into_iter().rev().map(|(at, side)| (at, record, side)));
        }
        let more = lines.len() > page.limit;
        lines.truncate(page.limit);
        let next = lines.last().filter(|_| more).map(|(at, ..)| *at);
        let mut items = Vec::with_capacity(lines.len());
        for (_, record, (nth, move_index, direction)) in lines {
            let asset = record.booked()[nth].moves[move_index].asset.no;
            items.push(EntryView {
                asset: self.tx.facts().asset(&self.tx, viewer.book, asset).await?,
                record: Arc::clone(record),
                nth,
                move_index,
                direction,
            });
        }
        Ok(Some(Listed {
            items,
            next,
            position: seen.position,
        }))
    }

    pub(super) async fn account_row(&self, viewer: Viewer, id: AccountId) -> Read<Option<Arc<Account>>> {
        let sql = "select row from saldo.accounts where book = $1 and id = $2";
        let found = self
            .tx
            .query(sql, &[&rows::book(viewer.book), &rows::id(id.0)])
            .await?;
        found.first().map(|row| shared(row.get(0))).transpose()
    }

    /// The positions recorded from (inclusive) to (exclusive).
    pub(super) async fn within(
        &self,
        seen: &Seen,
        from: Option<Micros>,
        to: Option<Micros>,
    ) -> Read<(i64, i64)> {
        let before = |time: Micros| Micros(time.0.saturating_sub(1));
        let first = match from {
            Some(from) => self.position_at(seen, before(from)).await?.saturating_add(1),
            None => 0,
        };
        let last = match to {
            Some(to) => self.position_at(seen, before(to)).await?,
            None => rows::position(seen.position),
        };
        Ok((first, last))
    }
}

/// Which transaction of a record, which move of it, which side.
type Side = (usize, usize, Direction);

/// An account's sides of the moves of a record, in order.
fn sides(record: &Record, account: AccountNo) -> Vec<Side> {
    let mut found = Vec::new();
    for (nth, booked) in record.booked().iter().enumerate() {
        for (move_index, made) in booked.moves.iter().enumerate() {
            if made.from.no == account {
                found.push((nth, move_index, Direction::Debit));
            } else if made.to.no == account {
                found.push((nth, move_index, Direction::Credit));
            }
        }
    }
    found
}
