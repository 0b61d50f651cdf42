//! What a store promises, each promise in a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::{
    AccountId, Action, BookNo, ClientId, Code, Command, Key, Position, Purpose, Record, Reverse,
    TransactionId,
};

use super::scene::{Scene, code};
use super::{Backend, Random, now};
use crate::{AccountFilter, AsOf, Outcome, Page, SigningKey, SigningKeys, StoreError, TransactionFilter};

/// How much the tests with many tasks do.
const TASKS: usize = 8;

async fn scene<B: Backend>(backend: &B, place: &B::Place) -> Scene {
    Scene::new(backend.open(place).await).await
}

/// A root and an external account, and a main one with some money.
async fn with_money(scene: &Scene, amount: u128) -> (AccountId, AccountId) {
    let world = scene.account(scene.root, Purpose::External).await;
    let main = scene.account(scene.root, Purpose::Main).await;
    scene.done(scene.post(world, main, amount)).await;
    (world, main)
}

async fn settled(scene: &Scene, account: AccountId) -> i128 {
    let viewer = scene.viewer(scene.root);
    let answer = scene
        .store
        .account(viewer, account, AsOf::NOW)
        .await
        .expect("it is read");
    let balances = answer.expect("the root sees it").value.balances;
    balances.iter().map(|balance| balance.counters.settled()).sum()
}

/// Answers come in the order of the commands, positions without gaps and in that order, times rising with them.
pub async fn answers_come_in_order<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (_, main) = with_money(&scene, 100).await;
    let other = scene.account(scene.root, Purpose::Wallet).await;
    let before = scene.store.position(scene.book).await.expect("it is read");
    // The third finds too little, the last finds what the fourth brought back.
    let amounts = [
        (main, other, 60),
        (main, other, 40),
        (main, other, 1),
        (other, main, 5),
        (main, other, 5),
    ];
    let commands: Vec<_> = amounts
        .iter()
        .map(|(from, to, amount)| scene.post(*from, *to, *amount))
        .collect();
    let outcomes = scene.store.submit(commands.clone()).await;
    let mut records = Vec::new();
    for (command, outcome) in commands.iter().zip(outcomes) {
        let Ok(Outcome::Recorded(record)) = outcome else {
            panic!("each is new: {outcome:?}");
        };
        assert_eq!(record.key, command.key, "each answer is about its command");
        records.push(record);
    }
    let positions: Vec<_> = records
        .iter()
        .map(|record| record.position.0 - before.0)
        .collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    assert!(
        records.is_sorted_by(|a, b| a.recorded_at < b.recorded_at),
        "time and position agree"
    );
    let codes: Vec<_> = records.iter().map(|record| code(record)).collect();
    assert_eq!(codes, [None, None, Some(Code::InsufficientFunds), None, None]);
    let kept = scene
        .store
        .records(scene.book, before, 10)
        .await
        .expect("they are read");
    assert_eq!(kept, records);
    assert_eq!(
        (settled(&scene, main).await, settled(&scene, other).await),
        (0, 100)
    );
}

/// Many commands at once are decided one by one, and many transactions in one command all or none.
pub async fn a_large_batch_is_taken_in_order<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 1).await;
    let before = scene.store.position(scene.book).await.expect("it is read");
    let commands: Vec<_> = (0..1_000).map(|_| scene.post(world, main, 1)).collect();
    let outcomes = scene.store.submit(commands).await;
    let position = |outcome: &Result<Outcome, StoreError>| match outcome {
        Ok(Outcome::Recorded(record)) => record.position.0,
        other => panic!("each is new: {other:?}"),
    };
    let positions: Vec<_> = outcomes.iter().map(position).collect();
    let expected: Vec<_> = (before.0 + 1..=before.0 + 1_000).collect();
    assert_eq!(positions, expected);
    assert_eq!(settled(&scene, main).await, 1_001);
    for (last, after, refused) in [(1_000, 1, None), (2, 1, Some(Code::InsufficientFunds))] {
        let mut all: Vec<_> = (0..1_000).map(|_| scene.post(main, world, 1)).collect();
        all[999] = scene.post(main, world, last - 999 * u128::from(refused.is_none()));
        let record = scene.recorded(scene.batch(&all)).await;
        assert_eq!(code(&record), refused);
        assert_eq!(settled(&scene, main).await, after);
    }
}

