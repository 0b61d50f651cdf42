//! What the database says no with, and what clients get to hear: nothing is lost, and service is back by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use ledger::TransactionId;
use store::{Outcome, Store, StoreError};
use store_postgres::{Options, PostgresStore, Url};
use test_postgres::{Cluster, Database};
use tokio::time::timeout;

use crate::faults::{NEVER, check, found, insist, post};
use crate::suite::{make_store, options};

/// Options with which a database that keeps refusing is soon given up.
fn hasty() -> Options {
    Options {
        deadline: Duration::from_secs(2),
        ..options()
    }
}

async fn open(database: &Database, name: &str, options: Options) -> PostgresStore {
    let url = format!("{}?application_name={name}", database.url());
    let store = PostgresStore::open(&Url::parse(&url).expect("a URL"), options).await;
    store.expect("the store opens")
}

/// Makes each command end in an error while there is one in the table.
const FAULTY: &str = "create table fault (code text, message text); \
    create function fail() returns trigger language plpgsql as $$ declare f fault; begin \
      select * into f from fault; \
      if found then raise exception using errcode = f.code, message = f.message; end if; return new; end $$; \
    create trigger faulty before insert on saldo.commands for each row execute function fail()";

#[test]
fn each_refusal_is_told_as_what_it_is() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let store = open(&database, "refusals", options()).await;
        let hasty = open(&database, "refusals", hasty()).await;
        let book = found(&store).await;
        database.try_sql(FAULTY).expect("it is made");
        let mut answered = BTreeMap::new();
        let full = "could not extend file \"base/5/16402\": No space left on device";
        for (nth, (code, message, expected)) in (1000..).zip([
            ("53100", full, StoreError::NoSpace),
            ("58030", full, StoreError::NoSpace),
            (
                "XX000",
                "could not write to file: Disk quota exceeded",
                StoreError::NoSpace,
            ),
            // Tried again until the deadline; whether the last try was done is not known by then.
            ("40001", "could not serialize access", StoreError::UnknownFate),
            (
                "25006",
                "cannot execute INSERT in a read-only transaction",
                StoreError::UnknownFate,
            ),
            ("57P01", "terminating connection", StoreError::UnknownFate),
            ("08006", "connection failure", StoreError::UnknownFate),
        ]) {
            let fault = format!("insert into fault values ('{code}', $${message}$$)");
            database.try_sql(&fault).expect("it is set");
            // Who is refused for good need not be in a hurry.
            let asked = if expected == StoreError::NoSpace {
                &store
            } else {
                &hasty
            };
            let told = timeout(NEVER, asked.submit(vec![post(book, nth)]))
                .await
                .expect("nothing hangs");
            assert_eq!(told, [Err(expected)], "{code}");
            assert!(store.position(book).await.is_ok(), "reads go on");
            database.try_sql("truncate fault").expect("it is over");
            let record = insist(&store, post(book, nth)).await;
            answered.insert(TransactionId(nth), record.position);
        }
        database
            .try_sql("insert into fault values ('42501', 'permission denied')")
            .expect("it is set");
        let told = store.submit(vec![post(book, 2000)]).await;
        assert!(
            matches!(&told[..], [Err(StoreError::Closed(why))] if why.contains("permission denied (42501)")),
            "{told:?}"
        );
        check(&store, book, &answered).await;
        hasty.close().await.expect("it closes");
        store.close().await.expect("it closes");
    });
}

fn backends(database: &Database, name: &str) -> Vec<String> {
    let sql = format!("select pid from pg_stat_activity where application_name = '{name}' order by pid");
    let pids = database.try_sql(&sql).expect("it is asked");
    pids.lines().map(str::to_owned).collect()
}

#[test]
fn connections_to_what_takes_no_writes_are_left_at_once() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let name = database.url().rsplit('/').next().expect("a name").to_owned();
        let writer = open(&database, "writer", hasty()).await;
        let book = found(&writer).await;
        // All sessions that are made from now on are read-only.
        let settings = |change| {
            let sql = format!("alter database {name} {change}");
            Cluster::shared()
                .try_sql("postgres", &sql)
                .expect("it is changed");
        };
        settings("set default_transaction_read_only = on");
        let store = open(&database, "left", hasty()).await;
        let idle = async {
            loop {
                for read in join_all((0..8).map(|_| store.position(book))).await {
                    read.expect("reads need no more");
                }
                // On a busy machine one may have served them all.
                let idle = backends(&database, "left");
                if idle.len() > 1 {
                    break idle;
                }
            }
        };
        let before = timeout(NEVER, idle).await.expect("there are idle connections");
        let told = store.submit(vec![post(book, 1000)]).await;
        assert_eq!(
            told,
            [Err(StoreError::Busy)],
            "nothing was sent that could have been done"
        );
        settings("reset default_transaction_read_only");
        // Those that were made before the change would each say no.
        let told = store.submit(vec![post(book, 1001)]).await;
        assert!(matches!(&told[..], [Ok(Outcome::Recorded(_))]), "{told:?}");
        let gone = async {
            while backends(&database, "left").iter().any(|pid| before.contains(pid)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(NEVER, gone)
            .await
            .expect("all that were made before are left");
        store.close().await.expect("it closes");
        writer.close().await.expect("it closes");
    });
}

#[test]
fn cut_connections_cost_no_answer() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let store = open(&database, "cut", options()).await;
        let book = found(&store).await;
        for nth in 1000..1010 {
            let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'cut'";
            for read in join_all((0..4).map(|_| store.position(book))).await {
                read.expect("it is read");
            }
            let (told, read, cut) = tokio::join!(
                store.submit(vec![post(book, nth)]),
                store.position(book),
                tokio::task::spawn_blocking({
                    let url = database.url();
                    move || Cluster::shared().try_sql(url.rsplit('/').next().expect("a name"), cut)
                }),
            );
            cut.expect("it ends").expect("they are cut");
            assert!(matches!(&told[..], [Ok(Outcome::Recorded(_))]), "{told:?}");
            read.expect("it is read");
        }
        store.close().await.expect("it closes");
    });
}
