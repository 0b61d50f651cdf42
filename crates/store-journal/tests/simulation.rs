//! The whole store on a simulated disk, for many seeds; and the same without each of its defences, which must be seen.

use store::suite::env;
use store_journal::simulation::{Kind, Without, run, run_many, run_without};

#[test]
fn what_is_acknowledged_outlives_every_crash() {
    let (first, count) = (env("SALDO_TEST_SEED", 1), env("SALDO_TEST_SEEDS", 500));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    match run_many(first, threads, |begun, _| begun < count) {
        Ok(tally) => println!("{tally:?}"),
        Err(violation) => panic!(
            "SALDO_TEST_SEED={} SALDO_TEST_SEEDS=1: {violation}",
            violation.seed
        ),
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 4] {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn a_client_that_is_faster_than_its_book_does_not_keep_it_from_being_made() {
    run(3_001_523).expect("it comes to its end");
}

/// How many seeds may pass until a missing defence is noticed.
const PATIENCE: u64 = 3_000;

#[test]
fn every_defence_is_missed() {
    for defence in Without::ALL {
        let seen: &[Kind] = match defence {
            Without::DataSync | Without::SyncBeforeReply | Without::Confirming => {
                &[Kind::Lost, Kind::ShownTooEarly]
            }
            // Later frames are there, so it is a hole and no torn tail.
            Without::FailedSync | Without::FolderSync => &[Kind::Lost, Kind::Refused],
            // What was written ahead is there without what was written before.
            Without::SyncBeforeNextFrame => &[Kind::Refused],
            Without::Checksums => &[Kind::Refused, Kind::Differs],
            Without::ZeroedTail => &[Kind::Derived],
            Without::ReservedSpace => &[Kind::Stopped],
            Without::SegmentSync => &[Kind::Refused, Kind::Lost],
            Without::SnapshotSync => &[Kind::Incomplete],
            Without::KeySync | Without::KeyConfirming => &[Kind::Lost],
            Without::KeysAnewSync => &[Kind::Lost, Kind::Refused],
        };
        let found = (1..=PATIENCE).find_map(|seed| {
            let wrong = run_without(seed, Some(defence)).err()?;
            seen.contains(&wrong.wrong.kind).then_some((seed, wrong))
        });
        let (seed, wrong) =
            found.unwrap_or_else(|| panic!("without {defence:?}, {PATIENCE} seeds show nothing"));
        println!("without {defence:?}, seed {seed} shows {:?}", wrong.wrong.kind);
    }
}
