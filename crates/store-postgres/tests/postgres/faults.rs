//! PostgreSQL is killed under load and comes back: nothing that was answered is lost, nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, ClientId, Command, Done, Key, NewAccount, NewClient, Notes,
    Owner, Position, Posting, Purpose, Record, Subject, Transaction, TransactionId,
};
use store::suite::now;
use store::{AsOf, Outcome, Store, StoreError, TextKey, Viewer};
use store_postgres::{PostgresStore, Url};
use tokio::time::timeout;

use crate::suite::{make_store, options};
use test_postgres::{Cluster, Database};

/// How often PostgreSQL is killed.
const KILLS: usize = 4;
/// How many post at the same time.
const CLIENTS: u128 = 8;
/// How many answers must come between one kill and the next.
const ANSWERS: usize = 200;
/// No request takes longer: its deadline, and some time for a busy machine.
pub(crate) const NEVER: Duration = Duration::from_secs(20);

pub(crate) const ROOT: ClientId = ClientId(1);
pub(crate) const WORLD: AccountId = AccountId(2);
pub(crate) const MAIN: AccountId = AccountId(3);

pub(crate) fn command(book: BookNo, client: Option<ClientId>, id: u128, action: Action) -> Command {
    Command {
        book,
        client,
        key: Key::Id(id.into()),
        fingerprint: ledger::fingerprint(&action, true, &[7; 32]),
        stamp: now(),
        action,
    }
}

/// Sends a command as a client does that wants an answer: again, as long as none comes.
pub(crate) async fn insist(store: &PostgresStore, command: Command) -> Arc<Record> {
    loop {
        let mut outcomes = timeout(NEVER, store.submit(vec![command.clone()]))
            .await
            .expect("nothing hangs");
        match outcomes.remove(0) {
            Ok(Outcome::Recorded(record) | Outcome::Replayed(record)) => return record,
            Err(StoreError::Busy | StoreError::UnknownFate) => {}
            other => panic!("{command:?}: {other:?}"),
        }
    }
}

pub(crate) fn account(id: AccountId, purpose: Purpose) -> Action {
    Action::CreateAccount(NewAccount {
        id,
        owner: Owner::Client(ROOT),
        purpose,
        label: ledger::Text::new(*b""),
        currency: None,
        primary: false,
        limits: Vec::new(),
        notes: Notes::default(),
    })
}

/// A root client with an account for the world and one for itself.
pub(crate) async fn found(store: &PostgresStore) -> BookNo {
    insist(
        store,
        command(
            BookNo::OPERATOR,
            None,
            10,
            Action::Initialise { rlusd_exponent: 6 },
        ),
    )
    .await;
    let client = Action::CreateClient(NewClient {
        id: ROOT,
        parent: None,
        legal_name: ledger::Text::new(*b"Client"),
        time_zone: "UTC".into(),
        notes: Notes::default(),
    });
    let record = insist(store, command(BookNo::OPERATOR, None, ROOT.0, client)).await;
    let Ok(Done::Book(book)) = record.outcome else {
        panic!("a root client has a book: {record:?}");
    };
    for (id, purpose) in [(WORLD, Purpose::External), (MAIN, Purpose::Main)] {
        insist(store, command(book, Some(ROOT), id.0, account(id, purpose))).await;
    }
    book
}

pub(crate) fn post(book: BookNo, id: u128) -> Command {
    let posting = Posting {
        from: WORLD,
        to: MAIN,
        asset: AssetName::parse("USD").expect("a currency"),
        amount: Amount::new(1).expect("one"),
    };
    let action = Action::Post(Transaction {
        id: TransactionId(id),
        postings: [posting].into_iter().collect(),
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    });
    command(book, Some(ROOT), id, action)
}

async fn open(database: &Database) -> Arc<PostgresStore> {
    let url = Url::parse(&database.url()).expect("a URL");
    let mut options = options();
    options.allow_unsafe = false;
    Arc::new(PostgresStore::open(&url, options).await.expect("the store opens"))
}

