//! Each operation of the native API has a command.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::metrics::scrape;
use super::{Shell, stderr, stdout, text};
use crate::harness::{Client, said, settled};

/// Operations of the native API that no command asks for, and why not.
const WITHOUT_COMMAND: [&str; 0] = [];

/// Commands, each with the operation that it is for.
struct Asks<'a> {
    shell: &'a Shell,
    document: Value,
    seen: BTreeSet<String>,
}

impl<'a> Asks<'a> {
    fn of(shell: &'a Shell) -> Self {
        let document = Client::to(&shell.server.url)
            .get("/api/openapi.json", &[])
            .json(200);
        Self {
            shell,
            document,
            seen: BTreeSet::new(),
        }
    }

    /// The operations of the native API: their ids, methods and routes.
    fn operations(&self) -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for (path, methods) in self.document["paths"].as_object().expect("paths") {
            let Some(route) = path.strip_prefix("/api/v1") else {
                continue;
            };
            for (method, operation) in methods.as_object().expect("methods") {
                if let Some(id) = operation["operationId"].as_str() {
                    all.push((id.to_owned(), method.to_uppercase(), route.to_owned()));
                }
            }
        }
        all
    }

    /// How often the server was asked for each operation.
    fn counts(&self) -> BTreeMap<String, u64> {
        let samples = scrape(&self.shell.metrics);
        let count = |(id, method, route): (String, String, String)| {
            let name = format!(
                "saldo_http_requests_total{{dialect=\"native\",method=\"{method}\",route=\"{route}\","
            );
            let counted = samples.iter().filter(|(sample, _)| sample.starts_with(&name));
            (id, counted.map(|(_, count)| *count as u64).sum())
        };
        self.operations().into_iter().map(count).collect()
    }

    /// Runs a command as programs and then as people do, and sees that both times it asks for this operation alone. Answers with both.
    fn ask(&mut self, operation: &str, arguments: &[&str]) -> (Value, String) {
        self.ask_with(operation, arguments, "")
    }

    fn ask_with(&mut self, operation: &str, arguments: &[&str], stdin: &str) -> (Value, String) {
        let before = self.counts();
        let shown = self.shell.run_with(&[arguments, &["--json"]].concat(), stdin);
        assert!(shown.status.success(), "{arguments:?}: {}", said(&shown));
        let json = match shown.stdout.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&shown.stdout).expect("one JSON document"),
        };
        let table = self.shell.run_with(arguments, stdin);
        assert!(table.status.success(), "{arguments:?}: {}", said(&table));
        let after = self.counts();
        let asked: Vec<_> = after
            .iter()
            .filter(|(id, count)| before[*id] != **count)
            .collect();
        assert!(
            asked.len() == 1 && asked[0].0 == operation && *asked[0].1 >= before[operation] + 2,
            "{operation} by {arguments:?}, which asked for {asked:?}"
        );
        self.seen.insert(operation.to_owned());
        (json, stdout(&table))
    }

    /// The same of what makes something; answers with its id.
    fn make(&mut self, operation: &str, arguments: &[&str]) -> String {
        let key = format!("key-{}", self.seen.len());
        let (made, table) = self.ask(operation, &[arguments, &["--key", &key]].concat());
        let id = text(&made["id"]);
        assert!(table.contains(&id), "made once: {table}");
        id
    }

    fn finish(self) {
        let all = self.operations().into_iter().map(|(id, ..)| id);
        let expected: BTreeSet<_> = all.filter(|id| !WITHOUT_COMMAND.contains(&id.as_str())).collect();
        assert!(expected.len() > 30);
        assert_eq!(
            self.seen, expected,
            "each operation has a command, and the other way round"
        );
    }
}

/// A time of day that no test lives to see.
const LATER: &str = "2199-01-01T00:00:00Z";

