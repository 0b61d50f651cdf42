//! The database's disk is full.

use std::time::{Duration, Instant};

use serde_json::json;
use test_postgres::{Cluster, Small};

use super::faults::{faults, load};
use super::fleet::{Fleet, SERVERS, alone};
use crate::harness::{Random, transaction};

const ANSWERS: u64 = 150;
/// How long servers may take to be ready again; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posts at a server until it says that there is no space.
fn until_there_is_no_space(fleet: &Fleet, server: usize) {
    let (client, world) = (fleet.client(server), &fleet.world);
    let mut random = Random(server as u64);
    loop {
        let mut body = transaction(&random.uuid(), &world.external, &world.hot, "USD", 1);
        // So that a new page is needed before long.
        body["metadata"] = json!({"filler": "x".repeat(3_000)});
        let answer = client.post("/api/v1/transactions", &body);
        if answer.status != 201 {
            assert!(
                answer.json(503)["detail"]
                    .as_str()
                    .expect("text")
                    .contains("no space left"),
                "{answer:?}"
            );
            assert!(answer.retry_after.is_some());
            return;
        }
    }
}

/// What is true while there is no space: writes are refused with what is the matter, reads go on, and no more requests should be
/// sent.
fn check_refusals(fleet: &Fleet) {
    let account = &fleet.world.accounts[0];
    for nth in 0..SERVERS {
        until_there_is_no_space(fleet, nth);
        let read = fleet
            .client(nth)
            .get(&format!("/api/v1/accounts/{account}/balances"), &[]);
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(fleet.client(nth).get("/healthz", &[]).status, 200);
        // However often it is asked.
        for _ in 0..3 {
            let ready = fleet.client(nth).get("/readyz", &[]);
            assert_eq!(ready.status, 503, "{ready:?}");
            assert!(ready.text.contains("no space left"), "{ready:?}");
        }
    }
}

/// Each server says by itself that it takes writes again, and nothing was written for that.
fn check_recovery(fleet: &Fleet, cluster: &Cluster, database: &str) {
    let sql = |sql: &str| cluster.try_sql(database, sql).expect("the database answers");
    let written = "select sum(position), (select count(*) from saldo.space) from saldo.heads";
    let before = sql(written);
    let begun = Instant::now();
    for nth in 0..SERVERS {
        while fleet.client(nth).get("/readyz", &[]).status != 200 {
            assert!(begun.elapsed() < PATIENCE, "server {nth} is not ready again");
            std::thread::yield_now();
        }
    }
    assert_eq!(sql(written), before);
    assert!(before.trim().ends_with("|0"), "{before}");
    for nth in 0..SERVERS {
        let id = Random(1_000 + nth as u64).uuid();
        let body = transaction(&id, &fleet.world.external, &fleet.world.hot, "USD", 1);
        fleet.client(nth).post("/api/v1/transactions", &body).json(201);
    }
}

#[test]
fn while_the_disk_is_full_reads_go_on_and_writes_come_back_after_it() {
    let _alone = alone();
    let settings = ["fsync=off", "full_page_writes=off"];
    let Some(cluster) = Cluster::start_on_small_disk(Small::Tablespace, 64 << 20, &settings) else {
        return;
    };
    let database = cluster.empty_in("small");
    let fleet = Fleet::start(&database.url(), SERVERS);
    load(&fleet, |control| {
        for _ in 0..faults(2) {
            control.until_answered(ANSWERS);
            let ballast = cluster.fill();
            control.until_refused();
            drop(ballast);
        }
        control.until_answered(ANSWERS);
    });
    let ballast = cluster.fill();
    check_refusals(&fleet);
    drop(ballast);
    check_recovery(&fleet, &cluster, database.name());
    fleet.stop();
}

/// PostgreSQL ends then, and can't start before there is space again.
#[test]
fn after_its_log_had_no_space_postgres_comes_back_and_so_does_service() {
    let _alone = alone();
    let settings = ["max_wal_size=64MB", "min_wal_size=32MB"];
    let Some(cluster) = Cluster::start_on_small_disk(Small::Wal, 128 << 20, &settings) else {
        return;
    };
    let database = cluster.empty();
    let fleet = Fleet::start(&database.url(), SERVERS);
    load(&fleet, |control| {
        control.until_answered(ANSWERS);
        let ballast = cluster.fill();
        // Until the next piece of the log is needed.
        while cluster.try_sql(database.name(), "select pg_switch_wal()").is_ok() {}
        control.until_refused();
        drop(ballast);
        control.until_answered(ANSWERS);
    });
    fleet.stop();
}
