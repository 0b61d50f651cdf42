//! Checking one book.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    Action, BookNo, Completeness, Hold, HoldStatus, Position, Record, State, apply, decode, hold_after,
};
use store::audit::{self, Directory};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::expected::{self, Left};
use super::lines::{Deviation, Lane, Line, Mention, Placed, PlacedOn, Rate};
use super::past::{Past, about};
use super::trails::Trails;
use super::{Fault, Shared, asked};
use crate::pages::Pages;
use crate::rows;

/// About so many bytes of records are read at once.
const PAGE: usize = 4 << 20;
/// So many holds are compared at once.
const HOLDS: usize = 2_000;

/// A book as its records give it, as far as they are read.
pub(super) struct Audit {
    no: BookNo,
    state: State,
    digest: [u8; 32],
    trails: Trails,
    /// How many of the operator's records about assets it has seen.
    seen: usize,
    /// Whether the store's first command was given.
    initialised: bool,
}

/// A record as it was read, with the columns beside it.
struct Read {
    record: Arc<Record>,
    canonical: Vec<u8>,
    recorded_at: i64,
    key: Option<Uuid>,
    id: Option<Uuid>,
}

/// The tables that are read beside the records.
struct Lanes {
    mentions: Lane<Mention>,
    deviations: Lane<Deviation>,
    rates: Lane<Rate>,
    placed: Lane<Placed>,
    placed_on: Lane<PlacedOn>,
}

impl Lanes {
    async fn open(client: &Client, book: i32) -> Result<Self, Fault> {
        Ok(Self {
            mentions: Lane::open(client, book).await?,
            deviations: Lane::open(client, book).await?,
            rates: Lane::open(client, book).await?,
            placed: Lane::open(client, book).await?,
            placed_on: Lane::open(client, book).await?,
        })
    }

    /// Checks what there is up to a position.
    async fn check(&mut self, client: &Client, until: i64, left: Left) -> Result<(), Fault> {
        self.mentions.check(client, until, left.mentions).await?;
        self.deviations.check(client, until, left.deviations).await?;
        self.rates.check(client, until, left.rates).await?;
        self.placed.check(client, until, left.placed).await?;
        self.placed_on.check(client, until, left.placed_on).await
    }

    async fn close(self, client: &Client) -> Result<(), Fault> {
        self.mentions.close(client).await?;
        self.deviations.close(client).await?;
        self.rates.close(client).await?;
        self.placed.close(client).await?;
        self.placed_on.close(client).await
    }
}

impl Audit {
    /// Of the operator's book.
    pub(super) fn operator() -> Self {
        let mut state = State::new(Completeness::Standing);
        state.book_mut(BookNo::OPERATOR);
        Self {
            no: BookNo::OPERATOR,
            state,
            digest: [0; 32],
            trails: Trails::default(),
            seen: 0,
            initialised: false,
        }
    }

    /// Of another book.
    pub(super) fn of(no: BookNo, shared: &Shared) -> Result<Self, Fault> {
        let mut audit = Self::operator();
        audit.no = no;
        let root = shared
            .roots
            .get(&no)
            .ok_or_else(|| Fault::Wrong(format!("it did not make book {no}")))?;
        apply(&mut audit.state, root);
        Ok(audit)
    }

    /// Checks all of the book. Answers where it stands, and its digest.
    pub(super) async fn all(
        &mut self,
        client: &Client,
        directory: &mut Directory,
        shared: &mut Shared,
        tell: &mut (impl FnMut(u64) + Send),
    ) -> Result<(Position, [u8; 32]), Fault> {
        let mut lanes = Lanes::open(client, rows::book(self.no)).await?;
        self.records(client, directory, shared, Some(&mut lanes), tell)
            .await?;
        lanes.check(client, i64::MAX, Left::nothing()).await?;
        lanes.close(client).await?;
        self.check_register(client).await?;
        self.check_open_holds(client).await?;
        self.check_head(client).await?;
        Ok((self.position(), self.digest))
    }

    /// Reads on in the operator's book, as far as it has come by now.
    pub(super) async fn newer(
        &mut self,
        client: &Client,
        directory: &mut Directory,
        shared: &mut Shared,
    ) -> Result<(), Fault> {
        self.records(client, directory, shared, None, &mut |_| {}).await
    }

    fn position(&self) -> Position {
        self.state
            .book(self.no)
            .map_or(Position(0), |book| book.head.position)
    }

