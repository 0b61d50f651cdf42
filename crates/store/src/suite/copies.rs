//! A store that takes another's records is the same, and goes on as that one would have.

use std::sync::Arc;

use ledger::{BookNo, Position, Record};

use super::dump::Pair;
use super::streams::{now, reopen, same_outcomes};
use super::{Backend, Random, env, stream};
use crate::model::Model;
use crate::{Store, StoreError};

/// Commands in a stream, and how many of a hundred are copied; the rest is then sent to both.
const COMMANDS: (usize, usize) = (300, 70);

/// Copies random streams from the model, some records at a time; then each goes on, also with what was sent before.
pub async fn copies_are_the_same<B: Backend>(backend: Arc<B>) {
    let first = env("SALDO_TEST_SEED", 1);
    for seed in first..first + env("SALDO_TEST_STREAMS", 500).div_ceil(50) {
        one_copy(&*backend, seed).await;
    }
}

async fn one_copy<B: Backend>(backend: &B, seed: u64) {
    let model = Model::new(now);
    let place = backend.place().await;
    let store = backend.open(&place).await;
    let batches = stream(seed, COMMANDS.0);
    let copied = batches.len() * COMMANDS.1 / 100;
    for batch in &batches[..copied] {
        model.submit(batch.clone()).await;
    }
    let mut random = Random::new(seed);
    let records = in_order(&model).await;
    let mut rest = &records[..];
    while let Some(record) = rest.first() {
        let together = rest.iter().take_while(|other| other.book == record.book).count();
        let some = 1 + random.below(together as u64) as usize;
        refuses_others(&*store, &rest[..some]).await;
        let adopted = store.adopt(rest[..some].to_vec()).await;
        assert_eq!(
            adopted,
            Ok(rest[some - 1].position),
            "SALDO_TEST_SEED={seed}: {record:#?}"
        );
        rest = &rest[some..];
    }
    let when = |what: &str| format!("SALDO_TEST_SEED={seed}, {what}");
    Pair::new(&model, &*store, seed, backend.share(), when("copied"))
        .dump(backend.share())
        .await;
    let store = reopen(backend, &place, store).await;
    // Some of what was done before the copy, and all that comes after it.
    let again = batches[..copied].iter().step_by(7).chain(&batches[copied..]);
    for (nth, batch) in again.enumerate() {
        same_outcomes(&model, &*store, batch.clone(), seed, nth).await;
    }
    Pair::new(&model, &*store, seed, backend.share(), when("gone on"))
        .dump(backend.share())
        .await;
    store.close().await.expect("a store closes");
    drop(store);
    assert_eq!(backend.verify(&place).await, Ok(()), "SALDO_TEST_SEED={seed}");
}

/// A record that is not the next one is refused, and so are all behind it.
async fn refuses_others(store: &dyn Store, next: &[Arc<Record>]) {
    let mut gap = Record::clone(&next[0]);
    gap.position = gap.position.next();
    let refused = store.adopt(vec![Arc::new(gap)]).await;
    assert!(matches!(refused, Err(StoreError::NotNext { .. })), "{refused:?}");
}

/// All records: those of other books behind those of book 0 that they were decided on.
async fn in_order(model: &Model) -> Vec<Arc<Record>> {
    let mut all = Vec::new();
    for no in (0..).map(BookNo) {
        match model.records(no, Position(0), usize::MAX).await {
            Ok(records) => all.extend(records),
            Err(_) => break,
        }
    }
    // What the operator did at a position comes behind what was decided on the one before.
    all.sort_by_key(|record| {
        (
            record.base,
            record.book == BookNo::OPERATOR,
            record.book,
            record.position,
        )
    });
    all
}
