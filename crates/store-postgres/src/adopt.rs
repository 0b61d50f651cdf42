//! Taking records that another store decided: one transaction, as a batch is, without deciding anything.

use std::sync::Arc;

use ledger::{Action, Book, BookNo, Position, Record, RowKey};
use store::StoreError;
use tokio::time::{Instant, sleep_until};

use crate::batch::Desk;
use crate::error::Failure;
use crate::kept::Place;
use crate::load::{Wanted, fetch, put};
use crate::rows;
use crate::session::{Purpose, Transaction};
use crate::store_impl::{PAUSE, PostgresStore};
use crate::work::Work;
use crate::write::write;

impl PostgresStore {
    /// Takes the next records of a book, all or none of them.
    pub(crate) async fn adopt_all(&self, records: Vec<Arc<Record>>) -> Result<Position, StoreError> {
        let Some(book) = records.first().map(|record| record.book) else {
            return Ok(Position(0));
        };
        let deadline = Instant::now() + self.deadline;
        loop {
            let mut sent = false;
            let again = Instant::now() + PAUSE;
            match self.desk.adopt(book, &records, deadline, &mut sent).await {
                Ok(position) => return Ok(position),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::NoSpace) => return Err(StoreError::NoSpace),
                Err(Failure::Passing(_)) if sent => return Err(StoreError::UnknownFate),
                Err(Failure::Passing(_)) if again >= deadline => return Err(StoreError::Busy),
                Err(Failure::Passing(why)) => {
                    tracing::debug!(why, "records are adopted again");
                    sleep_until(again).await;
                }
            }
        }
    }
}

impl Desk {
    async fn adopt(
        &self,
        book: BookNo,
        records: &[Arc<Record>],
        deadline: Instant,
        sent: &mut bool,
    ) -> Result<Position, Failure> {
        let held = self.pool.lend(deadline).await?;
        let tx = Transaction::begin(held, Purpose::Write, deadline).await?;
        let mut kept = self.shelf.take(book);
        let want = |work: &Work| Wanted::asked(named(records), rows_of(work));
        let opened = self.open(&tx, book, &mut kept, want).await?;
        let (mut work, _) = opened.ok_or(StoreError::NoSuchBook(book))?;
        let places = Wanted::asked(places_taken(records, rows_of(&work)), rows_of(&work));
        if !places.is_empty() {
            let loaded = fetch(&tx, rows::book(book), &places, 0).await?;
            put(&tx, tx.facts(), &mut work, places, loaded, &[]).await?;
        }
        for record in records {
            work.adopt(record)?;
        }
        *sent = true;
        write(&tx, &mut work).await?;
        tx.ended();
        let place = Place {
            position: records.last().map_or(work.before, |record| record.position),
            digest: work.digest,
        };
        let cost = (records.len(), work.waited);
        self.shelf.put(book, place, cost, work.into_rows());
        Ok(place.position)
    }
}

fn rows_of(work: &Work) -> &Book {
    work.state.book(work.book).expect("it was made with the work")
}

/// The rows that records change.
fn named(records: &[Arc<Record>]) -> Vec<RowKey> {
    let mut rows = Vec::new();
    for record in records {
        if record.outcome.is_err() {
            continue;
        }
        for made in record.booked().iter().flat_map(|booked| &booked.moves) {
            rows.extend([RowKey::Account(made.from.id), RowKey::Account(made.to.id)]);
        }
        match &record.action {
            Action::Capture(capture) => rows.push(RowKey::Hold(capture.hold)),
            Action::Release(release) => rows.push(RowKey::Hold(release.hold)),
            Action::Expire { hold, .. } => rows.push(RowKey::Hold(*hold)),
            Action::Reverse(reverse) => rows.push(RowKey::Transaction(reverse.transaction)),
            Action::UpdateClient(change) => rows.push(RowKey::Client(change.id)),
            Action::RevokeApiKey { id } => rows.push(RowKey::ApiKey(*id)),
            Action::RotateApiKey(rotation) => rows.push(RowKey::ApiKey(rotation.old)),
            Action::UpdateCustomer(change) => rows.push(RowKey::Customer(change.id)),
            Action::SetDunning { customer, .. } => rows.push(RowKey::Customer(*customer)),
            Action::EraseCustomer { id } => rows.push(RowKey::Customer(*id)),
            Action::CreateAccount(new) => {
                let limits = new.limits.iter().map(|limit| limit.asset);
                rows.extend(limits.chain(new.currency).map(RowKey::Asset));
                // It may take the place of the primary one by a later record of these.
                rows.push(RowKey::Primary(new.owner, new.purpose));
            }
            Action::UpdateAccount(change) => {
                rows.push(RowKey::Account(change.id));
                rows.extend(change.limits.iter().map(|limit| RowKey::Asset(limit.asset)));
            }
            _ => {}
        }
    }
    rows
}

/// The places of primary accounts that accounts which were there already take over.
fn places_taken(records: &[Arc<Record>], book: &Book) -> Vec<RowKey> {
    let place = |record: &Arc<Record>| match &record.action {
        Action::UpdateAccount(change) if change.primary && record.outcome.is_ok() => {
            let account = &book.slot(change.id).ok()??.account;
            Some(RowKey::Primary(account.owner, account.purpose))
        }
        _ => None,
    };
    records.iter().filter_map(place).collect()
}