/// Who asks for no more is told the position of what was accepted, and of everything else as much as ever.
pub async fn a_brief_answer_says_where_it_stands<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    let before = scene.store.position(scene.book).await.expect("it is read");
    let known = scene.post(world, main, 1);
    let first = scene.recorded(known.clone()).await;
    let mut other = known.clone();
    other.fingerprint.0[0] ^= 1;
    let sixty = scene.post(main, world, 60);
    let id = TransactionId(scene.id());
    let back = Reverse {
        id,
        transaction: sixty.transaction_ids().next().expect("it makes one"),
        parts: None,
        force: false,
    };
    let commands = vec![
        sixty.clone(),
        scene.post(main, world, 60),
        known,
        other,
        scene.post(main, world, 41),
        // Of what was accepted a moment ago, and need not be durable yet.
        sixty,
        scene.command_under(Key::Id(id.into()), Some(scene.root), Action::Reverse(back)),
    ];
    let answers = scene.store.submit_briefly(commands.clone()).await;
    let kept = scene.store.records(scene.book, before, 10).await;
    let kept = kept.expect("they are read");
    assert_eq!(
        kept.len(),
        5,
        "the first, the three that were accepted and the one that was refused"
    );
    let accepted = |answer: &Result<Outcome, StoreError>, command: &Command, record: &Record| {
        assert_eq!((record.key, code(record)), (command.key, None));
        match answer {
            Ok(Outcome::Accepted(position)) => assert_eq!(*position, record.position),
            Ok(Outcome::Recorded(shown)) => assert_eq!(**shown, *record),
            other => panic!("it is accepted: {other:?}"),
        }
    };
    accepted(&answers[0], &commands[0], &kept[1]);
    assert_eq!(code(&kept[2]), Some(Code::InsufficientFunds));
    assert_eq!(answers[1], Ok(Outcome::Recorded(Arc::clone(&kept[2]))));
    assert_eq!(answers[2], Ok(Outcome::Replayed(Arc::clone(&first))));
    assert_eq!(answers[3], Ok(Outcome::Conflict(first.position)));
    accepted(&answers[4], &commands[4], &kept[3]);
    assert_eq!(answers[5], Ok(Outcome::Replayed(Arc::clone(&kept[1]))));
    accepted(&answers[6], &commands[6], &kept[4]);
    assert_eq!(answers.len(), 7);
    assert_eq!(settled(&scene, main).await, 60);
}

/// No commands, no answers.
pub async fn nothing_is_answered_to_nothing<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let store = backend.open(&place).await;
    assert_eq!(store.submit(Vec::new()).await, []);
    assert_eq!(store.position(BookNo::OPERATOR).await, Ok(Position(0)));
    assert_eq!(store.digest(BookNo::OPERATOR).await, Ok((Position(0), [0; 32])));
}

/// The same request under the same key is answered as the first time, another is a conflict; also later, and after the store
/// was opened again.
pub async fn a_key_is_answered_once_and_for_all<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let mut scene = scene(&*backend, &place).await;
    let (_, main) = with_money(&scene, 100).await;
    let other = scene.account(scene.root, Purpose::Wallet).await;
    let accepted = scene.post(main, other, 30);
    let refused = scene.post(main, other, 1_000);
    let mut first = Vec::new();
    for command in [&accepted, &refused] {
        first.push(scene.recorded(command.clone()).await);
    }
    assert_eq!(code(&first[1]), Some(Code::InsufficientFunds));
    let position = scene.store.position(scene.book).await;
    for opened in 0..2 {
        for (command, record) in [&accepted, &refused].into_iter().zip(&first) {
            let mut again: Command = command.clone();
            again.stamp = now();
            assert_eq!(
                scene.submit(again.clone()).await,
                Outcome::Replayed(Arc::clone(record))
            );
            again.fingerprint.0[0] ^= 1;
            assert_eq!(scene.submit(again).await, Outcome::Conflict(record.position));
        }
        assert_eq!(
            scene.store.position(scene.book).await,
            position,
            "a replay takes no position"
        );
        if opened == 0 {
            scene.store.close().await.expect("it closes");
            scene.store = backend.open(&place).await;
        }
    }
    assert_eq!(settled(&scene, other).await, 30);
}

