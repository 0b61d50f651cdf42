//! What happens at the same time: snapshots while books are made, readers while a batch is published.

use std::sync::Arc;

use ledger::{Action, BookNo, ClientId, Key, NewClient, Notes, Position, TransactionId};
use store::suite::Random;
use store::{Outcome, Store, Viewer};
use store_journal::{JournalStore, create, folder};

use crate::common::{BOOK, account, check, command, open, options, post, world};
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
    options.snapshot_every = 64 << 10;
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
        legal_name: "Another root".into(),
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
                store.transaction(ALL, TransactionId(last)).await
            })
        };
        let answers = store.submit(commands).await;
        let booked = matches!(answers.last(), Some(Ok(Outcome::Recorded(record))) if record.outcome.is_ok());
        let found = reader.await.expect("the reader ends").expect("it is read");
        assert_eq!(found.is_some(), booked, "the newest of a batch");
    }
}
