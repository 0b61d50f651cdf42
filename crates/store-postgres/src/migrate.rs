//! Making and changing the tables, under a lock that only those who do that take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::connect::{Connector, Line};
use crate::error::{Failure, OpenError, describe};
use crate::options::{Options, Url};

/// What is done to the tables, in order. What was released is not changed any more.
const MIGRATIONS: [(&str, &str); 1] = [("books", include_str!("migrations/0001_books.sql"))];

/// The tables that the others are made under.
const LOCK: &str = "create schema if not exists saldo; \
    create table if not exists saldo.migration_lock (id int4 primary key); \
    create table if not exists saldo.migrations \
      (version int4 primary key, name text not null, applied_at timestamptz not null default now()); \
    insert into saldo.migration_lock values (1) on conflict do nothing";

/// So many servers may start at the same moment and get in each other's way.
const TRIES: usize = 20;

/// What is yet to be done to a database's tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending(pub Vec<&'static str>);

/// How long the tables may take to be changed: large ones do.
const CHANGING: Duration = Duration::from_secs(60 * 60);

/// A connection, checked: the database keeps what it says it keeps.
pub(crate) async fn connect(url: &Url, options: &Options) -> Result<(Arc<Connector>, Line), OpenError> {
    let connector = Connector::new(url)?;
    let connecting = connector.connect(Instant::now() + options.deadline).await;
    let line = connecting.map_err(|refused| OpenError::Database(refused.why))?;
    in_time(options.deadline, check_settings(&line.client, options)).await?;
    Ok((connector, line))
}

/// What a database that has fallen silent answers, after a while.
pub(crate) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    let late = |_| OpenError::Database("it does not answer any more".into());
    timeout(limit, work).await.map_err(late)?
}

async fn check_settings(client: &Client, options: &Options) -> Result<(), OpenError> {
    // What a distributed database doesn't know, it can't have switched off.
    let sql = "select current_setting('server_version_num', true), current_setting('server_version', true), \
               current_setting('fsync', true), current_setting('synchronous_commit', true)";
    let row = client.query_typed(sql, &[]).await?;
    let setting = |column: usize| row.first().and_then(|row| row.get::<_, Option<String>>(column));
    if setting(0)
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|number| number < 150_000)
    {
        return Err(OpenError::TooOld(setting(1).unwrap_or_default()));
    }
    for (column, name) in [(2, "fsync"), (3, "synchronous_commit")] {
        if setting(column).as_deref() == Some("off") && !options.allow_unsafe {
            return Err(OpenError::Unsafe(name));
        }
    }
    Ok(())
}

/// The version that the tables are of; `None` when there are none.
async fn version(client: &Client) -> Result<Option<i32>, OpenError> {
    let there = client
        .query_typed("select to_regclass('saldo.migrations') is not null", &[])
        .await?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let rows = client
        .query_typed("select max(version) from saldo.migrations", &[])
        .await?;
    Ok(rows.first().and_then(|row| row.get(0)))
}

fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("there are few")
}

/// What is yet to be done, from the version on.
fn pending(version: Option<i32>) -> Result<Pending, OpenError> {
    let found = version.unwrap_or(0);
    if found > known() {
        return Err(OpenError::TooNew {
            found,
            known: known(),
        });
    }
    let done = usize::try_from(found).unwrap_or_default();
    Ok(Pending(
        MIGRATIONS[done..].iter().map(|(name, _)| *name).collect(),
    ))
}

/// What is yet to be done to the tables of a store.
///
/// # Errors
/// When there is no store, or it can't be asked.
pub async fn check(url: &Url, options: &Options) -> Result<Pending, OpenError> {
    let (_, line) = connect(url, options).await?;
    match in_time(options.deadline, version(&line.client)).await? {
        None => Err(OpenError::NotFound),
        found => pending(found),
    }
}

/// Does what is yet to be done. Where there is no store, one is made if `create` says so.
pub(crate) async fn migrate(client: &Client, create: bool, options: &Options) -> Result<(), OpenError> {
    let found = in_time(options.deadline, version(client)).await?;
    if found.is_none() && !create {
        return Err(OpenError::NotFound);
    }
    if pending(found)?.0.is_empty() {
        return Ok(());
    }
    in_time(CHANGING, insist(client)).await
}

async fn insist(client: &Client) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_migrate(client).await {
            Err(error) if tries < TRIES && is_race(&error) => {
                let _ = client.batch_execute("rollback").await;
            }
            Err(error) => return Err(OpenError::Database(describe(&error))),
            Ok(()) => return Ok(()),
        }
    }
}

/// Whether another server did the same at the same moment: `if not exists` does not look far enough ahead.
fn is_race(error: &tokio_postgres::Error) -> bool {
    let races = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    let internal = error
        .as_db_error()
        .is_some_and(|error| error.message().contains("concurrently updated"));
    internal || error.code().is_some_and(|code| races.contains(code))
}

async fn try_migrate(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(LOCK).await?;
    client
        .batch_execute("begin; set local statement_timeout = 0; select 1 from saldo.migration_lock where id = 1 for update")
        .await?;
    let done = client
        .query_typed("select coalesce(max(version), 0) from saldo.migrations", &[])
        .await?;
    let done: i32 = done.first().map_or(0, |row| row.get(0));
    for (version, (name, sql)) in (1..)
        .zip(MIGRATIONS)
        .skip(usize::try_from(done).unwrap_or_default())
    {
        client.batch_execute(sql).await?;
        let noted = format!("insert into saldo.migrations (version, name) values ({version}, '{name}')");
        client.batch_execute(&noted).await?;
    }
    client.batch_execute("commit").await
}

/// The secret that signs tokens; made when there is none.
pub(crate) async fn signing_key(client: &Client) -> Result<[u8; 32], OpenError> {
    let read = "select value from saldo.secrets where name = 'signing key'";
    let mut fresh = vec![0; 32];
    getrandom::fill(&mut fresh).map_err(|error| OpenError::Random(error.to_string()))?;
    let make = "insert into saldo.secrets values ('signing key', $1) on conflict do nothing";
    if client.query_typed(read, &[]).await?.is_empty() {
        client
            .query_typed(make, &[(&fresh, tokio_postgres::types::Type::BYTEA)])
            .await?;
    }
    let rows = client.query_typed(read, &[]).await?;
    let key = rows
        .first()
        .and_then(|row| row.get::<_, Vec<u8>>(0).try_into().ok());
    key.ok_or_else(|| {
        Failure::from(store::StoreError::Corrupt(
            "the signing key has not 32 bytes".into(),
        ))
        .into()
    })
}