/// A command from a server whose clock is far ahead is not taken; one from a server whose clock is behind is.
pub async fn a_stamp_ahead_of_the_clock_is_refused<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    let position = scene.store.position(scene.book).await;
    let mut ahead = scene.post(world, main, 1);
    ahead.stamp = now().plus(60_000_000);
    let outcomes = scene.store.submit(vec![ahead]).await;
    assert_eq!(outcomes, [Err(StoreError::ClockAhead)]);
    assert_eq!(
        scene.store.position(scene.book).await,
        position,
        "nothing is recorded"
    );
    let mut behind = scene.post(world, main, 1);
    behind.stamp = now().plus(-3_600_000_000);
    let stamp = behind.stamp;
    assert!(
        scene.done(behind).await.recorded_at > stamp,
        "time does not go back"
    );
}

/// A command for a book that is not there says so, and so does a read.
pub async fn a_book_that_is_not_is_named<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    let nowhere = BookNo(77);
    let mut command = scene.post(world, main, 1);
    command.book = nowhere;
    let outcomes = scene.store.submit(vec![command]).await;
    assert_eq!(outcomes, [Err(StoreError::NoSuchBook(nowhere))]);
    assert_eq!(
        scene.store.position(nowhere).await,
        Err(StoreError::NoSuchBook(nowhere))
    );
    assert_eq!(scene.store.book_of(ClientId(1)).await, Ok(None));
    assert_eq!(scene.store.book_of(scene.root).await, Ok(Some(scene.book)));
}

/// A reader that waits for a position goes on when it is there, and is told when it does not come.
pub async fn a_reader_waits_for_a_position<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    let reached = scene.store.position(scene.book).await.expect("it is read");
    assert_eq!(
        scene.store.reach(scene.book, reached).await,
        Ok(()),
        "what is there is not waited for"
    );
    let wanted = reached.next();
    let (store, book) = (Arc::clone(&scene.store), scene.book);
    let waiting = tokio::spawn(async move { store.reach(book, wanted).await });
    // Let the reader begin to wait; if it does not get to it, it finds what it wants at once.
    tokio::task::yield_now().await;
    scene.done(scene.post(world, main, 1)).await;
    assert_eq!(waiting.await.expect("the reader ends"), Ok(()));
    let wanted = Position(wanted.0 + 5);
    let late = scene.store.reach(scene.book, wanted).await;
    let reached = reached.next();
    assert_eq!(late, Err(StoreError::PositionNotReached { wanted, reached }));
}

/// A client sees itself and its subsidiaries: its parent, its siblings and other books are absent.
pub async fn a_tenant_is_alone<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let mut scene = scene(&*backend, &place).await;
    let stranger = scene.root;
    let (_, foreign) = with_money(&scene, 100).await;
    scene.add_root().await;
    let (_, main) = with_money(&scene, 100).await;
    let mut members = Vec::new();
    for _ in 0..2 {
        let client = scene.subsidiary().await;
        let account = scene.account(client, Purpose::Main).await;
        scene.done(scene.post(main, account, 10)).await;
        members.push((client, account));
    }
    let [(one, ones), (other, others)] = members[..] else {
        return;
    };
    let cases = [
        (scene.root, vec![main, ones, others], vec![foreign]),
        (one, vec![ones], vec![main, others, foreign]),
        (other, vec![others], vec![main, ones, foreign]),
        (stranger, vec![], vec![main, ones, others, foreign]),
    ];
    for (client, seen, hidden) in cases {
        let viewer = scene.viewer(client);
        let page = Page {
            limit: 100,
            after: None,
        };
        for (account, is_seen) in seen
            .iter()
            .map(|id| (*id, true))
            .chain(hidden.iter().map(|id| (*id, false)))
        {
            let answer = scene
                .store
                .account(viewer, account, AsOf::NOW)
                .await
                .expect("it is read");
            assert_eq!(answer.is_some(), is_seen, "{client} and account {account}");
            let entries = scene
                .store
                .entries(viewer, account, None, None, page)
                .await
                .expect("it is read");
            assert_eq!(entries.is_some(), is_seen, "{client} and entries of {account}");
        }
        let listed = scene
            .store
            .accounts(viewer, AccountFilter::default(), page)
            .await
            .expect("it is read");
        let mut listed: Vec<_> = listed.items.iter().map(|item| item.account.id).collect();
        listed.retain(|id| seen.contains(id) || hidden.contains(id));
        assert_eq!(listed, seen, "{client} lists what it sees");
        let rows = scene
            .store
            .client_accounts(viewer)
            .await
            .expect("it is read")
            .value
            .rows;
        let mains: Vec<_> = rows.iter().map(|(_, item)| item.account.id).collect();
        assert_eq!(mains, seen, "{client} and the main accounts");
    }
    // A transaction is seen by those who see all its accounts.
    let paid = scene
        .store
        .transactions(scene.viewer(one), TransactionFilter::default(), EVERYTHING)
        .await;
    assert_eq!(paid.expect("it is read").items, []);
    let mut command = scene.post(ones, main, 1);
    command.client = Some(one);
    let refused = scene.recorded(command).await;
    assert_eq!(
        code(&refused),
        Some(Code::AccountNotFound),
        "a parent's account is not there"
    );
}

