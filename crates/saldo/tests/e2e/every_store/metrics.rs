//! Metrics: who may read them, that they are what a scraper reads, and that they count what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::home;
use crate::harness::{Client, Server, run, said, transaction};

/// Samples by name and labels, as they are written.
pub(super) type Samples = BTreeMap<String, f64>;

#[test]
fn metrics_count_what_happened() {
    let home = home();
    let store = home.store();
    let made = run(&["init", "--store", &store]);
    assert!(made.status.success(), "{}", said(&made));
    let operator = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let arguments = ["serve", "--store", &store, "--metrics", "127.0.0.1:0"];
    let mut server = Server::start(&arguments, home.path());
    let line = server
        .lines("metrics on ", 1)
        .pop()
        .expect("it says where metrics are");
    let apart = Client::to(
        line.trim_start_matches("metrics on ")
            .trim_end_matches("/metrics"),
    );
    let before = scrape(&apart);
    assert_eq!(before["saldo_commands_in_flight"], 0.0);

    traffic(&server.url, &operator);
    let after = scrape(&apart);
    let rose = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
    // A client, its key, two accounts; a transfer that is posted, and one that is refused.
    assert_eq!(rose("saldo_commands_total"), 6.0);
    assert_eq!(rose("saldo_replays_total"), 1.0);
    assert_eq!(rose("saldo_conflicts_total"), 1.0);
    assert_eq!(rose("saldo_rejections_total{code=\"insufficient_funds\"}"), 1.0);
    assert_eq!(rose("saldo_unauthorized_total"), 1.0);
    let posted = |status: u16| {
        format!(
            "saldo_http_requests_total{{dialect=\"native\",method=\"POST\",route=\"/transactions\",status=\"{status}\"}}"
        )
    };
    assert_eq!(
        (rose(&posted(201)), rose(&posted(422)), rose(&posted(409))),
        (2.0, 1.0, 1.0)
    );
    let lost = "saldo_http_requests_total{dialect=\"none\",method=\"GET\",route=\"none\",status=\"404\"}";
    assert_eq!(rose(lost), 1.0);
    assert_eq!(
        rose("saldo_http_request_duration_seconds_count{dialect=\"native\"}"),
        9.0
    );
    assert_eq!(rose("saldo_commit_duration_seconds_count"), 8.0);
    assert!(rose("saldo_batch_commands_sum") >= 6.0);
    let journal = rose("saldo_journal_written_bytes_total");
    assert_eq!(journal > 0.0, Path::new(&store).is_dir(), "{journal}");
    assert!(after["process_resident_memory_bytes"] > 1e6 && after["process_open_fds"] > 3.0);
    for file in ["grafana-dashboard.json", "prometheus-alerts.yaml"] {
        names_exist(file, &after);
    }
}

#[test]
fn metrics_beside_the_api_are_for_operators() {
    let home = home();
    let sandbox = home.sandbox();
    let anybody = Client::to(&sandbox.server.url);
    assert_eq!(anybody.get("/metrics", &[]).status, 401);
    assert_eq!(
        sandbox.native().get("/metrics", &[]).json(403)["code"],
        "forbidden"
    );
}

/// Checks that a file of `deploy/` asks for nothing that nobody counts.
fn names_exist(file: &str, samples: &Samples) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(file);
    let text = std::fs::read_to_string(path).expect("it is there");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: BTreeSet<_> = words
        .filter(|word| word.starts_with("saldo_") || word.starts_with("process_"))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let known = samples
            .keys()
            .any(|sample| sample.split('{').next() == Some(name));
        assert!(known, "{file} asks for {name}");
    }
}

/// Two transfers, one again, one under a key that was used, one that is refused; an unknown key, an unknown path.
fn traffic(url: &str, operator: &str) {
    let operator = Client::to(url).bearing(operator);
    let client = operator
        .post("/api/v1/clients", &json!({"legalName": "Acme"}))
        .json(201);
    let client = client["id"].as_str().expect("an id");
    let key = json!({"label": "all", "scopes": ["read", "post", "admin"]});
    let key = operator
        .post(&format!("/api/v1/clients/{client}/keys"), &key)
        .json(201);
    let key = Client::to(url).bearing(key["token"].as_str().expect("a token"));
    let account = |purpose: &str| {
        let account = json!({"ownerId": client, "purpose": purpose});
        let made = key.post("/api/v1/accounts", &account).json(201);
        made["id"].as_str().expect("an id").to_owned()
    };
    let (external, main) = (account("external"), account("main"));
    let post = |body: &Value, status| drop(key.post("/api/v1/transactions", body).json(status));
    let id = "0199aaaa-0000-7000-8000-000000000001";
    post(&transaction(id, &external, &main, "USD", 1_000), 201);
    post(&transaction(id, &external, &main, "USD", 1_000), 201);
    post(&transaction(id, &external, &main, "USD", 2_000), 409);
    let id = "0199aaaa-0000-7000-8000-000000000002";
    post(&transaction(id, &main, &external, "USD", 9_999), 422);
    let nobody = Client::to(url).bearing("saldo_nothing");
    assert_eq!(nobody.get("/api/v1/keys", &[]).status, 401);
    assert_eq!(nobody.get("/nowhere", &[]).status, 404);
}

/// Reads the text as OpenMetrics has it, strictly: every sample belongs to the family described last.
pub(super) fn scrape(client: &Client) -> Samples {
    let answer = client.get("/metrics", &[]);
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .media_type
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    let mut samples = Samples::new();
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let text = answer.text.strip_suffix("# EOF\n").expect("it is whole");
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["#", "TYPE", name, kind] => {
                assert!(families.insert(name, kind).is_none(), "{name} is described twice");
            }
            ["#", "HELP", name, first, ..] => assert!(!first.is_empty(), "{name} is not explained"),
            ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{line}"),
            [sample, value] => {
                let name = sample.split('{').next().expect("a name");
                let (_, kind) = families
                    .iter()
                    .rfind(|(family, _)| name.starts_with(**family))
                    .expect("a family");
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
                let value: f64 = value.parse().expect("a number");
                assert!(
                    samples.insert(sample.to_owned(), value).is_none(),
                    "{sample} is there twice"
                );
            }
            _ => panic!("no line of OpenMetrics: {line}"),
        }
    }
    samples
}
