//! What happens at the same time: snapshots while books are made, readers while a batch is published.

use std::sync::Arc;

use ledger::{Action, BookNo, ClientId, Key, NewClient, Notes, Position, TransactionId};
use store::suite::{Random, env, stream};
use store::{Outcome, Store, Viewer};
use store_journal::{JournalStore, create, folder};

use crate::common::{BOOK, account, check, command, files, open, options, post, world};
use crate::stage::Stage;

const ALL: Viewer = Viewer {
    book: BOOK,
    client: None,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_is_made_while_a_snapshot_begins_is_kept() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let mut options = options();
    options.snapshot_every = Some(64 << 10);
    create(&stage.disk(), &options, "here").expect("a store is made");
    let store = JournalStore::open(stage.disk(), options, "here").expect("the store opens");
    stage.hold_back(".snap.new");
    let mut random = Random::new(1);
    let mut commands = world();
    commands.extend((0..2).map(account));
    commands.extend((0..2_000).map(|_| post(&mut random, 2)));
    store.submit(commands).await;
    stage.wait_for("make", ".snap.new");
    let client = NewClient {
        id: ClientId(2),
        parent: None,
        legal_name: ledger::Text::new(*b"Another root"),
        time_zone: "UTC".into(),
        notes: Notes::default(),
    };
    let answers = store
        .submit(vec![command(
            BookNo::OPERATOR,
            None,
            2,
            Action::CreateClient(client),
        )])
        .await;
    assert!(matches!(answers[..], [Ok(Outcome::Recorded(_))]), "{answers:?}");
    stage.let_go();
    stage.wait_for("rename", ".snap");
    drop(store);
    let report = check(place.path()).expect("the snapshot and the frames after it give the journal's state");
    assert_eq!(report.books.len(), 3);
    let store = open(place.path());
    assert_eq!(store.book_of(ClientId(2)).await, Ok(Some(BookNo(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_position_includes_is_found_by_its_id() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = Arc::new(open(place.path()));
    let mut random = Random::new(2);
    let mut commands = world();
    commands.extend((0..2).map(account));
    store.submit(commands).await;
    for _ in 0..10 {
        let before = store.position(BOOK).await.expect("the book is there");
        let commands: Vec<_> = (0..8_000).map(|_| post(&mut random, 2)).collect();
        let Key::Id(last) = commands[commands.len() - 1].key else {
            unreachable!("posts have ids")
        };
        let end = Position(before.0 + commands.len() as u64);
        let reader = {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                while store.position(BOOK).await.expect("the book is there") < end {
                    tokio::task::yield_now().await;
                }
                store.transaction(ALL, TransactionId(last.0)).await
            })
        };
        let answers = store.submit(commands).await;
        let booked = matches!(answers.last(), Some(Ok(Outcome::Recorded(record))) if record.outcome.is_ok());
        let found = reader.await.expect("the reader ends").expect("it is read");
        assert_eq!(found.is_some(), booked, "the newest of a batch");
    }
}

/// A store whose snapshots are written piece by piece, as far as the test lets them.
fn piecewise(stage: &Stage) -> JournalStore {
    let mut options = options();
    options.snapshot_every = Some(1);
    create(&stage.disk(), &options, "here").expect("a store is made");
    stage.let_write(0);
    JournalStore::open(stage.disk(), options, "here").expect("the store opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_may_be_taken_while_anything_changes() {
    let first = env("SALDO_TEST_SEED", 1);
    for seed in first..first + env("SALDO_TEST_STREAMS", 500).div_ceil(10) {
        let place = tempfile::tempdir().expect("a folder is made");
        let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
        let store = piecewise(&stage);
        let mut random = Random::new(seed);
        for batch in stream(seed, 200) {
            store.submit(batch).await;
            stage.let_write(random.below(3));
        }
        stage.let_go();
        drop(store);
        assert!(!files(place.path(), "snap").is_empty(), "there is a snapshot");
        let report = check(place.path());
        assert!(report.is_ok(), "SALDO_TEST_SEED={seed}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_may_be_made_and_moved_between_the_pieces_of_a_snapshot() {
    // More than one piece takes, and growing past the next.
    const BEFORE: u64 = 4_080;
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let store = piecewise(&stage);
    let mut random = Random::new(5);
    let mut commands = world();
    commands.extend((0..BEFORE).map(account));
    store.submit(commands).await;
    for n in 0..60 {
        let accounts = BEFORE + n;
        let mut commands: Vec<_> = (0..20).map(|_| post(&mut random, accounts)).collect();
        commands.push(account(accounts));
        commands.extend((0..20).map(|_| post(&mut random, accounts + 1)));
        let answers = store.submit(commands).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        stage.let_write(random.below(3));
    }
    stage.let_go();
    drop(store);
    check(place.path()).expect("the snapshot and the frames after it give the journal's state");
}
