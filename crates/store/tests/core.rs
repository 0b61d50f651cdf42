//! The core against the model.

use store::suite::{Shares, check_core};

#[test]
fn the_core_decides_as_the_model_does() {
    let first = std::env::var("SALDO_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let streams = std::env::var("SALDO_TEST_STREAMS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(500);
    let mut all = Shares::default();
    for seed in first..first + streams {
        all.add(&check_core(seed, 200));
    }
    println!("{all:?}");
}
