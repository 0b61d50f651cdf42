//! Where things end: a segment in the middle of a batch, a store with commands under way, a disk that fails, a thread
//! that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, Command, HoldTerms, Micros, Position, Posting, Reverse,
    Transaction, TransactionId,
};
use store::suite::{Random, now};
use store::{AsOf, Outcome, Store, StoreError, Viewer};
use store_journal::{JournalStore, Options, create, folder};

use crate::common::{BOOK, ROOT, account, check, command, files, open, options, post, world};
use crate::stage::Stage;

const WORLD: AccountId = AccountId(1000);
const MAIN: AccountId = AccountId(1001);

fn posting(from: AccountId, to: AccountId, amount: u128) -> Posting {
    Posting {
        from,
        to,
        asset: AssetName::new("USD", None).expect("an asset"),
        amount: Amount::new(amount).expect("an amount"),
    }
}

fn transaction(id: u128, postings: Vec<Posting>) -> Transaction {
    Transaction {
        id: TransactionId(id),
        postings: postings.into(),
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    }
}

fn book(transaction: Transaction) -> Command {
    command(BOOK, Some(ROOT), transaction.id.0, Action::Post(transaction))
}

fn reversal(id: u128, of: u128, postings: u32) -> Command {
    let one = Amount::new(1).expect("an amount");
    let reverse = Reverse {
        id: TransactionId(id),
        transaction: TransactionId(of),
        parts: Some((0..postings).map(|index| (index, one)).collect()),
        force: false,
    };
    command(BOOK, Some(ROOT), id, Action::Reverse(reverse))
}

async fn all_done(store: &JournalStore, commands: Vec<Command>) {
    for (nth, answer) in store.submit(commands).await.into_iter().enumerate() {
        let done = matches!(&answer, Ok(Outcome::Recorded(record)) if record.outcome.is_ok());
        assert!(done, "command {nth}: {answer:?}");
    }
}

async fn begin(store: &JournalStore) {
    let mut commands = world();
    commands.extend((0..2).map(account));
    all_done(store, commands).await;
}