#[test]
fn every_operation_has_a_command() {
    let mut shell = Shell::start();
    let mut asks = Asks::of(&shell);
    let client = asks.make(
        "createClient",
        &["client", "create", "--name", "Acme", "--metadata", "{\"a\":1.10}"],
    );
    let client = client.as_str();
    let all = [
        "key",
        "create",
        "--client",
        client,
        "--label",
        "all",
        "--scope",
        "read,post,admin",
        "--scope",
        "rates",
    ];
    let spare = asks.make("createKey", &all);
    let (made, table) = asks.ask("listKeysOfClient", &["key", "list", "--client", client]);
    assert_eq!(
        (&made["items"][0]["id"], table.contains("read, post")),
        (&json!(spare), true)
    );
    let (_, table) = asks.ask("getClient", &["client", "get", client]);
    assert!(
        table.contains("{\"a\":1.10}"),
        "metadata stays as it was written: {table}"
    );
    let found = shell.json(&["account", "list", "--book", client]);
    assert_eq!(found, json!({"items": []}), "an operator says in which book");

    // Secrets are shown once, to who made them.
    let first = shell.run(&[&all[..], &["--key", "once"]].concat());
    assert!(stdout(&first).contains("saldo_sk_") && stderr(&first).contains("once"));
    let again = shell.run(&[&all[..], &["--key", "once"]].concat());
    assert!(!stdout(&again).contains("saldo_sk_") && stderr(&again).contains("before"));
    let (signs, _) = asks.ask("rotateSigningKey", &["signing-key", "rotate"]);
    assert_eq!(signs["earlier"].as_array().map(Vec::len), Some(1));
    let seen = asks.seen;
    shell.token = text(&shell.json(&all)["token"]);
    let mut asks = Asks {
        seen,
        ..Asks::of(&shell)
    };
    about_clients(&mut asks, client, &spare);
    about_customers(&mut asks);
    about_assets_and_rates(&mut asks);
    let accounts = about_accounts(&mut asks, client);
    let [world, main, side] = accounts.each_ref().map(String::as_str);
    about_transactions(&mut asks, world, main, side);
    about_batches(&mut asks, world, side);
    about_holds(&mut asks, world, main);
    let (event, table) = asks.ask("streamEvents", &["events", "--after", "3", "--limit", "1"]);
    assert_eq!(event["position"], 4);
    assert_eq!(table.lines().count(), 1, "{table}");
    asks.finish();
}

fn about_clients(asks: &mut Asks<'_>, client: &str, spare: &str) {
    asks.ask("listKeys", &["key", "list"]);
    let rotate = ["key", "rotate", spare, "--overlap-seconds", "60", "--key", "o"];
    let (made, table) = asks.ask("rotateKey", &rotate);
    assert_eq!(
        (&made["replaces"]["id"], &made["label"]),
        (&json!(spare), &json!("all"))
    );
    assert!(!table.contains("saldo_sk_"), "a replay has no secrets: {table}");
    let (_, table) = asks.ask("revokeKey", &["key", "revoke", spare, "--key", "end"]);
    assert_eq!(table, "Revoked.\n");
    asks.ask("listClients", &["client", "list"]);
    let change = [
        "client",
        "update",
        client,
        "--name",
        "Acme AG",
        "--time-zone",
        "Europe/Berlin",
        "--external-id",
        "a-1",
    ];
    let (changed, _) = asks.ask("updateClient", &[&change[..], &["--key", "u"]].concat());
    assert_eq!(
        (&changed["legalName"], &changed["timeZone"]),
        (&json!("Acme AG"), &json!("Europe/Berlin"))
    );
    let found = asks.shell.json(&["client", "list", "--external-id", "a-1"]);
    assert_eq!(found["items"][0]["id"], client);
    let cleared = asks.shell.json(&[
        "client",
        "update",
        client,
        "--external-id",
        "",
        "--metadata",
        "null",
    ]);
    assert!(
        cleared["externalId"].is_null() && cleared["metadata"].is_null(),
        "{cleared}"
    );
}

