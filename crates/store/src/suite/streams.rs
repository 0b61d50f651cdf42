//! The same random commands into the model and into a store; every outcome and all that can be read must be the same.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ledger::{Action, BookNo, Command, Micros, Position, Purpose};

use super::dump::Pair;
use super::random::Random;
use super::scene::Scene;
use super::stream::stream;
use super::{Backend, env};
use crate::model::Model;
use crate::{Outcome, Store};

/// Commands in a stream.
const COMMANDS: usize = 200;

/// Each stream of such a number is verified in the end.
const VERIFIED: u64 = 4;

/// The time by this machine's clock.
#[must_use]
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Runs as many streams as the environment says, some at a time.
pub async fn random_streams<B: Backend>(backend: Arc<B>) {
    let first = env("SALDO_TEST_SEED", 1);
    let count = env("SALDO_TEST_STREAMS", 500);
    // Stores wait for their disks more than they compute.
    let lanes = std::thread::available_parallelism().map_or(4, |n| 4.max(n.get() as u64));
    let lanes: Vec<_> = (0..lanes)
        .map(|lane| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move {
                for seed in (first + lane..first + count).step_by(lanes as usize) {
                    one_stream(&*backend, seed).await;
                }
            })
        })
        .collect();
    for lane in lanes {
        if let Err(failed) = lane.await {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

/// Runs the stream of a seed. Half of the streams are interrupted: the store is closed and opened again in the middle. Of the
/// others each batch goes to one of several servers over the same place, where there may be several.
async fn one_stream<B: Backend>(backend: &B, seed: u64) {
    let model = Model::new(now);
    let place = backend.place().await;
    let mut store = backend.open(&place).await;
    let mut beside = Vec::new();
    if !seed.is_multiple_of(2) {
        for _ in 1..backend.servers() {
            beside.push(backend.open(&place).await);
        }
    }
    let mut turns = Random::new(seed);
    let batches = stream(seed, COMMANDS);
    let middle = batches.len() / 2;
    for (nth, batch) in batches.into_iter().enumerate() {
        if nth == middle && seed.is_multiple_of(2) {
            store = reopen(backend, &place, store).await;
        }
        let book = batch[0].book;
        let turn = turns.below(1 + beside.len() as u64) as usize;
        let store = beside.get(turn).unwrap_or(&store);
        same_outcomes(&model, &**store, batch, seed, nth).await;
        let when = format!("SALDO_TEST_SEED={seed}, after batch {nth}");
        Pair::new(&model, &**store, seed, 100, when).glance(book).await;
    }
    for store in beside {
        store.close().await.expect("a store closes");
    }
    let share = env("SALDO_TEST_SHARE", backend.share());
    let when = format!("SALDO_TEST_SEED={seed}, before closing");
    Pair::new(&model, &*store, seed, share, when).dump(share).await;
    store = reopen(backend, &place, store).await;
    let when = format!("SALDO_TEST_SEED={seed}, opened again");
    Pair::new(&model, &*store, seed, 100, when).dump(share).await;
    store.close().await.expect("a store closes");
    drop(store);
    if seed.is_multiple_of(VERIFIED) {
        let verified = backend.verify(&place).await;
        assert_eq!(verified, Ok(()), "SALDO_TEST_SEED={seed}");
    }
}

/// Compares all that can be read of a store, or so many of a hundred reads of it, with what the model reads.
///
/// # Panics
/// When anything differs; the message says what, and `when`.
pub async fn compare(model: &Model, store: &dyn Store, seed: u64, share: u64, when: String) {
    Pair::new(model, store, seed, share, when).dump(share).await;
}

pub(super) async fn reopen<B: Backend>(
    backend: &B,
    place: &B::Place,
    store: Arc<dyn Store>,
) -> Arc<dyn Store> {
    store.close().await.expect("a store closes");
    drop(store);
    backend.open(place).await
}

pub(super) async fn same_outcomes(
    model: &Model,
    store: &dyn Store,
    batch: Vec<Command>,
    seed: u64,
    nth: usize,
) {
    let expected = model.submit(batch.clone()).await;
    let found = store.submit(batch.clone()).await;
    assert_eq!(
        found.len(),
        batch.len(),
        "SALDO_TEST_SEED={seed}, batch {nth}: one answer to each command"
    );
    for ((command, found), expected) in batch.iter().zip(found).zip(expected) {
        assert!(
            found == expected,
            "SALDO_TEST_SEED={seed}, batch {nth} of {}: {command:#?}:\n   found {found:#?}\nexpected {expected:#?}",
            batch.len()
        );
    }
}

/// However much an account has seen, its balance as of any time is exact: with many entries, most of which count for another
/// time than they were recorded at.
pub async fn a_long_history_is_exact<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let store = backend.open(&place).await;
    let scene = Scene::new(Arc::clone(&store)).await;
    let model = Model::new(now);
    let world = scene.account(scene.root, Purpose::External).await;
    let main = scene.account(scene.root, Purpose::Main).await;
    let mut random = Random::new(1);
    for _ in 0..14 {
        let posts: Vec<_> = (0..50)
            .map(|_| scene.post(world, main, 1 + u128::from(random.below(99))))
            .collect();
        let posts = posts.into_iter().map(|post| at_some_time(post, &mut random));
        let outcomes = store.submit(posts.collect()).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Ok(Outcome::Recorded(_)))),
            "{outcomes:?}"
        );
    }
    for book in [BookNo::OPERATOR, scene.book] {
        let records = store
            .records(book, Position(0), usize::MAX)
            .await
            .expect("they are read");
        for record in records {
            let again = Command {
                book,
                client: record.client,
                key: record.key,
                fingerprint: record.fingerprint,
                stamp: record.recorded_at,
                action: record.action.clone(),
            };
            assert_eq!(model.take(&again), Ok(Outcome::Recorded(record)));
        }
    }
    let store = reopen(&*backend, &place, store).await;
    let mut pair = Pair::new(&model, &*store, 1, 100, "a long history".to_owned());
    pair.pasts(scene.viewer(scene.root), main).await;
}

fn at_some_time(mut post: Command, random: &mut Random) -> Command {
    let moved = random.below(20_000_000) as i64 - 10_000_000;
    if let Action::Post(transaction) = &mut post.action
        && random.percent(80)
    {
        transaction.effective_at = Some(post.stamp.plus(moved));
    }
    post
}
