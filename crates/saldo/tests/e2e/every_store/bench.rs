//! `saldo bench` against a server that runs.

use serde_json::Value;

use super::home;
use crate::harness::{Sandbox, run, said, settled};

const WORKLOADS: [&str; 8] = [
    "reads", "posts", "batches", "hot", "holds", "zipf", "history", "mixed",
];

/// Runs all workloads for a moment.
fn bench(sandbox: &Sandbox, more: &[&str]) -> Vec<Value> {
    let token = sandbox.on_card("/native/token");
    let mut arguments = vec!["bench", "--json", "--url", &sandbox.server.url, "--token", &token];
    arguments.extend([
        "--duration",
        "150ms",
        "--warm-up",
        "50ms",
        "--accounts",
        "20",
        "--batch",
        "10",
    ]);
    arguments.extend(["--connections", "4"]);
    arguments.extend(more);
    arguments.extend(WORKLOADS);
    let output = run(&arguments);
    assert!(output.status.success(), "{}", said(&output));
    let measured: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    measured.as_array().expect("an array").clone()
}

fn accounts(sandbox: &Sandbox) -> Vec<Value> {
    let native = sandbox.native();
    let clients = native
        .get("/api/v1/clients?externalId=saldo-bench", &[])
        .json(200);
    let clients = clients["items"].as_array().expect("a list");
    assert_eq!(clients.len(), 1, "a later run finds the client of the first");
    let client = clients[0]["id"].as_str().expect("an id");
    let path = format!("/api/v1/accounts?ownerId={client}&limit=1000");
    let accounts = native.get(&path, &[]).json(200);
    accounts["items"].as_array().expect("a list").clone()
}

#[test]
fn every_workload_is_answered_and_moves_money_among_its_own_accounts() {
    let home = home();
    let sandbox = home.sandbox();
    for more in [&[][..], &["--rate", "200", "--threads", "2"]] {
        for (one, workload) in bench(&sandbox, more).iter().zip(WORKLOADS) {
            assert_eq!(one["workload"], workload);
            // A machine that is busy may not answer any in so short a time, but what it answers is a success.
            let ok = ["200", "201"].map(|status| one["statuses"][status].as_u64().unwrap_or(0));
            let all: u64 = one["statuses"]
                .as_object()
                .expect("statuses")
                .values()
                .filter_map(Value::as_u64)
                .sum();
            assert_eq!(ok.iter().sum::<u64>(), all, "{one}");
        }
    }
    let accounts = accounts(&sandbox);
    assert_eq!(accounts.len(), 21, "twenty, and the world outside, both times");
    let native = sandbox.native();
    let balances = accounts
        .iter()
        .map(|account| settled(&native, account["id"].as_str().expect("an id"), "USD"));
    let balances: Vec<_> = balances.collect();
    assert_eq!(balances.iter().sum::<i128>(), 0, "{balances:?}");
    let funds = 1_000_000_000_000_000;
    assert_eq!(balances.iter().min(), Some(&(-20 * funds)));
    assert!(
        balances.iter().any(|balance| *balance > funds),
        "money moved: {balances:?}"
    );
}

#[test]
fn what_can_not_be_loaded_is_said() {
    let home = home();
    let sandbox = home.sandbox();
    let url = &sandbox.server.url;
    for (url, token, expected) in [
        (url.as_str(), "wrong", "401"),
        ("https://127.0.0.1:1", "any", "no TLS"),
        ("http://127.0.0.1:1/path", "any", "a host and a port alone"),
        ("http://127.0.0.1:1", "any", "connecting to http://127.0.0.1:1"),
    ] {
        let output = run(&["bench", "--url", url, "--token", token, "posts"]);
        assert!(!output.status.success());
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}
