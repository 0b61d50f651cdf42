//! The first PostgreSQL is lost for good, and its standby takes over.

use std::sync::Arc;

use serde_json::json;
use test_postgres::{Cluster, Database};

use super::faults::load;
use super::fleet::{Fleet, SERVERS, alone};
use crate::harness::{Answer, settled, transaction};

const ANSWERS: u64 = 200;

/// A primary with a standby that its commits wait for, and a database on them.
struct Two {
    primary: Arc<Cluster>,
    standby: Arc<Cluster>,
    database: Database,
}

impl Two {
    fn start() -> Self {
        let primary = Cluster::start_on_tcp(&[]);
        let database = primary.empty();
        let standby = primary.synchronous_standby(&[]);
        Self {
            primary,
            standby,
            database,
        }
    }

    fn url(&self) -> String {
        format!(
            "postgres://saldo@127.0.0.1:{},127.0.0.1:{}/{}?target_session_attrs=read-write",
            self.primary.port(),
            self.standby.port(),
            self.database.name()
        )
    }
}

#[test]
fn a_lost_primary_takes_nothing_along_that_was_answered() {
    let _alone = alone();
    let two = Two::start();
    let fleet = Fleet::start(&two.url(), SERVERS);
    load(&fleet, |control| {
        control.until_answered(ANSWERS);
        two.primary.lose();
        two.standby.promote();
        control.until_answered(ANSWERS);
    });
    assert!(
        !fleet.logged("a batch is tried again").is_empty(),
        "the loss met no batch"
    );
    fleet.stop();
}

/// Commits that wait for a standby are there already for who comes after their connection was lost. What the standby
/// doesn't have may still go: nobody is told that it was done, and nobody goes on knowing it when it is gone.
#[test]
fn what_went_with_the_primary_was_never_answered_and_is_forgotten() {
    let two = Two::start();
    let fleet = Fleet::start(&two.url(), 2);
    let (client, external) = (&fleet.world.client, &fleet.world.external);
    let account = json!({"ownerId": client, "purpose": "wallet"}).to_string();
    let open = |server: usize| {
        let key = [("Idempotency-Key", "the-one-wallet")];
        let answer = fleet.client(server).try_post("/api/v1/accounts", &key, &account);
        answer.expect("an answer")
    };
    let post = |server: usize, id: &str, to: &str| {
        let body = transaction(id, external, to, "USD", 7);
        fleet.client(server).post("/api/v1/transactions", &body)
    };
    let must_wait = |answer: &Answer| assert_eq!(answer.status, 503, "{answer:?}");

    let down = two.standby.keep_down();
    must_wait(&open(0));
    let wallet = "select id from saldo.accounts where purpose = 4";
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    let lost = loop {
        two.database.try_sql(end).expect("it runs");
        let found = two.database.try_sql(wallet).expect("it runs");
        if found.lines().count() == 1 {
            break found;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| must_wait(&open(1)));
        must_wait(&post(0, "0199aaaa-0000-4000-8000-000000000001", &lost));
    });

    two.primary.lose();
    drop(down);
    two.standby.promote();
    let answer = loop {
        let answer = open(1);
        if answer.status != 503 {
            break answer;
        }
    };
    let wallet = answer.json(201)["id"].as_str().expect("an id").to_owned();
    assert!(!answer.replayed, "it went with the primary: {answer:?}");
    assert_ne!(wallet, lost);
    assert!(open(0).replayed);
    let id = "0199aaaa-0000-4000-8000-000000000002";
    post(1, id, &wallet).json(201);
    for nth in 0..2 {
        let found = fleet
            .client(nth)
            .get(&format!("/api/v1/transactions/{id}"), &[])
            .json(200);
        assert_eq!(found["postings"][0]["to"], wallet.as_str(), "at server {nth}");
        assert_eq!(settled(&fleet.client(nth), &wallet, "USD"), 7);
        assert_eq!(
            fleet
                .client(nth)
                .get(&format!("/api/v1/accounts/{lost}"), &[])
                .status,
            404
        );
    }
    fleet.stop();
}
