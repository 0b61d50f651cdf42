//! A byte that is changed in a file of a store is found, with its file and place; and what can be made again is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{Position, Subject};
use store::suite::Random;
use store::{Store, TextKey};
use store_journal::JournalStore;

use crate::common::{BOOK, account, check, files, open, post, world};

/// A store of several segments, with snapshots, runs and keys of texts; it is closed.
async fn well_used(place: &Path) {
    let store = open(place);
    fill(&store).await;
    let keys = (1..=100).map(|no| (Subject(no), TextKey([7; 32]))).collect();
    store.keep_text_keys(keys).await.expect("they are kept");
    store.close().await.expect("it closes");
    drop(store);
    assert!(files(place, "log").len() > 3, "it has several segments");
    assert!(files(place, "keys").len() > 1, "and runs");
    assert_eq!(files(place, "snap").len(), 2);
}

async fn fill(store: &JournalStore) {
    let mut commands = world();
    commands.extend((0..20).map(account));
    assert!(store.submit(commands).await.iter().all(Result::is_ok));
    let mut random = Random::new(11);
    for _ in 0..40 {
        let posts = (0..500).map(|_| post(&mut random, 20)).collect();
        assert!(store.submit(posts).await.iter().all(Result::is_ok));
    }
}

/// What is found when one bit of a file is another.
fn found(place: &Path, file: &Path, at: usize) -> String {
    let whole = std::fs::read(file).expect("it is read");
    let mut flipped = whole.clone();
    flipped[at] ^= 0x20;
    std::fs::write(file, &flipped).expect("it is written");
    let report = check(place);
    assert_eq!(
        std::fs::read(file).expect("it is read"),
        flipped,
        "it is left as it is"
    );
    std::fs::write(file, &whole).expect("it is written");
    report
        .expect_err(&format!("byte {at} of {} was flipped", file.display()))
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_each_kind_of_file() {
    let place = tempfile::tempdir().expect("a folder is made");
    let path = place.path();
    well_used(path).await;
    let good = check(path).expect("it is good");
    let mut random = Random::new(12);
    for ending in ["log", "keys", "snap", "vault", "key"] {
        let all = files(path, ending);
        for nth in 0..all.len() * 3 {
            let file = &all[nth % all.len()];
            let name = file.file_name().expect("a name").to_string_lossy();
            let bytes = std::fs::read(file).expect("it is read");
            let used = bytes.iter().rposition(|byte| *byte != 0).expect("not only zeros") + 1;
            // The last frame and the last group of keys can't be told from torn ones; an unused segment has its header alone.
            let end = match ending {
                "log" if Some(file) == all.last() => 64,
                "log" if nth % all.len() + 2 == all.len() => used.saturating_sub(64).max(64),
                "vault" => 32,
                _ => used,
            };
            let at = usize::try_from(random.below(end as u64)).expect("small");
            let said = found(path, file, at);
            assert!(said.contains(&*name), "byte {at} of {name}: {said}");
            let has_place = matches!(ending, "log" | "snap");
            assert!(
                !has_place || said.contains("byte "),
                "byte {at} of {name}: {said}"
            );
        }
    }
    assert_eq!(check(path).expect("it is good again"), good);
    // The unused rest of a segment counts, too.
    let first = &files(path, "log")[0];
    let said = found(path, first, std::fs::read(first).expect("it is read").len() - 1);
    assert!(said.contains("00000001.log, byte 1048575"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_made_again_and_one_of_another_segment_is_found() {
    let place = tempfile::tempdir().expect("a folder is made");
    let (path, other) = (place.path(), tempfile::tempdir().expect("a folder is made"));
    well_used(path).await;
    for file in files(path, "log")
        .iter()
        .chain(&files(path, "key"))
        .chain(&files(path, "vault"))
    {
        std::fs::copy(file, other.path().join(file.file_name().expect("a name"))).expect("it is copied");
    }
    check(other.path()).expect("it is good without all that is derived");
    let store = open(other.path());
    store.close().await.expect("it closes");
    drop(store);
    let (run, again) = (&files(path, "keys")[0], &files(other.path(), "keys")[0]);
    assert_eq!(
        std::fs::read(run).ok(),
        std::fs::read(again).ok(),
        "it is made again as it was"
    );
    let swapped = std::fs::read(&files(path, "keys")[1]).expect("it is read");
    std::fs::write(run, swapped).expect("it is written");
    let said = check(path).expect_err("it is the other segment's").to_string();
    assert!(said.contains("00000001.keys"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_is_checked_as_of_what_is_there() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = Arc::new(open(place.path()));
    let mut commands = world();
    commands.extend((0..20).map(account));
    assert!(store.submit(commands).await.iter().all(Result::is_ok));
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut random = Random::new(13);
            while !stop.load(Ordering::Acquire) {
                let posts = (0..50).map(|_| post(&mut random, 20)).collect();
                assert!(store.submit(posts).await.iter().all(Result::is_ok));
            }
        })
    };
    let mut checks = 0;
    // Until segments were filled while it was checked.
    while files(place.path(), "log").len() < 4 || checks < 10 {
        let before = store.position(BOOK).await.expect("the book is there");
        let path = place.path().to_owned();
        let report = tokio::task::spawn_blocking(move || check(&path))
            .await
            .expect("it ends");
        let report = report.expect("the store is good");
        let after = store.position(BOOK).await.expect("the book is there");
        let position = report
            .books
            .iter()
            .find(|(no, ..)| *no == BOOK)
            .map_or(Position(0), |book| book.1);
        assert!(
            (before..=after).contains(&position),
            "{before} {position} {after}"
        );
        assert_eq!(report.bytes_cut, 0);
        checks += 1;
    }
    stop.store(true, Ordering::Release);
    writing.await.expect("it ends");
    store.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_is_named() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    assert!(store.submit(world()).await.iter().all(Result::is_ok));
    let operator = vec![(Subject::OPERATOR, TextKey([1; 32]))];
    store.keep_text_keys(operator).await.expect("it is kept");
    let keyless = check(place.path()).expect("it is good").keyless;
    assert_eq!(keyless, [(BOOK, crate::common::ROOT.into())]);
}
