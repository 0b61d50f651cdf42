//! The keys of texts: in a table of their own, which, unlike the records, forgets.

use std::collections::{BTreeMap, HashMap};

use ledger::Subject;
use store::{StoreError, TextKey};
use tokio::time::Instant;
use tokio::try_join;

use crate::error::{Failure, OpenError, corrupt};
use crate::migrate::connect;
use crate::options::{Options, Url};
use crate::rows::{self, get_id};
use crate::session::{Purpose, Transaction, ask};
use crate::store_impl::PostgresStore;

type Keys = HashMap<Subject, TextKey>;

async fn find(tx: &Transaction, subjects: &[Subject]) -> Result<Keys, Failure> {
    let ids: Vec<_> = subjects.iter().map(|subject| rows::id(subject.0)).collect();
    let sql = "select id, key from saldo.vault where id = any($1)";
    let found = tx.query(sql, &[&ids]).await?;
    found.iter().map(entry).collect()
}

fn entry(row: &tokio_postgres::Row) -> Result<(Subject, TextKey), Failure> {
    let key = row.get::<_, &[u8]>(1).try_into();
    let key = key.map_err(|_| corrupt("the key of a text has not 32 bytes"))?;
    Ok((Subject(get_id(row, 0)), TextKey(key)))
}

/// The keys of texts of the store in a database, which servers may use.
///
/// # Errors
/// When the database can't be asked.
pub async fn text_keys(url: &Url, options: &Options) -> Result<Vec<(Subject, TextKey)>, OpenError> {
    let client = connect(url, options).await?.1.client;
    let found = client
        .query_typed("select id, key from saldo.vault order by id", &[])
        .await?;
    let keys: Result<_, Failure> = found.iter().map(entry).collect();
    Ok(keys?)
}

impl PostgresStore {
    pub(crate) async fn find_text_keys(
        &self,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<TextKey>>, StoreError> {
        let subjects = &subjects;
        self.desk
            .attempt(Purpose::Alone, |tx| async move {
                let keys = find(&tx, subjects).await?;
                Ok(subjects
                    .iter()
                    .map(|subject| keys.get(subject).copied())
                    .collect())
            })
            .await
    }

    /// Keeps keys. When its fate is unknown it is done again: what is kept stays.
    pub(crate) async fn keep_keys(&self, new: Vec<(Subject, TextKey)>) -> Result<Vec<TextKey>, StoreError> {
        // In one order, so that none waits for another in a circle; the first of a subject counts.
        let mut first = BTreeMap::new();
        for (subject, key) in &new {
            first.entry(*subject).or_insert(*key);
        }
        let (first, subjects) = (
            &first,
            &new.iter().map(|(subject, _)| *subject).collect::<Vec<_>>(),
        );
        self.desk
            .attempt(Purpose::Write, |tx| async move {
                let ids: Vec<_> = first.keys().map(|subject| rows::id(subject.0)).collect();
                let keys: Vec<_> = first.values().map(|key| key.0.to_vec()).collect();
                let sql = "insert into saldo.vault (id, key) select * from unnest($1::uuid[], $2::bytea[]) \
                       on conflict do nothing returning id";
                let (made, kept) = try_join!(biased; ask!(tx, sql, ids, keys), find(&tx, subjects))?;
                if made.len() < first.len() {
                    // What is found may be from a try whose connection was lost while it waited for a standby. A commit that
                    // locked a row waits for all before it.
                    tx.query("select from saldo.heads where book = 0 for update", &[])
                        .await?;
                }
                tx.commit().await?;
                tx.ended();
                let key = |subject: &Subject| kept.get(subject).copied();
                let kept: Option<_> = subjects.iter().map(key).collect();
                // Forgotten between the two statements: a subject that is forgotten is not kept anew.
                kept.ok_or(Failure::Lasting(StoreError::Busy))
            })
            .await
    }

    /// Forgets a key, and has the database write the table anew, so that the row does not lie about in it.
    pub(crate) async fn forget_key(&self, subject: Subject) -> Result<(), StoreError> {
        let id = &rows::id(subject.0);
        self.desk
            .attempt(Purpose::Write, |tx| async move {
                tx.query("delete from saldo.vault where id = $1", &[id]).await?;
                tx.commit().await?;
                tx.ended();
                Ok(())
            })
            .await?;
        if let Err(failure) = self.rewrite_vault().await {
            // Other databases that speak PostgreSQL's protocol clean up by themselves.
            tracing::warn!(
                ?failure,
                "the table of text keys was not vacuumed; vacuum saldo.vault by hand"
            );
        }
        Ok(())
    }

    async fn rewrite_vault(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + self.desk.patience;
        let held = self.desk.pool.lend(deadline).await?;
        held.session().run("vacuum (full) saldo.vault", deadline).await
    }

    pub(crate) async fn list_text_keys(
        &self,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<(Subject, TextKey)>, StoreError> {
        let limit = &i64::try_from(limit).unwrap_or(i64::MAX);
        self.desk
            .attempt(Purpose::Alone, |tx| async move {
                let found = match after {
                    Some(after) => {
                        let sql = "select id, key from saldo.vault where id > $1 order by id limit $2";
                        tx.query(sql, &[&rows::id(after.0), limit]).await?
                    }
                    None => {
                        let sql = "select id, key from saldo.vault order by id limit $1";
                        tx.query(sql, &[limit]).await?
                    }
                };
                found.iter().map(entry).collect()
            })
            .await
    }
}