    async fn records(
        &mut self,
        client: &Client,
        directory: &mut Directory,
        shared: &mut Shared,
        mut lanes: Option<&mut Lanes>,
        tell: &mut (impl FnMut(u64) + Send),
    ) -> Result<(), Fault> {
        let mut pages = Pages::default();
        loop {
            let found = pages
                .next(client, self.no, self.position(), PAGE)
                .await
                .map_err(asked)?;
            if found.is_empty() {
                return Ok(());
            }
            let (read, unreadable) = self.read(&found, directory);
            let records: Vec<_> = read.iter().map(|read| Arc::clone(&read.record)).collect();
            let mut past = Past::of(client, self.no, &records, directory).await?;
            let mut resolved = Vec::new();
            for read in &read {
                let position = read.record.position;
                let place = |what| Fault::Wrong(format!("position {position}: {what}"));
                self.take(read, &mut past, shared, &mut resolved).map_err(place)?;
                let left = Left::by(&read.record);
                if (read.key, read.id) != (left.key, left.id) {
                    return Err(place(
                        "its key or id in table saldo.commands is not its own".into(),
                    ));
                }
                if let Some(lanes) = &mut lanes {
                    lanes.check(client, rows::position(position), left).await?;
                }
            }
            if lanes.is_some() {
                self.check_holds(client, &resolved).await?;
            }
            tell(read.len() as u64);
            if let Some(what) = unreadable {
                return Err(Fault::Wrong(what));
            }
        }
    }

    /// The records of these rows, up to one that can't be read.
    fn read(&self, found: &[Row], directory: &mut Directory) -> (Vec<Read>, Option<String>) {
        let mut all = Vec::with_capacity(found.len());
        let mut due = self.position().next();
        for row in found {
            let at = rows::get_position(row, 0);
            let canonical: Vec<u8> = row.get(4);
            let wrong = |what: String| Some(format!("position {at}: {what}"));
            if at != due {
                return (all, wrong(format!("{due} is due, and there is no record of it")));
            }
            let record = match decode(&canonical, directory) {
                Ok(record) => Arc::new(record),
                Err(error) => return (all, wrong(format!("the record can't be read: {error}"))),
            };
            if (record.book, record.position) != (self.no, at) {
                return (all, wrong("the record says that it is another".into()));
            }
            directory.take(&record);
            due = due.next();
            all.push(Read {
                record,
                canonical,
                recorded_at: row.get(1),
                key: row.get(2),
                id: row.get(3),
            });
        }
        (all, None)
    }

    /// Checks a record and takes it.
    fn take(
        &mut self,
        read: &Read,
        past: &mut Past,
        shared: &mut Shared,
        resolved: &mut Vec<Hold>,
    ) -> Result<(), String> {
        let record = &read.record;
        if read.recorded_at != record.recorded_at.0 {
            return Err("its time in table saldo.commands is not its own".into());
        }
        if self.no != BookNo::OPERATOR {
            self.see_operator(record.base, shared)?;
        }
        let no = self.no;
        audit::check(&mut self.state, record, |state, row| {
            past.put(state, no, row);
            Ok(())
        })?;
        let book = self.state.book(no);
        let hold = about(&record.action).and_then(|id| book?.holds.peek(&id).cloned());
        apply(&mut self.state, record);
        if let Some(hold) = hold.filter(|_| record.outcome.is_ok()) {
            let mut hold = Hold::clone(&hold);
            hold_after(&mut hold, record);
            if hold.status != HoldStatus::Held {
                resolved.push(hold.clone());
                past.resolved(hold);
            }
        }
        if no == BookNo::OPERATOR {
            shared.take(record);
            self.initialised |= matches!(record.action, Action::Initialise { .. }) && record.outcome.is_ok();
        }
        past.take(record);
        self.trails.take(record);
        self.digest = audit::next_digest(&self.digest, &read.canonical);
        Ok(())
    }

    /// Sees the operator's book as it was at a position.
    fn see_operator(&mut self, base: Position, shared: &Shared) -> Result<(), String> {
        if base < self.state.base() {
            return Err("it was decided on an older state of book 0 than the record before it".into());
        }
        for record in &shared.assets[self.seen..] {
            if record.position > base {
                break;
            }
            apply(&mut self.state, record);
            self.seen += 1;
        }
        self.state.book_mut(BookNo::OPERATOR).head.position = base;
        Ok(())
    }

