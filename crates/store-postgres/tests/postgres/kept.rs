//! What a server keeps between batches is never what is true no more: another server writes in between.

use ledger::{
    AccountChange, AccountId, AccountStatus, Action, Amount, ApiKeyId, AssetName, BookNo, Code, Command,
    NewApiKey, Position, Posting, Purpose, Scopes, Transaction, TransactionId,
};
use store::{AsOf, Outcome, Page, Store, StoreError, Viewer};
use store_postgres::{PostgresStore, Url};

use crate::faults::{MAIN, ROOT, WORLD, account, command, found, insist};
use crate::suite::{make_store, options};
use test_postgres::{Cluster, Database};

async fn open(database: &Database) -> PostgresStore {
    let url = Url::parse(&database.url()).expect("a URL");
    PostgresStore::open(&url, options())
        .await
        .expect("the store opens")
}

fn transfer(book: BookNo, id: u128, way: (AccountId, AccountId), amount: u128) -> Command {
    command(book, Some(ROOT), id, Action::Post(transaction(id, way, amount)))
}

fn transaction(id: u128, (from, to): (AccountId, AccountId), amount: u128) -> Transaction {
    let posting = Posting {
        from,
        to,
        asset: AssetName::parse("USD").expect("a currency"),
        amount: Amount::new(amount).expect("an amount"),
    };
    Transaction {
        id: TransactionId(id),
        postings: [posting].into_iter().collect(),
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    }
}

/// What a server answers to a transfer: the code of a refusal, if it is one.
async fn answer(store: &PostgresStore, transfer: Command) -> Option<Code> {
    let record = insist(store, transfer).await;
    record.outcome.as_ref().err().map(|rejection| rejection.code)
}

/// So many transfers, one after the other, that a server keeps rows.
async fn alone(store: &PostgresStore, book: BookNo, first: u128) {
    for id in first..first + 10 {
        assert_eq!(answer(store, transfer(book, id, (WORLD, MAIN), 1)).await, None);
    }
}

fn freeze(book: BookNo, id: u128, status: AccountStatus) -> Command {
    let change = AccountChange {
        id: MAIN,
        label: None,
        status: Some(status),
        limits: Vec::new(),
        primary: false,
        external_id: None,
        metadata: None,
    };
    command(book, Some(ROOT), id, Action::UpdateAccount(change))
}

#[test]
fn what_another_server_did_counts_at_once() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (one, other) = (open(&database).await, open(&database).await);
        let book = found(&one).await;
        alone(&one, book, 100).await;
        // The other one spends all of it: nothing is left for the first, whatever it keeps.
        assert_eq!(answer(&other, transfer(book, 200, (MAIN, WORLD), 10)).await, None);
        let refused = answer(&one, transfer(book, 201, (MAIN, WORLD), 1)).await;
        assert_eq!(refused, Some(Code::InsufficientFunds));
        alone(&one, book, 300).await;
        insist(&other, freeze(book, 400, AccountStatus::Frozen)).await;
        let refused = answer(&one, transfer(book, 401, (MAIN, WORLD), 1)).await;
        assert_eq!(refused, Some(Code::AccountFrozen));
        insist(&other, freeze(book, 402, AccountStatus::Active)).await;
        // By turns, and by turns after a while alone.
        for turn in 0..20u128 {
            let server = if turn % 3 == 0 { &other } else { &one };
            assert_eq!(
                answer(server, transfer(book, 500 + turn, (MAIN, WORLD), 1))
                    .await
                    .is_some(),
                turn >= 10,
                "ten were left"
            );
        }
        let viewer = Viewer { book, client: None };
        let main = one.account(viewer, MAIN, AsOf::NOW).await.expect("it is read");
        let main = main.expect("it is there").value;
        assert_eq!(main.balances[0].counters.settled(), 0);
        let records = one
            .records(book, Position(0), usize::MAX)
            .await
            .expect("they are read");
        let page = Page {
            limit: 100,
            after: None,
        };
        let touching = one.entries(viewer, MAIN, None, None, page).await;
        let lines = touching.expect("they are read").expect("it is there").items.len();
        let moved = records
            .iter()
            .filter(|record| !record.booked().is_empty())
            .count();
        assert_eq!(lines, moved, "each transfer is in the account's history once");
    });
}