fn about_customers(asks: &mut Asks<'_>) {
    let customer = asks.make(
        "createCustomer",
        &["customer", "create", "--name", "Ada\u{1b}[2J", "--number", "1815"],
    );
    let customer = customer.as_str();
    let (found, table) = asks.ask("getCustomer", &["customer", "get", customer]);
    assert_eq!(found["number"], 1815);
    assert!(
        table.contains("Ada\\u{1b}[2J"),
        "a name does nothing to the terminal: {table}"
    );
    let (_, table) = asks.ask("listCustomers", &["customer", "list"]);
    assert!(table.contains(customer) && table.contains("1815"), "{table}");
    let change = [
        "customer",
        "update",
        customer,
        "--name",
        "Ada",
        "--metadata",
        "{\"x\":[]}",
        "--key",
        "c",
    ];
    assert_eq!(asks.ask("updateCustomer", &change).0["legalName"], "Ada");
    let dunned = [
        "customer",
        "set-dunning",
        customer,
        "--in-debt-collection",
        "true",
        "--label",
        "Two",
        "--key",
        "d",
    ];
    let (dunned, table) = asks.ask("setDunning", &dunned);
    assert_eq!(
        dunned["dunning"],
        json!({"label": "Two", "inDebtCollection": true})
    );
    assert!(table.contains("dunning.label"), "{table}");
    let valued = ["customer", "valuation", customer, "--currency", "EUR"];
    assert_eq!(asks.ask("valueCustomer", &valued).0["currency"], "EUR");
    let erased = ["customer", "erase", customer, "--yes", "--key", "e"];
    assert_eq!(asks.ask("eraseCustomer", &erased).0["legalName"], "(erased)");
}

fn about_assets_and_rates(asks: &mut Asks<'_>) {
    let points = [
        "asset",
        "create",
        "--code",
        "POINTS",
        "--exponent",
        "0",
        "--key",
        "p",
    ];
    assert_eq!(asks.ask("registerAsset", &points).0["kind"], "custom");
    asks.ask("listAssets", &["asset", "list"]);
    let rate = [
        "rate",
        "put",
        "--base",
        "EUR",
        "--quote",
        "USD",
        "--rate",
        "1.0832",
        "--as-of",
        "2026-01-01T00:00:00Z",
    ];
    let (put, _) = asks.ask(
        "putRates",
        &[&rate[..], &["--source", "ECB", "--key", "r"]].concat(),
    );
    assert_eq!(put["count"], 1);
    let line = |quote: &str| {
        json!({"base": "EUR", "quote": quote, "rate": "2", "asOf": "2026-01-02T00:00:00Z", "source": "x"})
            .to_string()
    };
    let lines = format!("{}\n\n{}\n", line("CHF"), line("GBP"));
    let put = asks
        .shell
        .run_with(&["rate", "put", "--file", "-", "--json"], &lines);
    assert!(stdout(&put).contains("\"count\":2"), "{}", said(&put));
    let (rates, _) = asks.ask("listRates", &["rate", "list"]);
    assert_eq!(rates["items"].as_array().map(Vec::len), Some(3));
}

fn about_accounts(asks: &mut Asks<'_>, client: &str) -> [String; 3] {
    let open = |purpose| ["account", "create", "--owner", client, "--purpose", purpose];
    let world = asks.make("createAccount", &open("external"));
    let main = asks
        .shell
        .id(&[&open("main")[..], &["--label", "Till", "--credit", "USD=100"]].concat());
    let side = asks.shell.id(&open("wallet"));
    let (found, table) = asks.ask("getAccount", &["account", "get", &main]);
    assert_eq!(found["limits"], json!([{"asset": "USD", "credit": "100"}]));
    assert!(table.contains("limits") && table.contains("Till"), "{table}");
    let (found, _) = asks.ask("listAccounts", &["account", "list", "--owner", client]);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(3));
    let change = [
        "account",
        "update",
        &main,
        "--max-balance",
        "USD=9000",
        "--credit",
        "USD=50",
        "--credit",
        "EUR=1",
        "--key",
        "l",
    ];
    let (changed, _) = asks.ask("updateAccount", &change);
    let limits =
        json!([{"asset": "USD", "credit": "50", "maxBalance": "9000"}, {"asset": "EUR", "credit": "1"}]);
    let mut limits = limits.as_array().expect("limits").clone();
    let mut found = changed["limits"].as_array().expect("limits").clone();
    for list in [&mut limits, &mut found] {
        list.sort_by_key(|limit| limit["asset"].to_string());
    }
    assert_eq!(found, limits);
    let clear = [
        "account", "update", &main, "--credit", "USD=0", "--credit", "EUR=0",
    ];
    let cleared = asks.shell.json(&[&clear[..], &["--status", "active"]].concat());
    assert_eq!(cleared["limits"], json!([]));
    [world, main, side]
}

