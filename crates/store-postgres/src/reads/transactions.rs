//! Transactions and holds, newest first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ledger::{AccountNo, Findable, Hold, Lookup, Record, Transaction, TransactionId};
use store::{Cursor, HoldFilter, Listed, Page, Stamped, TransactionFilter, TransactionView, Viewer};
use tokio::try_join;
use tokio_postgres::Row;

use super::lists::{Query, one_more};
use super::{Read, Reader, Seen, shared};
use crate::load::reverse;
use crate::rows::{self, Mention, get_position};
use crate::session::ask;

/// At least so many records are read at once where some may not be wanted.
const CHUNK: i64 = 64;

/// A transaction in a record.
type Place = (Arc<Record>, usize);

impl Reader {
    pub(super) async fn transaction(
        &self,
        viewer: Viewer,
        id: TransactionId,
    ) -> Read<Option<Stamped<TransactionView>>> {
        let sql = "select record from saldo.commands where book = $1 and id = $2 \
                   union all select c.record from saldo.mentions m \
                   join saldo.commands c on c.book = m.book and c.position = m.position \
                   where m.book = $1 and m.hash = $3";
        let book = rows::book(viewer.book);
        let (uuid, hash) = (rows::id(id.0), Mention::Id(id).hash());
        let (seen, found) = try_join!(self.seen(viewer), ask!(self.tx, sql, book, uuid, hash))?;
        let records = self
            .tx
            .facts()
            .decode(&self.tx, found.iter().map(|row| row.get::<_, &[u8]>(0)))
            .await?;
        let place = records.into_iter().find_map(|record| {
            let nth = record.booked().iter().position(|booked| booked.id == id)?;
            Some((record, nth))
        });
        let Some((record, nth)): Option<Place> = place else {
            return Ok(None);
        };
        if !self.sees_all(&seen, &accounts_of(&record, nth)).await? {
            return Ok(None);
        }
        let value = self.views(&seen, vec![(record, nth)]).await?.pop();
        Ok(value.map(|value| seen.stamped(value)))
    }

    /// Transactions with what became of them.
    async fn views(&self, seen: &Seen, places: Vec<Place>) -> Read<Vec<TransactionView>> {
        let mut posted = HashMap::new();
        let mut holds = Vec::new();
        for (record, nth) in &places {
            posted.extend(ledger::posted(record, *nth).map(|posted| (posted.id, posted)));
            if record.transaction(*nth).is_some_and(|asked| asked.hold.is_some()) {
                holds.push(rows::id(record.booked()[*nth].id.0));
            }
        }
        reverse(&self.tx, self.tx.facts(), seen.book(), &mut posted).await?;
        let found = match holds.is_empty() {
            true => Vec::new(),
            false => {
                let sql = "select row from saldo.holds where book = $1 and id = any($2)";
                self.tx.query(sql, &[&seen.book(), &holds]).await?
            }
        };
        let holds = found
            .iter()
            .map(|row| shared::<Hold>(row.get(0)))
            .collect::<Read<Vec<_>>>()?;
        let holds: HashMap<_, _> = holds.into_iter().map(|hold| (hold.id, hold)).collect();
        let view = |(record, nth): Place| {
            let id = record.booked()[nth].id;
            Some(TransactionView {
                hold: holds.get(&id).map(Arc::clone),
                posted: Arc::new(posted.remove(&id)?),
                record,
                nth,
            })
        };
        Ok(places.into_iter().filter_map(view).collect())
    }

