//! Four servers, all kinds of commands at once.

use test_postgres::{Bouncer, Cluster};

use super::check::check;
use super::fleet::{Fleet, SERVERS, alone};
use super::load::{Control, drive};
use crate::harness::setting;

/// So many steps unless `SALDO_TEST_SECONDS` says how long.
fn extent(steps: u64) -> Control {
    match setting("SALDO_TEST_SECONDS", 0) {
        0 => Control::steps(steps),
        seconds => Control::seconds(seconds),
    }
}

fn load_and_check(fleet: &Fleet, control: &Control) {
    let seed = setting("SALDO_TEST_SEED", 1);
    println!("SALDO_TEST_SEED={seed}");
    let begun = std::time::Instant::now();
    let told = drive(fleet, control, seed, |_| {});
    println!("{:?} of load", begun.elapsed());
    check(fleet, &told);
    let refused = control.unavailable.load(std::sync::atomic::Ordering::Relaxed);
    let unanswered = control.unanswered.load(std::sync::atomic::Ordering::Relaxed);
    let again = fleet.logged("a batch is tried again");
    println!(
        "{refused} answers of 503, {unanswered} without an answer, {} batches tried again",
        again.len()
    );
    again.iter().take(20).for_each(|line| println!("{line}"));
    assert_eq!(unanswered, 0, "every request is answered");
}

#[test]
fn four_servers_are_one_under_mixed_load() {
    let _alone = alone();
    let cluster = Cluster::shared();
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    load_and_check(&fleet, &extent(8_000));
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(
        database.try_sql(deadlocks).as_deref(),
        Ok("0"),
        "writers wait for one row alone"
    );
    fleet.stop();
}

#[test]
fn four_servers_share_the_connections_of_a_pooler() {
    let _alone = alone();
    let cluster = Cluster::shared();
    let database = cluster.empty();
    // Fewer than the servers would take, so that each is lent to one after the other.
    let bouncer = Bouncer::start(&cluster, 6);
    let url = format!("{}?prepare=off", bouncer.url(database.name()));
    let fleet = Fleet::start(&url, SERVERS);
    load_and_check(&fleet, &extent(2_000));
    fleet.stop();
    let log = bouncer.log();
    assert!(!log.contains("ERROR") && !log.contains("FATAL"), "{log}");
}
