//! Opening again, after all sorts of ends: what was answered is there, and memory is what the journal gives.

use ledger::Position;
use store::suite::Random;
use store::{Outcome, Store};
use store_journal::JournalStore;

use crate::common::{BOOK, account, check, files, open, post, world};

const ACCOUNTS: u64 = 50;

/// Fills a store with accounts and movements at once, in small batches; answers how many records it has.
async fn fill(store: &JournalStore, seed: u64, batches: u64) -> Position {
    let mut random = Random::new(seed);
    store
        .submit(world())
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    for batch in 0..batches {
        let accounts = (2 + batch).min(ACCOUNTS);
        let new = if batch == 0 { 0..2 } else { accounts - 1..accounts };
        let mut commands: Vec<_> = new
            .filter(|n| batch < ACCOUNTS - 2 || *n < 2)
            .map(account)
            .collect();
        commands.extend((0..20).map(|_| post(&mut random, accounts)));
        for answer in store.submit(commands).await {
            assert!(
                matches!(answer, Ok(Outcome::Recorded(_) | Outcome::Replayed(_))),
                "{answer:?}"
            );
        }
    }
    store.position(BOOK).await.expect("the book is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_closing_loses_nothing() {
    for seed in 0..10 {
        let place = tempfile::tempdir().expect("a folder is made");
        let store = open(place.path());
        let position = fill(&store, seed, 60).await;
        let digest = store.digest(BOOK).await;
        drop(store);
        // What opening rebuilds from a snapshot taken in the middle is what the whole journal gives.
        let report = check(place.path()).expect("the store is good");
        assert_eq!(report.books[1].1, position);
        let store = open(place.path());
        assert_eq!(store.digest(BOOK).await, digest);
        assert_eq!(store.position(BOOK).await, Ok(position));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_positions_gets_no_records() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let position = fill(&store, 1, 2).await;
    let mut random = Random::new(2);
    let commands = (0..20).map(|_| post(&mut random, 2)).collect();
    let answers = store.submit_briefly(commands).await;
    let accepted = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Outcome::Accepted(at)) if *at > position));
    assert!(accepted.count() > 0, "{answers:?}");
    let refused = |answer: &_| matches!(answer, Ok(Outcome::Recorded(record)) if record.outcome.is_err());
    let is_either = |answer: &_| matches!(answer, Ok(Outcome::Accepted(_))) || refused(answer);
    assert!(answers.iter().all(is_either), "{answers:?}");
}

fn digest(report: &store_journal::Report) -> [u8; 32] {
    let book = report.books.iter().find(|(no, ..)| *no == BOOK);
    book.expect("the book is there").2
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_runs_are_disposable() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    fill(&store, 1, 800).await;
    store.close().await.expect("it closes");
    drop(store);
    assert!(
        files(place.path(), "log").len() > 2,
        "the log has several segments"
    );
    assert!(!files(place.path(), "snap").is_empty(), "there is a snapshot");
    let good = check(place.path()).expect("the store is good");
    for ending in ["snap", "keys"] {
        for file in files(place.path(), ending) {
            let mut bytes = std::fs::read(&file).expect("it is read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&file, bytes).expect("it is written");
        }
        check(place.path()).expect_err("the damage is found");
        let store = open(place.path());
        assert_eq!(
            store.digest(BOOK).await.expect("it opens all the same").1,
            digest(&good)
        );
        drop(store);
        files(place.path(), ending)
            .iter()
            .for_each(|file| std::fs::remove_file(file).expect("it is removed"));
        let without = check(place.path()).expect("it is good without them");
        assert_eq!(without.books, good.books);
        drop(open(place.path()));
        assert_eq!(
            check(place.path()).expect("they are made again").books,
            good.books
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_with_its_place() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    fill(&store, 2, 40).await;
    store.close().await.expect("it closes");
    drop(store);
    let log = &files(place.path(), "log")[0];
    let good = std::fs::read(log).expect("it is read");
    let end = good.iter().rposition(|byte| *byte != 0).expect("it has frames");
    let mut random = Random::new(3);
    for _ in 0..60 {
        // Not in the segment's unused tail, and not in the reserved zero bytes of its header, which are checked apart.
        let at = 64 + usize::try_from(random.below(end as u64 - 64)).expect("small");
        let mut bytes = good.clone();
        bytes[at] ^= 1 << random.below(8);
        std::fs::write(log, &bytes).expect("it is written");
        let found = check(place.path()).expect_err("the damage is found").to_string();
        assert!(
            found.contains("00000001.log") || found.contains("segment 1"),
            "byte {at}: {found}"
        );
    }
    std::fs::write(log, &good).expect("it is written");
    check(place.path()).expect("the store is good again");
}
