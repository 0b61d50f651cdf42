//! `saldo bench` against a server that runs.

use std::path::Path;

use serde_json::Value;

use super::home;
use crate::harness::{Sandbox, Server, run, said, settled};

const WORKLOADS: [&str; 8] = [
    "reads", "posts", "batches", "hot", "holds", "zipf", "history", "mixed",
];
const VENDORS: [&str; 5] = [
    "conduit-customer",
    "conduit-clients",
    "magicline",
    "polygon",
    "light",
];

/// Runs workloads for a moment.
fn bench(sandbox: &Sandbox, workloads: &[&str], more: &[&str]) -> Vec<Value> {
    let token = sandbox.on_card("/native/token");
    bench_at(&sandbox.server.url, &token, workloads, more)
}

fn bench_at(url: &str, token: &str, workloads: &[&str], more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["bench", "--json", "--url", url, "--token", token];
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
    arguments.extend(workloads);
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

/// That each workload was measured, and answered with success alone.
fn check(measured: &[Value], workloads: &[&str]) {
    assert_eq!(measured.len(), workloads.len());
    for (one, workload) in measured.iter().zip(workloads) {
        assert_eq!(one["workload"], *workload);
        // A machine that is busy may not answer any in so short a time, but what it answers is a success.
        let ok = ["200", "201"].map(|status| one["statuses"][status].as_u64().unwrap_or(0));
        let statuses = one["statuses"].as_object().expect("statuses");
        let all: u64 = statuses.values().filter_map(Value::as_u64).sum();
        assert_eq!(ok.iter().sum::<u64>(), all, "{one}");
    }
}

#[test]
fn every_vendors_balances_are_read_and_their_customers_found_again() {
    let home = home();
    let sandbox = home.sandbox();
    let customers = || {
        let customers = sandbox
            .native()
            .get("/api/v1/customers?limit=1000", &[])
            .json(200);
        customers["items"].as_array().expect("a list").len()
    };
    let before = customers();
    for _ in 0..2 {
        // Slowly: two of the formats have limits a minute.
        check(&bench(&sandbox, &VENDORS, &["--rate", "100"]), &VENDORS);
    }
    assert_eq!(customers() - before, 20, "both times the same");
}

#[test]
fn every_workload_is_answered_and_moves_money_among_its_own_accounts() {
    let home = home();
    let sandbox = home.sandbox();
    for more in [&[][..], &["--rate", "200", "--threads", "2"]] {
        check(&bench(&sandbox, &WORKLOADS, more), &WORKLOADS);
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
fn operators_are_told_how_much_was_written() {
    let home = home();
    let store = home.store();
    let made = run(&["init", "--store", &store]);
    assert!(made.status.success(), "{}", said(&made));
    let operator = String::from_utf8(made.stdout).expect("text");
    let server = Server::start(&["serve", "--store", &store], home.path());
    let measured = bench_at(&server.url, operator.trim(), &["posts"], &[]);
    check(&measured, &["posts"]);
    let (written, posted) = (&measured[0]["journalBytes"], &measured[0]["transactions"]);
    let written = written.as_u64().expect("an operator may know");
    match Path::new(&store).is_dir() {
        // A record of a transaction, and its share of a frame.
        true => assert!(written >= 100 * posted.as_u64().expect("a count"), "{measured:?}"),
        false => assert_eq!(written, 0, "a database has no journal of ours"),
    }
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