    pub(super) async fn transactions(
        &self,
        viewer: Viewer,
        filter: &TransactionFilter,
        page: Page,
    ) -> Read<Listed<TransactionView>> {
        let seen = self.seen(viewer).await?;
        let account = match filter.account {
            None => None,
            Some(id) => match self
                .account_row(viewer, id)
                .await?
                .filter(|account| seen.sees(account.client))
            {
                Some(account) => Some(account.no),
                // What is not in sight has no transactions that are.
                None => return Ok(nothing(&seen)),
            },
        };
        let (first, mut last) = self.within(&seen, filter.from, filter.to).await?;
        last = last.min(page.after.map_or(i64::MAX, |after| after.position.cast_signed()));
        let chunk = one_more(page).max(CHUNK);
        let mut found: Vec<(Cursor, Place)> = Vec::new();
        while found.len() <= page.limit {
            let some = self
                .records_of(&seen, filter, account, (first, last), chunk)
                .await?;
            let records = self
                .tx
                .facts()
                .decode(&self.tx, some.iter().map(|row| row.get::<_, &[u8]>(1)))
                .await?;
            for record in &records {
                for nth in (0..record.booked().len()).rev() {
                    let at = cursor(record, nth);
                    let wanted =
                        page.after.is_none_or(|after| at < after) && is_wanted(record, nth, filter, account);
                    if wanted && self.sees_all(&seen, &accounts_of(record, nth)).await? {
                        found.push((at, (Arc::clone(record), nth)));
                    }
                }
            }
            match some.last().map(|row| get_position(row, 0)) {
                Some(lowest) if some.len() as i64 == chunk => last = rows::position(lowest) - 1,
                _ => break,
            }
        }
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(at, _)| *at);
        let places = found.into_iter().map(|(_, place)| place).collect();
        Ok(Listed {
            items: self.views(&seen, places).await?,
            next,
            position: seen.position,
        })
    }

    /// The records that may have what is asked for within some positions, newest first, by the narrowest index.
    async fn records_of(
        &self,
        seen: &Seen,
        filter: &TransactionFilter,
        account: Option<AccountNo>,
        (first, last): (i64, i64),
        limit: i64,
    ) -> Read<Vec<Row>> {
        let reference = filter.reference.map(Mention::Reference);
        let mention = reference.or(filter.external_id.map(Mention::ExternalId));
        let query = match (mention, account) {
            (Some(mention), _) => Query::new("select c.position, c.record from saldo.mentions m")
                .then(" join saldo.commands c on c.book = m.book and c.position = m.position")
                .with(" where m.book = ?", seen.book())
                .with(" and m.hash = ?", mention.hash())
                .with(" and m.position >= ?", first)
                .with(" and m.position <= ?", last)
                .with(" order by m.position desc limit ?", limit),
            (None, Some(account)) => return self.touching(account, seen, (first, last), limit).await,
            (None, None) => Query::new("select position, record from saldo.commands")
                .with(" where book = ?", seen.book())
                .with(" and position >= ?", first)
                .with(" and position <= ?", last)
                .with(" order by position desc limit ?", limit),
        };
        query.ask(self).await
    }

    pub(super) async fn holds(
        &self,
        viewer: Viewer,
        filter: &HoldFilter,
        page: Page,
    ) -> Read<Listed<Arc<Hold>>> {
        let seen = self.seen(viewer).await?;
        let account = match filter.account {
            None => None,
            Some(id) => match self
                .account_row(viewer, id)
                .await?
                .filter(|account| seen.sees(account.client))
            {
                Some(account) => Some(account.no),
                None => return Ok(nothing(&seen)),
            },
        };
        let chunk = one_more(page).max(CHUNK);
        let mut after = page.after.map_or((i64::MAX, i32::MAX), |after| {
            (after.position.cast_signed(), after.index.cast_signed())
        });
        let mut found: Vec<(Cursor, Arc<Hold>)> = Vec::new();
        while found.len() <= page.limit {
            let some = holds_of(&seen, filter, account, after, chunk).ask(self).await?;
            for row in &some {
                let hold: Arc<Hold> = shared(row.get(2))?;
                let accounts = hold
                    .postings
                    .iter()
                    .flat_map(|held| [held.from.no, held.to.no])
                    .collect();
                if self.sees_all(&seen, &accounts).await? {
                    found.push((place_of(row), hold));
                }
            }
            match some.last() {
                Some(lowest) if some.len() as i64 == chunk => after = (lowest.get(0), lowest.get(1)),
                _ => break,
            }
        }
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        Ok(Listed {
            next: found.last().filter(|_| more).map(|(at, _)| *at),
            items: found.into_iter().map(|(_, hold)| hold).collect(),
            position: seen.position,
        })
    }
}

fn nothing<T>(seen: &Seen) -> Listed<T> {
    Listed {
        items: Vec::new(),
        next: None,
        position: seen.position,
    }
}

fn cursor(record: &Record, nth: usize) -> Cursor {
    Cursor {
        position: record.position.0,
        index: u32::try_from(nth).expect("a batch has at most 10,000 transactions"),
    }
}

fn place_of(row: &Row) -> Cursor {
    Cursor {
        position: get_position(row, 0).0,
        index: row.get::<_, i32>(1).cast_unsigned(),
    }
}

/// The accounts of the `nth` transaction of a record.
fn accounts_of(record: &Record, nth: usize) -> BTreeSet<AccountNo> {
    record.booked()[nth]
        .moves
        .iter()
        .flat_map(|made| [made.from.no, made.to.no])
        .collect()
}

/// Whether the `nth` transaction of a record is asked for, times aside.
fn is_wanted(record: &Record, nth: usize, filter: &TransactionFilter, account: Option<AccountNo>) -> bool {
    let asked = record.transaction(nth);
    let reference = asked.and_then(Transaction::reference);
    let external_id = asked.and_then(Transaction::external_id);
    let fits = |wanted: Option<Lookup>, has: Option<&Findable>| {
        wanted.is_none() || wanted == has.map(Findable::lookup)
    };
    fits(filter.reference, reference)
        && fits(filter.external_id, external_id)
        && account.is_none_or(|no| accounts_of(record, nth).contains(&no))
}

/// Holds behind a place, newest first.
fn holds_of(
    seen: &Seen,
    filter: &HoldFilter,
    account: Option<AccountNo>,
    (position, index): (i64, i32),
    limit: i64,
) -> Query {
    let query = match account {
        None => Query::new("select s.position, s.index, s.row from saldo.holds s"),
        Some(_) => Query::new("select s.position, s.index, h.row from saldo.hold_accounts s")
            .then(" join saldo.holds h on h.book = s.book and h.position = s.position and h.index = s.index"),
    };
    query
        .with(" where s.book = ?", seen.book())
        .with_some(" and s.account = ?", account.map(rows::account))
        .with_some(" and s.status = ?", filter.status.map(rows::status))
        .with_some(" and s.id = ?", filter.id.map(|id| rows::id(id.0)))
        .with(" and (s.position, s.index) < (?,", position)
        .with(" ?)", index)
        .with(" order by s.position desc, s.index desc limit ?", limit)
}
