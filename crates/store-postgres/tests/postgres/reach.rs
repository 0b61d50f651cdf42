//! "At least as new as", across servers.

use futures_util::future::join_all;
use ledger::Position;
use store::{Store, StoreError};
use store_postgres::{Options, PostgresStore, Url};
use test_postgres::Cluster;

use crate::faults::{found, insist, post};
use crate::suite::{make_store, options};

#[test]
fn a_reader_waits_for_what_another_server_commits() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let url = Url::parse(&database.url()).expect("a URL");
        let open = |connections| {
            let options = Options {
                connections,
                ..options()
            };
            PostgresStore::open(&url, options)
        };
        let writer = open(4).await.expect("the store opens");
        // One connection is enough for all who wait.
        let reader = open(1).await.expect("the store opens");
        let book = found(&writer).await;
        let before = writer.position(book).await.expect("it is read");
        for round in 1..=10 {
            let wanted = Position(before.0 + round);
            let waiting = join_all((0..64).map(|_| reader.reach(book, wanted)));
            let ((), recorded) = tokio::join!(
                async {
                    for reached in waiting.await {
                        assert_eq!(reached, Ok(()));
                    }
                },
                insist(&writer, post(book, 1000 + u128::from(round)))
            );
            assert_eq!(recorded.position, wanted);
            assert!(reader.position(book).await.expect("it is read") >= wanted);
            assert_eq!(
                writer.reach(book, wanted).await,
                Ok(()),
                "what was committed here is known here"
            );
        }
        let (wanted, reached) = (Position(before.0 + 11), Position(before.0 + 10));
        for store in [&reader, &writer] {
            assert_eq!(
                store.reach(book, wanted).await,
                Err(StoreError::PositionNotReached { wanted, reached })
            );
        }
        reader.close().await.expect("it closes");
        writer.close().await.expect("it closes");
    });
}
