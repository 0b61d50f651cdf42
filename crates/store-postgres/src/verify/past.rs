//! What deciding a record again needs of the records before it, looked up for many at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ledger::{
    Action, BookNo, ClientId, Hold, HoldStatus, Key, Position, Posted, Record, RowKey, State, TransactionId,
    decode,
};
use store::audit::Directory;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{Fault, asked};
use crate::rows::{self, Mention, key_hash, unpack};

/// Earlier records by what later ones name them by.
#[derive(Default)]
pub(super) struct Past {
    by_key: HashMap<(Option<ClientId>, Key), Arc<Record>>,
    booked: HashMap<TransactionId, (Arc<Record>, usize)>,
    reversals: HashMap<TransactionId, Vec<Arc<Record>>>,
    resolved: HashMap<TransactionId, Hold>,
}

/// The hold or transaction that a command is about.
pub(super) fn about(action: &Action) -> Option<TransactionId> {
    Some(match action {
        Action::Capture(capture) => capture.hold,
        Action::Release(release) => release.hold,
        Action::Expire { hold, .. } => *hold,
        Action::Reverse(reverse) => reverse.transaction,
        _ => return None,
    })
}

impl Past {
    /// Looks up what these records, which stand together in a book, need of those before the first of them.
    pub(super) async fn of(
        client: &Client,
        book: BookNo,
        records: &[Arc<Record>],
        directory: &Directory,
    ) -> Result<Self, Fault> {
        let mut past = Self::default();
        let Some(first) = records.first().map(|record| record.position) else {
            return Ok(past);
        };
        let (mut keys, mut ids, mut mentions) = (Vec::new(), BTreeSet::new(), Vec::new());
        for record in records {
            keys.push(key_hash(record.client, record.key));
            if let Key::Id(id) = record.key {
                ids.insert(TransactionId(id.0));
            }
            ids.extend(Record::clone(record).into_command().transaction_ids());
            if let Some(about) = about(&record.action) {
                ids.insert(about);
                mentions.push(Mention::Reversal(about).hash());
            }
        }
        mentions.extend(ids.iter().map(|id| Mention::Id(*id).hash()));
        let ids: Vec<_> = ids.into_iter().map(|id| rows::id(id.0)).collect();
        let sql = "select c.record from ( \
               select position from saldo.commands where book = $1 and position < $2 and key = any($3) \
               union select position from saldo.commands where book = $1 and position < $2 and id = any($4) \
               union select position from saldo.mentions where book = $1 and position < $2 and hash = any($5) \
             ) p join saldo.commands c on c.book = $1 and c.position = p.position order by c.position";
        let no = rows::book(book);
        let found = client
            .query_typed(
                sql,
                &[
                    (&no, Type::INT4),
                    (&rows::position(first), Type::INT8),
                    (&keys, Type::UUID_ARRAY),
                    (&ids, Type::UUID_ARRAY),
                    (&mentions, Type::UUID_ARRAY),
                ],
            )
            .await
            .map_err(asked)?;
        for row in &found {
            let record = decode(row.get(0), directory).map_err(|error| Fault::Wrong(error.to_string()))?;
            past.take(&Arc::new(record));
        }
        past.load_holds(client, no, first, records).await?;
        Ok(past)
    }

    /// A hold with nothing left does not change any more, so how it stands is how it stood.
    async fn load_holds(
        &mut self,
        client: &Client,
        book: i32,
        first: Position,
        records: &[Arc<Record>],
    ) -> Result<(), Fault> {
        let holds = records.iter().filter_map(|record| about(&record.action));
        let holds: Vec<_> = holds.map(|id| rows::id(id.0)).collect();
        if holds.is_empty() {
            return Ok(());
        }
        let sql = "select row from saldo.holds where book = $1 and id = any($2)";
        let params = [
            (&book as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT4),
            (&holds, Type::UUID_ARRAY),
        ];
        for row in client.query_typed(sql, &params).await.map_err(asked)? {
            // One that can't be read is found to be damaged where it was placed.
            if let Ok(hold) = unpack::<Hold>(row.get(0))
                && hold.status != HoldStatus::Held
                && hold.last < first
            {
                self.resolved.insert(hold.id, hold);
            }
        }
        Ok(())
    }

    /// Takes a record that is before all those that are asked about from now on.
    pub(super) fn take(&mut self, record: &Arc<Record>) {
        self.by_key
            .insert((record.client, record.key), Arc::clone(record));
        for (nth, booked) in record.booked().iter().enumerate() {
            self.booked.insert(booked.id, (Arc::clone(record), nth));
        }
        if let (Action::Reverse(reverse), Ok(_)) = (&record.action, &record.outcome) {
            self.reversals
                .entry(reverse.transaction)
                .or_default()
                .push(Arc::clone(record));
        }
    }

    /// Takes a hold with nothing left.
    pub(super) fn resolved(&mut self, hold: Hold) {
        self.resolved.insert(hold.id, hold);
    }

    fn posted(&self, id: TransactionId) -> Option<Posted> {
        let (record, nth) = self.booked.get(&id)?;
        let mut posted = ledger::posted(record, *nth)?;
        for reversal in self.reversals.get(&id).into_iter().flatten() {
            ledger::posted_after(&mut posted, reversal);
        }
        Some(posted)
    }

    /// Puts a row as it stands by now.
    pub(super) fn put(&self, state: &mut State, book: BookNo, row: RowKey) {
        let rows = state.book_mut(book);
        match row {
            RowKey::Key(client, key) => rows
                .keys
                .put((client, key), self.by_key.get(&(client, key)).cloned()),
            RowKey::Transaction(id) => rows.transactions.put(id, self.posted(id).map(Arc::new)),
            RowKey::Hold(id) => rows.holds.put(id, self.resolved.get(&id).cloned().map(Arc::new)),
            // Every other row is in memory, so an absent one is known to be absent.
            other => unreachable!("{other:?} is always loaded"),
        }
    }
}