/// Posts without end, each until it is answered; gives back where each was recorded.
async fn load(
    store: Arc<PostgresStore>,
    book: BookNo,
    client: u128,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> BTreeMap<TransactionId, Position> {
    let mut all = BTreeMap::new();
    for nth in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = (client + 1) << 64 | nth;
        let record = insist(&store, post(book, id)).await;
        all.insert(TransactionId(id), record.position);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    all
}

async fn until_more_answers(answered: &AtomicUsize) {
    let wanted = answered.load(Ordering::Relaxed) + ANSWERS;
    let more = async {
        while answered.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), more)
        .await
        .expect("service is back by itself");
}

/// What is in the book is what was answered, once each, and adds up.
pub(crate) async fn check(store: &PostgresStore, book: BookNo, answered: &BTreeMap<TransactionId, Position>) {
    let records = store
        .records(book, Position(0), usize::MAX)
        .await
        .expect("they are read");
    let positions: Vec<_> = records.iter().map(|record| record.position.0).collect();
    assert!(
        positions.into_iter().eq(1..=records.len() as u64),
        "positions have no gaps"
    );
    let booked = records
        .iter()
        .flat_map(|record| record.booked().iter().map(|booked| (booked.id, record.position)));
    let booked: Vec<_> = booked.collect();
    assert_eq!(
        booked.len(),
        answered.len(),
        "nothing twice, and nothing that nobody asked for"
    );
    assert_eq!(
        &booked.into_iter().collect::<BTreeMap<_, _>>(),
        answered,
        "nothing lost, and each where it was said"
    );
    let mut digest = [0; 32];
    for record in &records {
        let mut canonical = Vec::new();
        ledger::encode(record, &mut canonical);
        digest = blake3::keyed_hash(&digest, &canonical).into();
    }
    assert_eq!(
        store.digest(book).await,
        Ok((Position(records.len() as u64), digest))
    );
    let viewer = Viewer { book, client: None };
    let main = store
        .account(viewer, MAIN, AsOf::NOW)
        .await
        .expect("it is read")
        .expect("it is there");
    assert_eq!(main.value.balances[0].counters.settled(), answered.len() as i128);
}

#[test]
fn killed_under_load_postgres_loses_nothing_and_nothing_is_done_twice() {
    store::suite::run(async {
        let cluster = Cluster::start(&[]);
        let database = cluster.database(make_store).await;
        // Two servers on one database.
        let stores = [open(&database).await, open(&database).await];
        let book = found(&stores[0]).await;
        let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let clients = (0..CLIENTS).map(|client| {
            let store = Arc::clone(&stores[(client % 2) as usize]);
            tokio::spawn(load(
                store,
                book,
                client,
                Arc::clone(&answered),
                Arc::clone(&stop),
            ))
        });
        let clients: Vec<_> = clients.collect();
        for _ in 0..KILLS {
            until_more_answers(&answered).await;
            cluster.kill();
        }
        until_more_answers(&answered).await;
        stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for client in clients {
            all.append(&mut client.await.expect("a client ends"));
        }
        for store in &stores {
            check(store, book, &all).await;
            store.close().await.expect("a store closes");
        }
    });
}

/// A try that lost its connection while it waited for the standby left the key for all to see. Whoever finds it there is not told
/// that it is kept before the standby has it: with the primary it would be lost, and with it all that was sealed under it.
#[test]
fn a_key_is_kept_only_once_the_standby_has_it() {
    store::suite::run(async {
        let primary = Cluster::start_on_tcp(&[]);
        let database = primary.database(make_store).await;
        let standby = primary.synchronous_standby(&[]);
        let store = open(&database).await;
        let new = vec![(Subject(7), TextKey([7; 32]))];
        let down = standby.keep_down();
        // Its processes outlive the first of them for a moment, and answer.
        while database
            .try_sql("select count(*) from pg_stat_replication")
            .as_deref()
            != Ok("0")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let keeping = {
            let (store, new) = (Arc::clone(&store), new.clone());
            tokio::spawn(async move { store.keep_text_keys(new).await })
        };
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        while database.try_sql("select count(*) from saldo.vault").as_deref() != Ok("1") {
            database.try_sql(end).expect("it runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(keeping.await.expect("it ends"), Err(StoreError::Busy));
        assert_eq!(store.keep_text_keys(new.clone()).await, Err(StoreError::Busy));
        drop(down);
        let kept = timeout(NEVER, store.keep_text_keys(new)).await;
        assert_eq!(kept, Ok(Ok(vec![TextKey([7; 32])])));
        store.close().await.expect("it closes");
    });
}