const EVERYTHING: Page = Page {
    limit: 1_000,
    after: None,
};

/// Who goes through a list while it grows misses nothing that was there, and gets nothing twice.
pub async fn pages_stand_still_under_writes<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    for _ in 0..9 {
        scene.done(scene.post(world, main, 1)).await;
    }
    let viewer = scene.viewer(scene.root);
    let all = scene
        .store
        .entries(viewer, main, None, None, EVERYTHING)
        .await
        .expect("it is read");
    let all: Vec<_> = all
        .expect("it is seen")
        .items
        .iter()
        .map(|view| view.record.position)
        .collect();
    let (mut got, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 3, after };
        let part = scene
            .store
            .entries(viewer, main, None, None, page)
            .await
            .expect("it is read");
        let part = part.expect("it is seen");
        got.extend(part.items.iter().map(|view| view.record.position));
        scene.done(scene.post(world, main, 1)).await;
        match part.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(got, all);
}

/// While many tasks move money between accounts of a book, every reader sees one total.
pub async fn money_is_neither_made_nor_lost<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = Arc::new(scene(&*backend, &place).await);
    let (_, main) = with_money(&scene, 10_000).await;
    let mut accounts = vec![main];
    for _ in 1..TASKS {
        let client = scene.subsidiary().await;
        accounts.push(scene.account(client, Purpose::Main).await);
    }
    for account in &accounts[1..] {
        scene.done(scene.post(main, *account, 1_000)).await;
    }
    let accounts = Arc::new(accounts);
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..TASKS as u64)
        .map(|task| tokio::spawn(move_money(Arc::clone(&scene), Arc::clone(&accounts), task)))
        .collect();
    let reader = {
        let (scene, done) = (Arc::clone(&scene), Arc::clone(&done));
        tokio::spawn(async move {
            let mut last = Position(0);
            while !done.load(Ordering::Relaxed) {
                last = read_total(&scene, last).await;
                tokio::task::yield_now().await;
            }
        })
    };
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    done.store(true, Ordering::Relaxed);
    reader.await.expect("every total is the same");
    read_total(&scene, Position(0)).await;
}

async fn move_money(scene: Arc<Scene>, accounts: Arc<Vec<AccountId>>, task: u64) {
    let mut random = Random::new(task);
    for _ in 0..25 {
        let from = random.pick(&accounts);
        let to = random.pick(&accounts);
        let record = scene
            .recorded(scene.post(from, to, 1 + u128::from(random.below(900))))
            .await;
        let code = code(&record);
        let known = [None, Some(Code::InsufficientFunds), Some(Code::SameAccount)];
        assert!(known.contains(&code), "{code:?}");
        let reached = scene.store.position(scene.book).await.expect("it is read");
        assert!(reached >= record.position, "who was answered reads what it wrote");
    }
}

async fn read_total(scene: &Scene, last: Position) -> Position {
    let answer = scene
        .store
        .client_accounts(scene.viewer(scene.root))
        .await
        .expect("it is read");
    let rows = answer.value.rows.iter();
    let balances = rows.flat_map(|(_, item)| &item.balances);
    let total: i128 = balances.map(|balance| balance.counters.settled()).sum();
    assert_eq!(total, 10_000, "at position {}", answer.position);
    assert!(answer.position >= last, "what was read once stays read");
    answer.position
}