#[test]
fn keys_that_are_looked_up_together_are_told_apart_and_are_of_now() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (one, other) = (open(&database).await, open(&database).await);
        let book = found(&one).await;
        for id in [50, 51] {
            let key = NewApiKey {
                id: ApiKeyId(id),
                client: Some(ROOT),
                label: ledger::Text::default(),
                scopes: Scopes::default(),
                secret_hash: [0; 32],
                expires_at: None,
            };
            insist(&one, command(book, Some(ROOT), id, Action::CreateApiKey(key))).await;
        }
        let look_up = |book, id: u128| one.api_key(book, ApiKeyId(id));
        for round in 0..50 {
            let nowhere = BookNo(77);
            let (first, again, second, none, no_book) = tokio::join!(
                look_up(book, 50),
                look_up(book, 50),
                look_up(book, 51),
                look_up(book, 52),
                look_up(nowhere, 50),
            );
            assert_eq!(first, again);
            let first = first.expect("it is read").expect("it is there");
            assert_eq!((first.key.id, first.root), (ApiKeyId(50), Some(ROOT)));
            assert_eq!(first.client.map(|client| client.id), Some(ROOT));
            assert_eq!(first.key.revoked_at.is_some(), round >= 25);
            let second = second.expect("it is read").expect("it is there");
            assert_eq!((second.key.id, second.key.revoked_at), (ApiKeyId(51), None));
            assert_eq!(none, Ok(None));
            assert_eq!(no_book, Err(StoreError::NoSuchBook(nowhere)));
            if round == 24 {
                let revoke = Action::RevokeApiKey { id: ApiKeyId(50) };
                insist(&other, command(book, Some(ROOT), 60, revoke)).await;
            }
        }
    });
}

#[test]
fn what_another_server_made_is_found_where_it_was_missed_before() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (one, other) = (open(&database).await, open(&database).await);
        let book = found(&one).await;
        let new = AccountId(77);
        // Each keeps what it saw, also that there is no such account.
        for (id, server) in [(100, &one), (101, &other)] {
            let missed = answer(server, transfer(book, id, (WORLD, new), 1)).await;
            assert_eq!(missed, Some(Code::AccountNotFound));
        }
        insist(
            &other,
            command(book, Some(ROOT), 102, account(new, Purpose::Wallet)),
        )
        .await;
        assert_eq!(answer(&one, transfer(book, 103, (WORLD, new), 5)).await, None);
        // More than is worth to be read: what is kept is loaded anew.
        let many = (0..600).map(|nth| {
            let way = if nth < 5 { (new, MAIN) } else { (WORLD, MAIN) };
            transfer(book, 1_000 + nth, way, 1)
        });
        other.submit(many.collect()).await;
        let refused = answer(&one, transfer(book, 2_000, (new, MAIN), 1)).await;
        assert_eq!(refused, Some(Code::InsufficientFunds));
    });
}

/// Waits until so many wait for a lock.
async fn until_waiting(database: &Database, count: usize) {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while database.try_sql(sql).expect("it is counted").trim() != count.to_string() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_was_recorded_between_looking_up_and_locking_is_found() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let (one, other) = (open(&database).await, open(&database).await);
        let book = found(&one).await;
        alone(&one, book, 100).await;
        let (locker, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls)
            .await
            .expect("it connects");
        tokio::spawn(connection);
        let lock = format!("begin; select 1 from saldo.heads where book = {book} for update");
        locker.batch_execute(&lock).await.expect("nobody has it");
        let in_batch = [501, 502].map(|id| transaction(id, (WORLD, MAIN), 1));
        let batch = Action::PostBatch(in_batch.into());
        let theirs = vec![
            transfer(book, 500, (WORLD, MAIN), 1),
            command(book, Some(ROOT), 600, batch),
        ];
        // They lock first; the other one has looked its keys and ids up by then, and found none of them.
        let ours = async {
            until_waiting(&database, 1).await;
            let ids = [500, 502, 503];
            let commands = ids.map(|id| transfer(book, id, (WORLD, MAIN), 1));
            one.submit(commands.into()).await
        };
        let release = async {
            until_waiting(&database, 2).await;
            locker.batch_execute("commit").await.expect("it is released");
        };
        let (theirs, ours, ()) = tokio::join!(other.submit(theirs), ours, release);
        let new = |outcome: &Result<Outcome, StoreError>| matches!(outcome, Ok(Outcome::Recorded(_)));
        assert!(theirs.iter().all(new), "{theirs:?}");
        let [
            Ok(Outcome::Replayed(again)),
            Ok(Outcome::Recorded(taken)),
            Ok(Outcome::Recorded(posted)),
        ] = &ours[..]
        else {
            panic!("{ours:?}");
        };
        assert!(again.outcome.is_ok() && posted.outcome.is_ok());
        let refused = taken.outcome.as_ref().err().map(|rejection| rejection.code);
        assert_eq!(refused, Some(Code::IdTaken), "a batch had it");
    });
}
