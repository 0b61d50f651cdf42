//! Making and opening a store.

use ledger::{BookNo, Position};
use store::Store;
use store_postgres::{OpenError, Options, Pending, PostgresStore, Url, check, create};

use crate::suite::{make_store, options};
use test_postgres::Cluster;

fn safe() -> Options {
    let mut options = options();
    options.allow_unsafe = false;
    options
}

#[test]
fn where_no_store_is_none_is_opened() {
    store::suite::run(async {
        let database = Cluster::shared().empty();
        let url = Url::parse(&database.url()).expect("a URL");
        assert!(matches!(
            PostgresStore::open(&url, options()).await,
            Err(OpenError::NotFound)
        ));
        assert!(matches!(check(&url, &options()).await, Err(OpenError::NotFound)));
    });
}

#[test]
fn a_database_that_does_not_sync_is_refused() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let url = Url::parse(&database.url()).expect("a URL");
        assert!(matches!(
            create(&url, &safe()).await,
            Err(OpenError::Unsafe("fsync"))
        ));
        assert!(matches!(
            PostgresStore::open(&url, safe()).await,
            Err(OpenError::Unsafe("fsync"))
        ));
    });
}

#[test]
fn many_servers_that_start_at_once_make_one_store() {
    store::suite::run(async {
        let database = Cluster::shared().empty();
        let url = Url::parse(&format!("{}?prepare=off", database.url())).expect("a URL");
        let makers = (0..8).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { create(&url, &options()).await })
        });
        for maker in makers.collect::<Vec<_>>() {
            maker.await.expect("it ends").expect("the store is there");
        }
        assert_eq!(
            check(&url, &options()).await.expect("it is asked"),
            Pending(Vec::new())
        );
        let mut keys = Vec::new();
        for _ in 0..2 {
            let store = PostgresStore::open(&url, options())
                .await
                .expect("the store opens");
            keys.push(store.signing_keys().await.expect("they are read"));
            assert_eq!(store.position(BookNo::OPERATOR).await, Ok(Position(0)));
            store.close().await.expect("it closes");
        }
        assert_eq!(keys[0], keys[1], "one key signs for all servers");
    });
}