/// The same request from many sides at once takes effect once, and all are told of the one.
pub async fn one_key_takes_effect_once<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = Arc::new(scene(&*backend, &place).await);
    let (_, main) = with_money(&scene, 1_000_000).await;
    let other = scene.account(scene.root, Purpose::Wallet).await;
    for round in 1..=5 {
        let command = scene.post(main, other, 100);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (scene, command) = (Arc::clone(&scene), command.clone());
                tokio::spawn(async move { scene.submit(command).await })
            })
            .collect();
        let (mut recorded, mut all) = (0, Vec::new());
        for task in tasks {
            match task.await.expect("a task ends") {
                Outcome::Recorded(record) => {
                    recorded += 1;
                    all.push(record);
                }
                Outcome::Replayed(record) => all.push(record),
                outcome => panic!("the same request: {outcome:?}"),
            }
        }
        assert_eq!(recorded, 1, "one of them did it");
        assert!(
            all.iter().all(|record| *record == all[0]),
            "all are told the same"
        );
        assert_eq!(settled(&scene, other).await, 100 * round);
    }
}

/// A store that takes commands says so, and no book is longer for it.
pub async fn asking_whether_it_is_ready_leaves_nothing<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let books = [BookNo::OPERATOR, scene.book];
    let mut before = Vec::new();
    for book in books {
        before.push(scene.store.digest(book).await.expect("it is read"));
    }
    for _ in 0..3 {
        assert_eq!(scene.store.ready().await, Ok(()));
    }
    for (book, before) in books.into_iter().zip(before) {
        assert_eq!(scene.store.digest(book).await.expect("it is read"), before);
    }
}

/// After it was closed a store takes nothing, and says so at once.
pub async fn a_closed_store_takes_nothing<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = scene(&*backend, &place).await;
    let (world, main) = with_money(&scene, 100).await;
    scene.store.close().await.expect("it closes");
    let submitted = scene.store.submit(vec![scene.post(world, main, 1)]);
    let outcomes = tokio::time::timeout(Duration::from_secs(20), submitted)
        .await
        .expect("it answers");
    assert!(
        matches!(outcomes[..], [Err(StoreError::Closed(_))]),
        "it is closed: {outcomes:?}"
    );
    let ready = scene.store.ready().await;
    assert!(matches!(ready, Err(StoreError::Closed(_))), "{ready:?}");
}

/// The keys that sign tokens are replaced by who knows them as they are, for all servers, and are there when the store is opened
/// again.
pub async fn signing_keys_are_replaced_as_a_whole<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let store = backend.open(&place).await;
    let first = store.signing_keys().await.expect("they are read");
    let until = now().plus(1_000_000);
    let with = |keys: &SigningKeys, nth: u8, until| {
        let new = SigningKey::new([nth; 8], [nth; 32], now());
        keys.rotated(new, until).expect("they are few")
    };
    let second = with(&first, 1, Some(until));
    let replaced = store.replace_signing_keys(first.clone(), second.clone()).await;
    assert_eq!(replaced, Ok(true));
    // Who knew the first ones comes too late.
    let late = store
        .replace_signing_keys(first.clone(), with(&first, 2, None))
        .await;
    assert_eq!(late, Ok(false));
    assert_eq!(store.signing_keys().await, Ok(second.clone()));
    let tasks: Vec<_> = (3..3 + TASKS as u8)
        .map(|nth| {
            let (store, old) = (Arc::clone(&store), second.clone());
            let new = with(&second, nth, Some(until));
            tokio::spawn(async move {
                let replaced = store.replace_signing_keys(old, new.clone()).await;
                replaced.expect("it answers").then_some(new)
            })
        })
        .collect();
    let mut won = Vec::new();
    for task in tasks {
        won.extend(task.await.expect("it ends"));
    }
    let [third] = &won[..] else {
        panic!("one of them replaces the same keys: {won:?}");
    };
    assert_eq!(store.signing_keys().await.as_ref(), Ok(third));
    if backend.servers() > 1 {
        let other = backend.open(&place).await;
        assert_eq!(other.signing_keys().await.as_ref(), Ok(third));
        other.close().await.expect("it closes");
    }
    store.close().await.expect("it closes");
    drop(store);
    let store = backend.open(&place).await;
    assert_eq!(store.signing_keys().await.as_ref(), Ok(third));
}