/// On a disk whose syncs can fail; nothing stops the process.
fn open_on(stage: &Stage, change: impl FnOnce(&mut Options)) -> (JournalStore, Arc<AtomicBool>) {
    let mut options = options();
    let fatal = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&fatal);
    options.on_fatal = Arc::new(move |_| told.store(true, Ordering::Release));
    change(&mut options);
    create(&stage.disk(), &options, "here").expect("a store is made");
    let store = JournalStore::open(stage.disk(), options, "here").expect("the store opens");
    (store, fatal)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_longer_than_foreseen_goes_into_the_next_segment() {
    const POSTINGS: u32 = 400;
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    begin(&store).await;
    let postings = vec![posting(WORLD, MAIN, 1_000); POSTINGS as usize];
    all_done(&store, vec![book(transaction(1, postings))]).await;
    // Each takes far more than a reversal of one posting; alone, and with others that don't fit into a segment together.
    for n in 0..60 {
        all_done(&store, vec![reversal(100 + n, 1, POSTINGS)]).await;
    }
    let many = (0..120).map(|n| reversal(200 + n, 1, POSTINGS)).collect();
    all_done(&store, many).await;
    drop(store);
    assert!(files(place.path(), "log").len() > 1, "it has several segments");
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_holds_expire_at_once_than_a_segment_takes() {
    const HOLDS: u64 = 8_000;
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    begin(&store).await;
    let amount = u128::from(HOLDS);
    all_done(
        &store,
        vec![book(transaction(1, vec![posting(WORLD, MAIN, amount)]))],
    )
    .await;
    let hold = |n: u64| {
        let mut held = transaction(u128::from(100_000 + n), vec![posting(MAIN, WORLD, 1)]);
        held.hold = Some(HoldTerms {
            expires_at: Some(Micros(1)),
        });
        book(held)
    };
    all_done(&store, (0..HOLDS).map(hold).collect()).await;
    let before = store.position(BOOK).await.expect("the book is there");
    let neighbours = |from: u64| {
        (from..from + 10).map(|n| book(transaction(u128::from(n), vec![posting(WORLD, MAIN, 1)])))
    };
    let mut commands: Vec<_> = neighbours(50_000).collect();
    // With what the neighbours bring, so that it waits for the last hold wherever a frame ends.
    commands.push(book(transaction(2, vec![posting(MAIN, WORLD, amount + 10)])));
    commands.extend(neighbours(60_000));
    all_done(&store, commands).await;
    let after = store.position(BOOK).await.expect("the book is there");
    assert_eq!(after, Position(before.0 + HOLDS + 21));
    drop(store);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_what_was_submitted_in_the_same_task() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    begin(&store).await;
    let command = book(transaction(1, vec![posting(WORLD, MAIN, 1)]));
    let (answers, closed, again) = tokio::join!(store.submit(vec![command]), store.close(), store.close());
    assert!(matches!(answers[..], [Ok(Outcome::Recorded(_))]), "{answers:?}");
    assert_eq!((closed, again), (Ok(()), Ok(())));
    let late = store.submit(world()).await;
    assert!(matches!(late[..], [Err(StoreError::Closed(_)), ..]), "{late:?}");
    assert_eq!(store.close().await, Ok(()));
}

#[tokio::test]
async fn it_closes_on_one_thread_too() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    begin(&store).await;
    assert_eq!(store.close().await, Ok(()));
    drop(store);
    // Dropped without closing, inside a runtime.
    let store = open(place.path());
    assert!(store.recovery().clean);
    drop(store);
    open(place.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_answered_that_may_be_lost() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let (store, fatal) = open_on(&stage, |_| {});
    begin(&store).await;
    let position = store.position(BOOK).await;
    stage.fail_syncs();
    let command = book(transaction(1, vec![posting(WORLD, MAIN, 1)]));
    let answers = store.submit(vec![command.clone()]).await;
    assert_eq!(answers, [Err(StoreError::UnknownFate)]);
    assert_eq!(
        store.position(BOOK).await,
        position,
        "a reader sees what is durable"
    );
    let later = store.submit(vec![command]).await;
    let refused = matches!(later[..], [Err(StoreError::Closed(_) | StoreError::UnknownFate)]);
    assert!(refused, "{later:?}");
    assert!(matches!(store.close().await, Err(StoreError::Closed(_))));
    assert!(fatal.load(Ordering::Acquire), "the process is told to stop");
    drop(store);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_of_several_frames_is_unknown_when_the_last_one_fails() {
    const COMMANDS: u64 = 100;
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let (store, _) = open_on(&stage, |options| options.cut_at = 8);
    begin(&store).await;
    let before = store.position(BOOK).await.expect("the book is there");
    let commands: Vec<_> = (1..=COMMANDS)
        .map(|id| book(transaction(id.into(), vec![posting(WORLD, MAIN, 1)])))
        .collect();
    stage.hold_syncs_back();
    let store = Arc::new(store);
    let sending = tokio::spawn({
        let (store, commands) = (Arc::clone(&store), commands.clone());
        async move { store.submit(commands).await }
    });
    stage.wait_for("hold", ".log");
    stage.fail_syncs();
    let answers = sending.await.expect("it was answered");
    assert_eq!(answers, vec![Err(StoreError::UnknownFate); COMMANDS as usize]);
    let seen = store.position(BOOK).await.expect("the book is there");
    let durable = seen.0 - before.0;
    assert!(
        (8..COMMANDS).contains(&durable),
        "{durable} are in the first frame"
    );
    drop(store);
    check(place.path()).expect("the store is good");
    // Sent again, each is there once.
    let store = open(place.path());
    for (nth, answer) in (1..).zip(store.submit(commands).await) {
        match answer {
            Ok(Outcome::Replayed(_)) => {}
            Ok(Outcome::Recorded(_)) => assert!(nth > durable, "command {nth} was durable"),
            other => panic!("command {nth}: {other:?}"),
        }
    }
    assert_eq!(store.position(BOOK).await, Ok(Position(before.0 + COMMANDS)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_a_frame_is_open_is_judged_by_the_time_of_then() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let time = Arc::new(AtomicI64::new(now().0));
    let clock = Arc::clone(&time);
    let (store, _) = open_on(&stage, |options| {
        options.clock = Arc::new(move || Micros(clock.load(Ordering::Acquire)));
    });
    begin(&store).await;
    stage.hold_syncs_back();
    let store = Arc::new(store);
    let send = |id: u128| {
        let command = Command {
            stamp: Micros(time.load(Ordering::Acquire)),
            ..book(transaction(id, vec![posting(WORLD, MAIN, 1)]))
        };
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.submit(vec![command]).await })
    };
    let first = send(1);
    stage.wait_for("hold", ".log");
    let second = send(2);
    // The second one's frame is open by now, and stays so. If not, nothing is shown, and nothing fails.
    tokio::time::sleep(Duration::from_millis(100)).await;
    time.fetch_add(10_000_000, Ordering::AcqRel);
    let third = send(3);
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.sync_again();
    for sent in [first, second, third] {
        let answers = sent.await.expect("it was answered");
        assert!(matches!(answers[..], [Ok(Outcome::Recorded(_))]), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_reads_go_on_and_writes_wait_for_space() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let time = Arc::new(AtomicI64::new(now().plus(3_600_000_000).0));
    let clock = Arc::clone(&time);
    let (store, fatal) = open_on(&stage, |options| {
        options.clock = Arc::new(move || Micros(clock.load(Ordering::Acquire)));
    });
    begin(&store).await;
    stage.be_full(true);
    let mut random = Random::new(6);
    let mut done = store.position(BOOK).await.expect("the book is there");
    loop {
        let answers = store
            .submit((0..500).map(|_| post(&mut random, 2)).collect())
            .await;
        for (nth, answer) in answers.iter().enumerate() {
            match answer {
                Ok(Outcome::Recorded(record)) => {
                    assert_eq!(record.position, done.next(), "post {nth}");
                    done = record.position;
                }
                other => assert_eq!(*other, Err(StoreError::NoSpace)),
            }
        }
        if answers.contains(&Err(StoreError::NoSpace)) {
            break;
        }
    }
    assert_eq!(store.position(BOOK).await, Ok(done), "reads go on");
    // Snapshots are made beside, and ask for themselves.
    let segments = || stage.done().iter().filter(|what| what.contains(".log")).count();
    let asked = segments();
    let many = (0..500).map(|_| post(&mut random, 2)).collect();
    assert_eq!(store.submit(many).await[0], Err(StoreError::NoSpace));
    assert_eq!(segments(), asked, "the disk is not asked again at once");
    // Down to where not even one fits.
    while store.submit(vec![post(&mut random, 2)]).await[0].is_ok() {}
    assert_eq!(store.ready().await, Err(StoreError::NoSpace));
    stage.be_full(false);
    time.fetch_add(1_000_000, Ordering::AcqRel);
    all_done(&store, vec![book(transaction(1, vec![posting(WORLD, MAIN, 1)]))]).await;
    assert_eq!(store.close().await, Ok(()));
    assert!(!fatal.load(Ordering::Acquire));
    drop(store);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_frame_takes_is_refused_alone() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let (store, _) = open_on(&stage, |options| options.log.max_frame = 16 << 10);
    begin(&store).await;
    let small = |id| book(transaction(id, vec![posting(WORLD, MAIN, 1)]));
    let large = book(transaction(2, vec![posting(WORLD, MAIN, 1); 2_000]));
    let answers = store.submit(vec![small(1), large, small(3)]).await;
    assert_eq!(answers[1], Err(StoreError::TooLarge { limit: 16 << 10 }));
    for nth in [0, 2] {
        assert!(
            matches!(answers[nth], Ok(Outcome::Recorded(_))),
            "{:?}",
            answers[nth]
        );
    }
    drop(store);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_writer_is_fatal_and_leaves_nobody_waiting() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let broken = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&broken);
    let (store, fatal) = open_on(&stage, |options| {
        options.clock = Arc::new(move || {
            assert!(!told.load(Ordering::Acquire), "the test breaks the clock");
            now()
        });
    });
    begin(&store).await;
    broken.store(true, Ordering::Release);
    let command = book(transaction(1, vec![posting(WORLD, MAIN, 1)]));
    assert_eq!(
        store.submit(vec![command.clone()]).await,
        [Err(StoreError::UnknownFate)]
    );
    let later = store.submit(vec![command]).await;
    assert!(matches!(later[..], [Err(_)]), "{later:?}");
    assert!(matches!(store.close().await, Err(StoreError::Closed(_))));
    assert!(fatal.load(Ordering::Acquire), "the process is told to stop");
    drop(store);
    // Nothing of it is left behind: neither the lock nor a thread.
    broken.store(false, Ordering::Release);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_any_more_when_the_lock_is_free() {
    let place = tempfile::tempdir().expect("a folder is made");
    let stage = Stage::new(folder(place.path(), true).expect("the folder is there"));
    let (store, _) = open_on(&stage, |options| options.snapshot_every = Some(u64::MAX));
    begin(&store).await;
    stage.hold_back(".keys.new");
    let mut random = Random::new(4);
    while !stage.saw_within("make", ".keys.new", Duration::ZERO) {
        let posts = (0..500).map(|_| post(&mut random, 2)).collect();
        assert!(store.submit(posts).await.iter().all(Result::is_ok));
    }
    let ended = std::thread::spawn(move || drop(store));
    // Wrongly early, if at all; then it has come by now.
    stage.saw_within("unlock", "", Duration::from_millis(300));
    stage.let_go();
    ended.join().expect("it ends");
    stage.wait_for("rename", ".keys");
    assert_eq!(stage.done().last().map(String::as_str), Some("unlock"));
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_history_gives_way() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    begin(&store).await;
    store.close().await.expect("it closes");
    drop(store);
    let backup = tempfile::tempdir().expect("a folder is made");
    let copy = |from: &std::path::Path, to: &std::path::Path, ending: &str| {
        for file in files(from, ending) {
            std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("it is copied");
        }
    };
    copy(place.path(), backup.path(), "log");
    copy(place.path(), backup.path(), "key");
    copy(place.path(), backup.path(), "vault");
    // The two go different ways, frame by frame; the copy is given the snapshots of the other.
    for (here, amount) in [(place.path(), 1), (backup.path(), 2)] {
        let store = open(here);
        for n in 0..20 {
            all_done(
                &store,
                vec![book(transaction(n + 1, vec![posting(WORLD, MAIN, amount)]))],
            )
            .await;
        }
        store.close().await.expect("it closes");
    }
    files(backup.path(), "snap")
        .iter()
        .for_each(|file| std::fs::remove_file(file).expect("it is removed"));
    copy(place.path(), backup.path(), "snap");
    for _ in 0..2 {
        let store = open(backup.path());
        let viewer = Viewer {
            book: BOOK,
            client: None,
        };
        let main = store.account(viewer, MAIN, AsOf::NOW).await;
        let main = main.expect("it is read").expect("it is there");
        assert_eq!(main.value.balances[0].counters.settled(), 40);
        store.close().await.expect("it closes");
        drop(store);
        let snapshots = files(backup.path(), "snap");
        assert!(!snapshots.is_empty(), "it has one of its own");
    }
    let store = open(backup.path());
    assert!(store.recovery().frames < 3, "the last snapshot serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_in_which_nothing_was_done_is_good() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    all_done(&store, world()).await;
    store.close().await.expect("it closes");
    drop(store);
    check(place.path()).expect("the store is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_a_book_that_is_not() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let nowhere = BookNo(77);
    assert_eq!(
        store.reach(nowhere, Position(1)).await,
        Err(StoreError::NoSuchBook(nowhere))
    );
}
