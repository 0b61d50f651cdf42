//! Rates: the newest of a pair, and all of them, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{AssetName, BookNo, Decimal, Micros, RateRow};
use store::{Cursor, Listed, Page, Viewer};
use tokio::try_join;
use tokio_postgres::Row;

use super::lists::one_more;
use super::{Read, Reader, Seen, shared};
use crate::rows::{self, unpack};

/// Where a rate stands among those of its book: when it counts from, its command, and its place in that.
type Place = (i64, i64, i32);

const NEWEST: Place = (i64::MAX, i64::MAX, i32::MAX);

/// A rate in the list of a viewer.
struct Line {
    place: Place,
    own: bool,
    row: Arc<RateRow>,
}

impl Line {
    fn of(row: &Row, own: bool) -> Read<Self> {
        Ok(Self {
            place: (row.get(0), row.get(1), row.get(2)),
            own,
            row: shared(row.get(3))?,
        })
    }

    fn cursor(&self) -> Cursor {
        let (_, position, index) = self.place;
        Cursor {
            position: position.cast_unsigned(),
            index: 2 * index.cast_unsigned() + u32::from(self.own),
        }
    }
}

impl Reader {
    pub(super) async fn rates(&self, viewer: Viewer, page: Page) -> Read<Listed<Arc<RateRow>>> {
        let seen = self.seen(viewer).await?;
        // Of rates for the same time the book's own come first.
        let (own, shared) = match page.after {
            None => (NEWEST, NEWEST),
            Some(after) => self.behind_rate(&seen, after).await?,
        };
        let shared_book = (viewer.book != BookNo::OPERATOR).then_some(BookNo::OPERATOR);
        let (own, shared) = try_join!(
            self.rates_of(Some(viewer.book), own, page),
            self.rates_of(shared_book, shared, page),
        )?;
        let own = own.iter().map(|row| Line::of(row, true));
        let mut lines = own
            .chain(shared.iter().map(|row| Line::of(row, false)))
            .collect::<Read<Vec<_>>>()?;
        lines.sort_unstable_by_key(|line| {
            let (as_of, position, index) = line.place;
            std::cmp::Reverse((as_of, line.own, position, index))
        });
        let more = lines.len() > page.limit;
        lines.truncate(page.limit);
        Ok(Listed {
            next: lines.last().filter(|_| more).map(Line::cursor),
            items: lines.into_iter().map(|line| line.row).collect(),
            position: seen.position,
        })
    }

    async fn rates_of(&self, book: Option<BookNo>, before: Place, page: Page) -> Read<Vec<Row>> {
        let Some(book) = book else {
            return Ok(Vec::new());
        };
        let sql = "select as_of, position, index, row from saldo.rates \
                   where book = $1 and (as_of, position, index) < ($2, $3, $4) \
                   order by as_of desc, position desc, index desc limit $5";
        let (as_of, position, index) = before;
        self.tx
            .query(
                sql,
                &[&rows::book(book), &as_of, &position, &index, &one_more(page)],
            )
            .await
    }

    /// Before which places the rates of the book's own list, and those of the defaults, come behind a cursor.
    async fn behind_rate(&self, seen: &Seen, after: Cursor) -> Read<(Place, Place)> {
        let own = after.index % 2 == 1;
        let book = if own { seen.viewer.book } else { BookNo::OPERATOR };
        let (position, index) = (after.position.cast_signed(), (after.index / 2).cast_signed());
        let sql = "select as_of from saldo.rates where book = $1 and position = $2 and index = $3";
        let found = self
            .tx
            .query(sql, &[&rows::book(book), &position, &index])
            .await?;
        let Some(as_of) = found.first().map(|row| row.get::<_, i64>(0)) else {
            // A place that is none: nothing is behind it.
            let nowhere = (i64::MIN, i64::MIN, i32::MIN);
            return Ok((nowhere, nowhere));
        };
        Ok(match own {
            true => ((as_of, position, index), (as_of, i64::MAX, i32::MAX)),
            false => ((as_of, i64::MIN, i32::MIN), (as_of, position, index)),
        })
    }

    /// The newest rate of each pair that counts at a time, of those recorded by another: the book's own, else the default.
    pub(super) async fn newest_rates(
        &self,
        seen: &Seen,
        pairs: &[(AssetName, AssetName)],
        at: Micros,
        known_by: Micros,
    ) -> Read<HashMap<(AssetName, AssetName), Decimal>> {
        let sql = "select b.book, r.row from unnest($1::text[], $2::text[]) p (base, quote) \
                   cross join unnest($3::int4[]) b (book) \
                   cross join lateral (select row from saldo.rates where book = b.book and base = p.base \
                     and quote = p.quote and as_of <= $4 and recorded_at <= $5 \
                     order by as_of desc, position desc, index desc limit 1) r";
        let bases: Vec<_> = pairs.iter().map(|(base, _)| base.as_str()).collect();
        let quotes: Vec<_> = pairs.iter().map(|(_, quote)| quote.as_str()).collect();
        let books = vec![rows::book(BookNo::OPERATOR), seen.book()];
        if pairs.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self
            .tx
            .query(sql, &[&bases, &quotes, &books, &at.0, &known_by.0])
            .await?;
        let mut rates = HashMap::new();
        let is_own = |row: &&Row| get_book(row) == seen.book();
        let (own, shared): (Vec<&Row>, Vec<&Row>) = found.iter().partition(is_own);
        for row in shared.into_iter().chain(own) {
            let rate: RateRow = unpack(row.get(1))?;
            rates.insert((rate.rate.base, rate.rate.quote), rate.rate.rate);
        }
        Ok(rates)
    }
}

fn get_book(row: &Row) -> i32 {
    row.get(0)
}
