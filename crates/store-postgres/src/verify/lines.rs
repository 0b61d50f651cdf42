//! Rows of derived tables as records give them, and walking a table beside them.

use std::collections::VecDeque;

use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::{Fault, asked};
use crate::numeric::Numeric;

/// So many rows are fetched at once.
const FETCH: usize = 2_000;

/// A row of a derived table. They are ordered by what identifies them, as the table is walked.
pub(super) trait Line: Ord + Sized {
    /// The table.
    const TABLE: &str;
    /// Its columns.
    const COLUMNS: &str;
    /// The columns that it is walked by.
    const ORDER: &str;

    fn read(row: &Row) -> Result<Self, tokio_postgres::Error>;

    /// The first of the columns that it is walked by: a position or a number.
    fn at(&self) -> i64;

    /// Which row it is, for people.
    fn name(&self) -> String;
}

macro_rules! lines {
    ($($name:ident in $table:literal by ($first:ident: $first_type:ty $(, $key:ident: $key_type:ty)*) with ($($rest:ident: $rest_type:ty),*);)+) => {$(
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(super) struct $name {
            pub(super) $first: $first_type,
            $(pub(super) $key: $key_type,)*
            $(pub(super) $rest: $rest_type,)*
        }

        impl Line for $name {
            const TABLE: &str = $table;
            const COLUMNS: &str = lines!(@list $first $(, $key)* $(, $rest)*);
            const ORDER: &str = lines!(@list $first $(, $key)*);

            fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
                Ok(Self {
                    $first: row.try_get(stringify!($first))?,
                    $($key: row.try_get(stringify!($key))?,)*
                    $($rest: row.try_get(stringify!($rest))?,)*
                })
            }

            fn at(&self) -> i64 {
                i64::from(self.$first)
            }

            fn name(&self) -> String {
                let first = format!("{} {}", stringify!($first), self.$first);
                [first $(, format!("{} {}", stringify!($key), self.$key))*].join(", ")
            }
        }
    )+};
    (@list $first:ident $(, $more:ident)*) => {
        concat!(stringify!($first) $(, ", ", stringify!($more))*)
    };
}

lines! {
    Mention in "mentions" by (position: i64, hash: Uuid) with ();
    Chunk in "entries" by (account: i32, asset: i32, first: i64) with (positions: Vec<u8>);
    Deviation in "deviations" by (position: i64, index: i32)
        with (account: i32, asset: i32, recorded_at: i64, effective_at: i64, settled: Numeric);
    Rate in "rates" by (position: i64, index: i32)
        with (base: String, quote: String, as_of: i64, recorded_at: i64, row: Vec<u8>);
    Placed in "holds" by (position: i64, index: i32) with (id: Uuid);
    PlacedOn in "hold_accounts" by (position: i64, index: i32, account: i32) with (id: Uuid);
    ClientRow in "clients" by (no: i32) with (id: Uuid, external_id: Option<Uuid>, row: Vec<u8>);
    CustomerRow in "customers" by (no: i32)
        with (id: Uuid, client: Uuid, number: i64, external_id: Option<Uuid>, row: Vec<u8>);
    AccountRow in "accounts" by (no: i32)
        with (id: Uuid, client: Uuid, owner: Uuid, purpose: i16, is_primary: bool, external_id: Option<Uuid>, row: Vec<u8>);
    ApiKeyRow in "api_keys" by (no: i32) with (id: Uuid, client: Option<Uuid>, row: Vec<u8>);
    AssetRow in "assets" by (no: i32) with (name: String, row: Vec<u8>);
    BalanceRow in "balances" by (account: i32, asset: i32)
        with (last: i64, last_at: i64, debits_posted: Numeric, debits_pending: Numeric,
              credits_posted: Numeric, credits_pending: Numeric, tail: Vec<u8>);
}

/// A walk over the rows of a book in one table, in their order.
pub(super) struct Lane<L> {
    waiting: VecDeque<L>,
    done: bool,
    fetch: String,
}

impl<L: Line> Lane<L> {
    /// Begins the walk. The transaction that it is in is the moment that it sees.
    pub(super) async fn open(client: &Client, book: i32) -> Result<Self, Fault> {
        let (table, columns, order) = (L::TABLE, L::COLUMNS, L::ORDER);
        let declare = format!(
            "declare walk_{table} no scroll cursor for \
             select {columns} from saldo.{table} where book = {book} order by {order}"
        );
        client.batch_execute(&declare).await.map_err(asked)?;
        Ok(Self {
            waiting: VecDeque::new(),
            done: false,
            fetch: format!("fetch forward {FETCH} from walk_{table}"),
        })
    }

    async fn peek(&mut self, client: &Client) -> Result<Option<&L>, Fault> {
        if self.waiting.is_empty() && !self.done {
            let rows = client.query_typed(&self.fetch, &[]).await.map_err(asked)?;
            self.done = rows.len() < FETCH;
            let unreadable = |error| Fault::Wrong(format!("table saldo.{}: {error}", L::TABLE));
            for row in &rows {
                self.waiting.push_back(L::read(row).map_err(unreadable)?);
            }
        }
        Ok(self.waiting.front())
    }

    /// Checks that the next rows, as far as they are not beyond `until`, are these.
    pub(super) async fn check(
        &mut self,
        client: &Client,
        until: i64,
        mut expected: Vec<L>,
    ) -> Result<(), Fault> {
        expected.sort_unstable();
        let mut expected = expected.into_iter();
        loop {
            let found = self.peek(client).await?.filter(|found| found.at() <= until);
            let (wanted, found) = match (expected.next(), found) {
                (None, None) => return Ok(()),
                (Some(wanted), Some(found)) if wanted == *found => {
                    self.waiting.pop_front();
                    continue;
                }
                pair => pair,
            };
            return Err(Fault::Wrong(difference(wanted.as_ref(), found)));
        }
    }

    /// The next row, whatever it is.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Option<L>, Fault> {
        self.peek(client).await?;
        Ok(self.waiting.pop_front())
    }

    /// Ends the walk.
    pub(super) async fn close(self, client: &Client) -> Result<(), Fault> {
        let close = format!("close walk_{}", L::TABLE);
        client.batch_execute(&close).await.map_err(asked)
    }
}

/// What is wrong, where the records give `wanted` and the table has `found`.
fn difference<L: Line>(wanted: Option<&L>, found: Option<&L>) -> String {
    let table = L::TABLE;
    match (wanted, found) {
        (Some(wanted), Some(found)) if wanted.name() == found.name() => {
            format!(
                "table saldo.{table}, {}: the row is not what the records give",
                found.name()
            )
        }
        (Some(wanted), found) if found.is_none_or(|found| wanted < found) => {
            format!("table saldo.{table}, {}: the row is missing", wanted.name())
        }
        (_, Some(found)) => format!("table saldo.{table}, {}: no record gives this row", found.name()),
        (_, None) => format!("table saldo.{table}: a row is missing"),
    }
}