    /// Compares holds that have changed for the last time with their rows.
    async fn check_holds(&self, client: &Client, holds: &[Hold]) -> Result<(), Fault> {
        if holds.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = holds.iter().map(|hold| rows::id(hold.id.0)).collect();
        let sql = "select id, status, due, row from saldo.holds where book = $1 and id = any($2)";
        let book = rows::book(self.no);
        let found = client
            .query_typed(sql, &[(&book, Type::INT4), (&ids, Type::UUID_ARRAY)])
            .await
            .map_err(asked)?;
        let found: HashMap<Uuid, _> = found
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2), row.get::<_, Vec<u8>>(3))))
            .collect();
        for hold in holds {
            if found.get(&rows::id(hold.id.0)) != Some(&expected::hold_row(hold)) {
                return Err(Fault::Wrong(format!(
                    "table saldo.holds, position {}: hold {} is not what the records give",
                    hold.position, hold.id
                )));
            }
        }
        Ok(())
    }

    async fn check_open_holds(&self, client: &Client) -> Result<(), Fault> {
        let book = self.state.book(self.no);
        let open: Vec<Hold> = book
            .into_iter()
            .flat_map(|book| book.holds.iter())
            .map(|(_, hold)| Hold::clone(hold))
            .collect();
        for holds in open.chunks(HOLDS) {
            self.check_holds(client, holds).await?;
        }
        let sql = "select a.position, a.account from saldo.hold_accounts a \
             join saldo.holds h on h.book = a.book and h.position = a.position and h.index = a.index \
             where a.book = $1 and (a.status <> h.status or a.due is distinct from h.due) limit 1";
        let book = rows::book(self.no);
        let found = client
            .query_typed(sql, &[(&book, Type::INT4)])
            .await
            .map_err(asked)?;
        match found.first() {
            None => Ok(()),
            Some(row) => Err(Fault::Wrong(format!(
                "table saldo.hold_accounts, position {}, account {}: the row is not what the records give",
                row.get::<_, i64>(0),
                row.get::<_, i32>(1)
            ))),
        }
    }

    async fn check_register(&self, client: &Client) -> Result<(), Fault> {
        let no = rows::book(self.no);
        let book = self.state.book(self.no).expect("it is made with its audit");
        compare(client, no, expected::clients(book)).await?;
        compare(client, no, expected::customers(book)).await?;
        compare(client, no, expected::accounts(book)).await?;
        compare(client, no, expected::api_keys(book)).await?;
        compare(client, no, expected::assets(book, self.initialised)).await?;
        compare(client, no, expected::balances(book, &self.trails)).await?;
        self.trails.check(client, no).await
    }

    async fn check_head(&self, client: &Client) -> Result<(), Fault> {
        let sql = "select position, recorded_at, clients, customers, accounts, api_keys, assets, highest_number, \
                   books, root, digest from saldo.heads where book = $1";
        let no = rows::book(self.no);
        let found = client
            .query_typed(sql, &[(&no, Type::INT4)])
            .await
            .map_err(asked)?;
        let Some(row) = found.first() else {
            return Err(Fault::Wrong("it has no row in table saldo.heads".into()));
        };
        let book = self.state.book(self.no).expect("it is made with its audit");
        let head = book.head;
        let position = rows::position(head.position);
        if row.get::<_, i64>(0) != position {
            return Err(Fault::Wrong(format!(
                "table saldo.heads says that it is at position {}, and its records end at {position}",
                row.get::<_, i64>(0)
            )));
        }
        let counted = [
            head.clients,
            head.customers,
            head.accounts,
            head.api_keys,
            head.assets,
        ];
        let same = row.get::<_, i64>(1) == head.recorded_at.0
            && (2..7)
                .zip(counted)
                .all(|(column, count)| rows::get_number(row, column) == count)
            && row.get::<_, i64>(7) == head.highest_number
            && rows::get_number(row, 8) == head.books
            && row.get::<_, Option<Uuid>>(9) == book.root.map(|root| rows::id(root.0));
        if !same {
            return Err(Fault::Wrong(
                "its row in table saldo.heads is not what the records give".into(),
            ));
        }
        if row.get::<_, &[u8]>(10) != self.digest {
            return Err(Fault::Wrong(format!(
                "the digest in table saldo.heads is not that of its records; one of positions 1 to {position}, \
                 or the digest, was changed"
            )));
        }
        Ok(())
    }
}

/// Compares all rows of a book in a table.
async fn compare<L: Line>(client: &Client, book: i32, expected: Vec<L>) -> Result<(), Fault> {
    let mut lane = Lane::open(client, book).await?;
    lane.check(client, i64::MAX, expected).await?;
    lane.close(client).await
}
