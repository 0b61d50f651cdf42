//! What breaks while four servers are under load: the database, the way to it, a server.

use std::sync::atomic::Ordering;

use test_postgres::Cluster;

use super::check::check;
use super::fleet::{Fleet, SERVERS, alone};
use super::load::{Control, drive};
use super::proxy::Proxy;
use crate::harness::{Client, setting};

/// How many commands are answered between one fault and the next.
const ANSWERS: u64 = 150;

/// How often something breaks, unless `SALDO_TEST_FAULTS` says so.
pub(super) fn faults(usual: u64) -> u64 {
    setting("SALDO_TEST_FAULTS", usual)
}

/// Loads servers while `fault` does its worst, and checks that nothing came of it.
pub(super) fn load(fleet: &Fleet, fault: impl FnOnce(&Control)) {
    let seed = setting("SALDO_TEST_SEED", 1);
    println!("SALDO_TEST_SEED={seed}");
    let control = Control::endless();
    let told = drive(fleet, &control, seed, fault);
    check(fleet, &told);
    println!(
        "{} answers of 503, {} without an answer, {} batches and {} reads tried again",
        control.unavailable.load(Ordering::Relaxed),
        control.unanswered.load(Ordering::Relaxed),
        fleet.logged("a batch is tried again").len(),
        fleet.logged("a read is tried again").len(),
    );
}

#[test]
fn postgres_killed_under_load_comes_back_and_so_does_service() {
    let _alone = alone();
    let cluster = Cluster::start(&[]);
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    load(&fleet, |control| {
        for _ in 0..faults(4) {
            control.until_answered(ANSWERS);
            cluster.kill();
        }
        control.until_answered(ANSWERS);
    });
    assert!(
        !fleet.logged("a batch is tried again").is_empty(),
        "no kill met a batch"
    );
    fleet.stop();
}

#[test]
fn while_postgres_is_down_clients_are_told_to_come_again() {
    let _alone = alone();
    let cluster = Cluster::start(&[]);
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    load(&fleet, |control| {
        control.until_answered(ANSWERS);
        let down = cluster.keep_down();
        control.until_refused();
        let ready = fleet.client(0).get("/readyz", &[]);
        assert_eq!(ready.status, 503, "{ready:?}");
        assert_eq!(fleet.client(0).get("/healthz", &[]).status, 200);
        drop(down);
        control.until_answered(ANSWERS);
    });
    assert_eq!(fleet.client(0).get("/readyz", &[]).status, 200);
    fleet.stop();
}

#[test]
fn every_connection_ended_again_and_again_changes_nothing() {
    let _alone = alone();
    let cluster = Cluster::shared();
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    load(&fleet, |control| {
        for _ in 0..faults(20) {
            control.until_answered(ANSWERS / 3);
            let ended = database.try_sql(end).expect("it runs");
            assert_ne!(ended, "0", "nobody was connected");
        }
        control.until_answered(ANSWERS);
    });
    assert!(
        !fleet.logged("a batch is tried again").is_empty(),
        "no end met a batch"
    );
    fleet.stop();
}

#[test]
fn connections_cut_around_their_commits_change_nothing() {
    let _alone = alone();
    let cluster = Cluster::start_on_tcp(&["fsync=off", "full_page_writes=off", "synchronous_commit=off"]);
    let database = cluster.empty();
    let proxy = Proxy::start(cluster.port());
    let fleet = Fleet::start(
        &format!("postgres://saldo@127.0.0.1:{}/{}", proxy.port(), database.name()),
        SERVERS,
    );
    load(&fleet, |control| {
        for _ in 0..faults(4) {
            control.until_answered(ANSWERS);
            proxy.cut();
            proxy.cut_commits(10);
            while proxy.left() > 0 {
                control.until_answered(1);
            }
        }
        control.until_answered(ANSWERS);
    });
    let again = fleet.logged("a batch is tried again").len() as u64;
    assert!(again >= 10 * faults(4), "every cut met a batch: {again}");
    fleet.stop();
}

#[test]
fn servers_killed_under_load_leave_nothing_behind_and_the_others_go_on() {
    let _alone = alone();
    let cluster = Cluster::shared();
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    load(&fleet, |control| {
        for nth in 0..faults(6) as usize {
            control.until_answered(ANSWERS);
            fleet.kill(nth % SERVERS);
            // Those that are left do all of it.
            control.until_answered(ANSWERS);
            fleet.replace(nth % SERVERS);
        }
    });
    // A client that knows one server alone still is answered, there.
    for nth in 0..SERVERS {
        let client: Client = fleet.client(nth);
        assert_eq!(client.get("/readyz", &[]).status, 200);
    }
    fleet.stop();
}
