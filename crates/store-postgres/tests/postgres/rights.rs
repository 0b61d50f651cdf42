//! What a server's user needs, as docs/postgresql.md says it.

use std::sync::Arc;

use ledger::{BookNo, Micros, Subject};
use store::suite::{env, stream};
use store::{SigningKey, Store, StoreError, TextKey};
use store_postgres::{OpenError, PostgresStore, Url, check, create};
use test_postgres::Cluster;

use crate::suite::options;

const DOCS: &str = include_str!("../../../../docs/postgresql.md");

/// The statements that the docs give to those who run Saldo.
fn statements() -> &'static str {
    let begin = DOCS.find("```sql\ncreate role").expect("the docs say it") + 7;
    let end = begin + DOCS[begin..].find("```").expect("a block ends");
    &DOCS[begin..end]
}

#[test]
fn a_server_may_add_to_the_books_and_nothing_else() {
    store::suite::run(async {
        let database = Cluster::shared().empty();
        let owner = Url::parse(&database.url()).expect("a URL");
        create(&owner, &options()).await.expect("a store is made");
        database
            .try_sql(statements())
            .expect("the docs' statements are run");
        let url = database
            .url()
            .replace("postgres://saldo@", "postgres://saldo_server@");
        let url = Url::parse(&url).expect("a URL");
        check(&url, &options()).await.expect("what is to be done is seen");

        // All kinds of commands, so that every statement that writes is run.
        let store = Arc::new(
            PostgresStore::open(&url, options())
                .await
                .expect("the store opens"),
        );
        let seed = env("SALDO_TEST_SEED", 1);
        println!("SALDO_TEST_SEED={seed}");
        let mut recorded = 0;
        for commands in stream(seed, 400) {
            for outcome in store.submit(commands).await {
                assert!(!matches!(outcome, Err(StoreError::Closed(_))), "{outcome:?}");
                recorded += usize::from(outcome.is_ok());
            }
        }
        assert!(recorded > 100, "{recorded} of 400 were taken");
        store.position(BookNo::OPERATOR).await.expect("it is read");
        assert_eq!(store.ready().await, Ok(()));
        let (subject, key) = (Subject(1 << 99), TextKey([3; 32]));
        assert_eq!(store.keep_text_keys(vec![(subject, key)]).await, Ok(vec![key]));
        assert_eq!(store.forget_text_key(subject).await, Ok(()));
        assert_eq!(store.text_keys(vec![subject]).await, Ok(vec![None]));
        let keys = store.signing_keys().await.expect("they are read");
        let new = SigningKey::new([1; 8], [2; 32], Micros(0));
        let rotated = keys.rotated(new, None).expect("one is not too many");
        let replaced = store.replace_signing_keys(keys, rotated.clone()).await;
        assert_eq!((replaced, store.signing_keys().await), (Ok(true), Ok(rotated)));
        store.close().await.expect("it closes");

        for forbidden in [
            "update saldo.commands set record = ''",
            "delete from saldo.commands",
            "delete from saldo.balances",
            "truncate saldo.entries",
            "update saldo.secrets set name = ''",
            "delete from saldo.secrets",
            "insert into saldo.secrets values ('mine', '')",
            "update saldo.vault set key = ''",
            "insert into saldo.migrations values (99, 'nothing')",
            "create table saldo.mine (id int4)",
        ] {
            let refused = database.try_sql(&format!("set role saldo_server; {forbidden}"));
            assert!(
                refused.is_err_and(|why| why.contains("permission denied")),
                "{forbidden}"
            );
        }

        // With something to change, it says who may.
        database
            .try_sql("update saldo.migrations set version = version - 1")
            .expect("it is set");
        let Err(OpenError::Database(why)) = PostgresStore::open(&url, options()).await else {
            panic!("it has changed the tables");
        };
        assert!(why.contains("saldo migrate"), "{why}");
    });
}