fn about_transactions(asks: &mut Asks<'_>, world: &str, main: &str, side: &str) {
    let post = [
        "post", "--from", world, "--to", main, "--to", side, "--asset", "USD", "--amount", "5000",
        "--amount", "70",
    ];
    let posted = asks.make(
        "postTransaction",
        &[&post[..], &["--reference", "INV-7"]].concat(),
    );
    let posted = posted.as_str();
    let (found, table) = asks.ask("getBalances", &["balance", main]);
    assert_eq!(found["balances"][0]["settled"], "5000");
    assert!(table.contains("settled") && table.contains("5000"), "{table}");
    let then = asks
        .shell
        .json(&["balance", main, "--recorded-at", "2020-01-01T00:00:00Z"]);
    assert_eq!(then["balances"], json!([]));
    let (found, table) = asks.ask("listEntries", &["account", "entries", main]);
    assert_eq!(found["items"][0]["balance"]["settled"], "5000");
    assert!(table.contains("INV-7"), "{table}");
    let (found, table) = asks.ask("getTransaction", &["transaction", "get", posted]);
    assert_eq!(found["postings"].as_array().map(Vec::len), Some(2));
    assert!(table.contains("postings\nfrom"), "{table}");
    let (found, table) = asks.ask(
        "listTransactions",
        &["transaction", "list", "--reference", "INV-7"],
    );
    assert_eq!(found["items"][0]["id"], posted);
    assert_eq!(table.lines().count(), 3, "a line for each posting: {table}");
    let back = ["transaction", "reverse", posted, "--part", "1=30", "--key", "v"];
    assert_eq!(asks.ask("reverseTransaction", &back).0["reverses"], posted);
}

fn about_batches(asks: &mut Asks<'_>, world: &str, side: &str) {
    let transaction = |id: u32, amount: &str| {
        let posting = json!({"from": world, "to": side, "asset": "USD", "amount": amount});
        json!({"id": format!("0199aaaa-0000-7000-8000-{id:012}"), "postings": [posting]}).to_string()
    };
    let batch = format!("{}\n{}\n", transaction(1, "1"), transaction(2, "2"));
    let (done, table) = asks.ask_with("postBatch", &["transaction", "batch", "-"], &batch);
    assert_eq!(done["results"][1]["status"], "posted");
    assert!(table.contains("replayed"), "the ids make it known again: {table}");
    let file = asks.shell.home.path().join("batch.ndjson");
    std::fs::write(&file, transaction(3, "3")).expect("a file");
    let atomic = [
        "transaction",
        "batch",
        file.to_str().expect("text"),
        "--atomic",
        "--key",
        "all",
    ];
    assert_eq!(asks.shell.json(&atomic)["results"][0]["status"], "posted");
    let left = settled(
        &Client::to(&asks.shell.server.url).bearing(&asks.shell.token),
        side,
        "USD",
    );
    assert_eq!(left, 70 - 30 + 1 + 2 + 3);
}

fn about_holds(asks: &mut Asks<'_>, world: &str, main: &str) {
    let hold = [
        "post",
        "--from",
        main,
        "--to",
        world,
        "--asset",
        "USD",
        "--amount",
        "400",
        "--hold",
        "--expires-at",
        LATER,
    ];
    let hold = asks.shell.id(&hold);
    let hold = hold.as_str();
    let part = ["hold", "capture", hold, "--amount", "150", "--key", "h1"];
    assert_eq!(asks.ask("captureHold", &part).0["holdId"], hold);
    let rest = ["hold", "release", hold, "--part", "0=50", "--key", "h2"];
    assert_eq!(asks.ask("releaseHold", &rest).0["type"], "release");
    let (found, table) = asks.ask("getHold", &["hold", "get", hold]);
    assert_eq!(
        (&found["status"], &found["postings"][0]["remaining"]),
        (&json!("held"), &json!("200"))
    );
    assert!(table.contains("remaining"), "{table}");
    let (found, _) = asks.ask(
        "listHolds",
        &["hold", "list", "--account", main, "--status", "held"],
    );
    assert_eq!(found["items"][0]["id"], hold);
}
