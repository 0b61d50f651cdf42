//! A database that does not answer: nothing hangs, and service is back when it answers again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{AccountId, BookNo, Position, TransactionId};
use store::{AsOf, Store, StoreError, Viewer};
use store_postgres::{OpenError, Options, PostgresStore, Url, create};
use test_postgres::{Cluster, Database};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::faults::{NEVER, check, found, insist, post};
use crate::proxy::Proxy;
use crate::suite::{make_store, options};

fn impatient() -> Options {
    Options {
        deadline: Duration::from_secs(4),
        patience: Duration::from_secs(3),
        ..options()
    }
}

/// A port where connections are made, by the system, and nobody takes them.
async fn black_hole() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port is free")
}

async fn proxied(database: &Database) -> (Proxy, String) {
    let cluster = Cluster::shared();
    let proxy = Proxy::start(cluster.folder().join(".s.PGSQL.5432")).await;
    let name = database.url().rsplit('/').next().expect("a name").to_owned();
    (proxy, name)
}

#[test]
fn who_never_answers_is_not_waited_for() {
    store::suite::run(async {
        let hole = black_hole().await;
        let url = format!(
            "postgres://saldo@{}/saldo",
            hole.local_addr().expect("an address")
        );
        let url = Url::parse(&url).expect("a URL");
        let made = timeout(NEVER, create(&url, &impatient()))
            .await
            .expect("nothing hangs");
        let Err(OpenError::Database(why)) = made else {
            panic!("a black hole is no database");
        };
        assert!(why.contains("did not answer in time"), "{why}");
    });
}

#[test]
fn a_host_that_never_answers_takes_no_time_from_the_next() {
    store::suite::run(async {
        let hole = black_hole().await.local_addr().expect("an address").port();
        let hole_listens = TcpListener::bind(("127.0.0.1", hole))
            .await
            .expect("it was just free");
        let database = Cluster::shared().database(make_store).await;
        let (proxy, name) = proxied(&database).await;
        let text = format!(
            "postgres://saldo@127.0.0.1:{hole},{}/{name}?connect_timeout=3",
            proxy.address()
        );
        let url = Url::parse(&text).expect("a URL");
        let opening = PostgresStore::open(&url, options());
        let store = timeout(NEVER, opening)
            .await
            .expect("nothing hangs")
            .expect("the second host is there");
        found(&store).await;
        store.close().await.expect("it closes");
        drop(hole_listens);
    });
}

#[test]
fn silence_is_answered_in_time_and_service_is_back_after_it() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (proxy, name) = proxied(&database).await;
        let url = Url::parse(&format!("postgres://saldo@{}/{name}", proxy.address())).expect("a URL");
        let store = PostgresStore::open(&url, impatient())
            .await
            .expect("the store opens");
        let store = Arc::new(store);
        let book = found(&store).await;
        let mut answered = BTreeMap::new();
        for round in 0..2u128 {
            let id = |nth: u128| 1000 * (round + 1) + nth;
            // Many at once, so that there are idle connections, all of which will be silent.
            let reads = (0..8).map(|_| store.position(book));
            for read in futures_util::future::join_all(reads).await {
                read.expect("it is read");
            }
            for nth in 0..4 {
                answered.insert(
                    TransactionId(id(nth)),
                    insist(&store, post(book, id(nth))).await.position,
                );
            }
            proxy.fall_silent();
            answers_in_time(&store, book, id(4)).await;
            proxy.speak();
            // What nobody knows the fate of is sent again, as clients do.
            answered.insert(
                TransactionId(id(4)),
                insist(&store, post(book, id(4))).await.position,
            );
        }
        check(&store, book, &answered).await;
        store.close().await.expect("it closes");
    });
}

/// All that can be asked is answered while the database is silent.
async fn answers_in_time(store: &PostgresStore, book: BookNo, id: u128) {
    let viewer = Viewer { book, client: None };
    let all = async {
        tokio::join!(
            store.submit(vec![post(book, id)]),
            store.account(viewer, AccountId(3), AsOf::NOW),
            store.reach(book, Position(1_000_000)),
        )
    };
    let (written, read, reached) = timeout(NEVER, all).await.expect("nothing hangs");
    assert!(
        matches!(written[..], [Err(StoreError::Busy | StoreError::UnknownFate)]),
        "{written:?}"
    );
    assert_eq!(read.err(), Some(StoreError::Busy));
    assert!(
        matches!(
            reached,
            Err(StoreError::Busy | StoreError::PositionNotReached { .. })
        ),
        "{reached:?}"
    );
}

#[test]
fn a_store_that_falls_silent_while_it_opens_is_given_up() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (proxy, name) = proxied(&database).await;
        let url = Url::parse(&format!("postgres://saldo@{}/{name}", proxy.address())).expect("a URL");
        // A lock on what opening reads is as good as silence, and comes after the connection is made.
        let locked = database.url();
        let (client, connection) = tokio_postgres::connect(&locked, tokio_postgres::NoTls)
            .await
            .expect("it connects");
        tokio::spawn(connection);
        client
            .batch_execute("begin; lock table saldo.secrets in access exclusive mode")
            .await
            .expect("it is locked");
        let opened = timeout(NEVER, PostgresStore::open(&url, impatient()))
            .await
            .expect("nothing hangs");
        let Err(OpenError::Database(why)) = opened else {
            panic!("what is not answered is not opened");
        };
        assert!(why.contains("does not answer"), "{why}");
        client.batch_execute("rollback").await.expect("it is unlocked");
        let store = PostgresStore::open(&url, options())
            .await
            .expect("the store opens");
        found(&store).await;
        store.close().await.expect("it closes");
    });
}
