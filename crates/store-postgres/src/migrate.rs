//! Making and changing the tables, under a lock that only those who do that take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::connect::{Connector, Line};
use crate::error::{OpenError, describe};
use crate::options::{Options, Url};

/// What is done to the tables, in order: each step's name and statements.
pub(crate) type Steps = &'static [(&'static str, &'static str)];

/// The steps up to this version. What was released is not changed any more.
pub(crate) const STEPS: Steps = &[
    (
        "books by keyed digests",
        include_str!("migrations/0001_books.sql"),
    ),
    ("space", include_str!("migrations/0002_space.sql")),
];

/// The tables that the others are made under.
const LOCK: &str = "create schema if not exists saldo; \
    create table if not exists saldo.migration_lock (id int4 primary key); \
    create table if not exists saldo.migrations \
      (version int4 primary key, name text not null, applied_at timestamptz not null default now()); \
    insert into saldo.migration_lock values (1) on conflict do nothing";

/// So many servers may start at the same moment and get in each other's way.
const TRIES: usize = 20;

/// What is yet to be done to a database's tables.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
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

/// The version that the tables are of; `None` when there are none. Tables that began with another step are not read.
async fn version(client: &Client, steps: Steps) -> Result<Option<i32>, OpenError> {
    let there = client
        .query_typed("select to_regclass('saldo.migrations') is not null", &[])
        .await?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let first = steps.first().map(|(name, _)| *name);
    let rows = client
        .query_typed(
            "select max(version), coalesce(bool_or(name = $1), true) from saldo.migrations",
            &[(&first, Type::TEXT)],
        )
        .await?;
    match rows.first() {
        Some(row) if !row.get::<_, bool>(1) => Err(OpenError::Unreleased),
        found => Ok(found.and_then(|row| row.get(0))),
    }
}

/// What is yet to be done, from the version on.
fn pending(steps: Steps, version: Option<i32>) -> Result<Pending, OpenError> {
    let found = version.unwrap_or(0);
    let known = i32::try_from(steps.len()).expect("there are few");
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    let done = usize::try_from(found).unwrap_or_default();
    Ok(Pending(steps[done..].iter().map(|(name, _)| *name).collect()))
}

/// What is yet to be done to the tables of a store.
///
/// # Errors
/// When there is no store, or it can't be asked.
pub async fn check(url: &Url, options: &Options) -> Result<Pending, OpenError> {
    let (_, line) = connect(url, options).await?;
    match in_time(options.deadline, version(&line.client, STEPS)).await? {
        None => Err(OpenError::NotFound),
        found => pending(STEPS, found),
    }
}

/// Brings the tables of a store up to date; says what was done.
///
/// # Errors
/// When there is no store, or it can't be changed.
pub async fn migrate(url: &Url, options: &Options) -> Result<Pending, OpenError> {
    let (_, line) = connect(url, options).await?;
    bring_up_to_date(&line.client, STEPS, false, options).await
}

/// Does what is yet to be done. Where there is no store, one is made if `create` says so.
pub(crate) async fn bring_up_to_date(
    client: &Client,
    steps: Steps,
    create: bool,
    options: &Options,
) -> Result<Pending, OpenError> {
    let found = in_time(options.deadline, version(client, steps)).await?;
    if found.is_none() && !create {
        return Err(OpenError::NotFound);
    }
    let pending = pending(steps, found)?;
    if !pending.0.is_empty() {
        in_time(CHANGING, insist(client, steps)).await?;
    }
    Ok(pending)
}

async fn insist(client: &Client, steps: Steps) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(error) = try_migrate(client, steps).await else {
            return Ok(());
        };
        let _ = client.batch_execute("rollback").await;
        if tries < TRIES && is_race(&error) {
            continue;
        }
        let mut why = describe(&error);
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            why += "; its tables are to be changed: run `saldo migrate` as the user who made them";
        }
        return Err(OpenError::Database(why));
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

async fn try_migrate(client: &Client, steps: Steps) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(LOCK).await?;
    client
        .batch_execute("begin; set local statement_timeout = 0; select 1 from saldo.migration_lock where id = 1 for update")
        .await?;
    let done = client
        .query_typed("select coalesce(max(version), 0) from saldo.migrations", &[])
        .await?;
    let done: i32 = done.first().map_or(0, |row| row.get(0));
    for (version, (name, sql)) in (1..).zip(steps).skip(usize::try_from(done).unwrap_or_default()) {
        client.batch_execute(sql).await?;
        let noted = format!("insert into saldo.migrations (version, name) values ({version}, '{name}')");
        client.batch_execute(&noted).await?;
    }
    client.batch_execute("commit").await
}

#[cfg(test)]
mod tests {
    use ledger::Micros;
    use test_postgres::Cluster;

    use super::*;

    const FIRST: (&str, &str) = ("first", "create table saldo.first (id int4 primary key)");
    const SECOND: (&str, &str) = ("second", "alter table saldo.first add column name text");
    const BROKEN: (&str, &str) = ("broken", "create table saldo.half (id int4); select nothing");

    #[test]
    fn each_step_is_done_once_whole_and_in_order() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let database = Cluster::shared().empty();
            let url = Url::parse(&database.url()).expect("a URL");
            let mut options = Options::new(Arc::new(|| Micros(0)));
            options.allow_unsafe = true;
            let (_, line) = connect(&url, &options).await.expect("it connects");
            let run = |steps, create| bring_up_to_date(&line.client, steps, create, &options);

            assert!(
                matches!(run(&[FIRST], false).await, Err(OpenError::NotFound)),
                "none is made by itself"
            );
            assert_eq!(
                run(&[FIRST], true).await.expect("it is made"),
                Pending(vec!["first"])
            );
            assert_eq!(run(&[FIRST], true).await.expect("it is there"), Pending(vec![]));
            let before = version(&line.client, &[FIRST]).await.expect("it is asked");
            assert_eq!(
                pending(&[FIRST, SECOND], before).expect("it is older"),
                Pending(vec!["second"])
            );
            // One that fails leaves nothing behind, and the next attempt begins with it.
            assert!(run(&[FIRST, BROKEN], false).await.is_err());
            let half = database
                .try_sql("select to_regclass('saldo.half') is null")
                .expect("it is asked");
            assert_eq!(
                (
                    half.as_str(),
                    version(&line.client, &[FIRST]).await.expect("it is asked")
                ),
                ("t", before)
            );
            assert_eq!(
                run(&[FIRST, SECOND], false).await.expect("it is done"),
                Pending(vec!["second"])
            );
            database
                .try_sql("select name from saldo.first")
                .expect("the column is there");
            let other = run(&[("other", FIRST.1), SECOND], false).await;
            assert!(matches!(other, Err(OpenError::Unreleased)), "{other:?}");
            // An older program does not touch what a newer one made.
            let older = run(&[FIRST], false).await;
            assert!(
                matches!(older, Err(OpenError::TooNew { found: 2, known: 1 })),
                "{older:?}"
            );
        });
    }
}
