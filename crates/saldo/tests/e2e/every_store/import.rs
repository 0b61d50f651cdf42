//! `saldo import`: what was exported is the same when it is imported, and what is wrong is told, all at once.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::home;
use crate::harness::{Client, Home, Random, Server, run, said, saldo, setting, settled, transaction};

/// A store with an operator, and empty books in it.
struct Empty {
    home: Home,
    operator: String,
    roots: Vec<String>,
}

impl Empty {
    fn new(books: usize) -> Self {
        let home = home();
        let made = run(&["init", "--store", &home.store()]);
        assert!(made.status.success(), "{}", said(&made));
        let operator = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let server = Server::start(&["serve", "--store", &home.store()], home.path());
        let client = Client::to(&server.url).bearing(&operator);
        let new = json!({"legalName": "Somebody", "timeZone": "Asia/Tokyo"});
        let roots = (0..books)
            .map(|_| {
                client.post("/api/v1/clients", &new).json(201)["id"]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
            .collect();
        server.stop();
        Self {
            home,
            operator,
            roots,
        }
    }

    fn import(&self, root: usize, file: &Path, more: &[&str]) -> Output {
        let arguments = [
            "import",
            "--store",
            &self.home.store(),
            "--book",
            &self.roots[root],
        ]
        .map(str::to_owned);
        let file = file.to_str().expect("text").to_owned();
        let all: Vec<_> = arguments
            .into_iter()
            .chain([file])
            .chain(more.iter().map(|more| (*more).to_owned()))
            .collect();
        run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn imported(&self, root: usize, file: &Path) -> String {
        let done = self.import(root, file, &[]);
        assert!(
            done.status.success() && said(&done).starts_with("OK"),
            "{}",
            said(&done)
        );
        said(&done)
    }

    /// What is said of a file that is wrong, which changes nothing.
    fn refused(&self, root: usize, name: &str, content: &[u8]) -> String {
        let file = self.home.path().join(name);
        std::fs::write(&file, content).expect("a file");
        let done = self.import(root, &file, &[]);
        assert!(!done.status.success(), "{}", said(&done));
        said(&done)
    }

    /// A server on it, and who uses a new key of a book.
    fn serve(&self, root: usize) -> (Server, Client) {
        let server = Server::start(&["serve", "--store", &self.home.store()], self.home.path());
        let operator = Client::to(&server.url).bearing(&self.operator);
        let new = json!({"label": "a key", "scopes": ["read", "post", "admin"]});
        let made = operator
            .post(&format!("/api/v1/clients/{}/keys", self.roots[root]), &new)
            .json(201);
        let native = Client::to(&server.url).bearing(made["token"].as_str().expect("a token"));
        (server, native)
    }
}

fn export(store: &str, book: &str, file: PathBuf) -> PathBuf {
    let name = file.to_str().expect("text");
    let done = run(&[
        "export", "--store", store, "--book", book, "--format", "ndjson", "--out", name,
    ]);
    assert!(done.status.success(), "{}", said(&done));
    file
}

/// The lines with an action, without positions; the root client has the same name in all.
fn actions(file: &Path, root: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file)
        .expect("the export")
        .replace(root, "root");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut all: Vec<Value> = lines.filter(|line| line.get("action").is_some()).collect();
    for line in &mut all {
        line.as_object_mut().expect("an object").remove("position");
    }
    all
}

/// A sandbox whose books hold a bit of everything; answers its root client, and the accounts with what they have.
fn world(home: &Home) -> (String, Vec<(String, Value)>, String) {
    let sandbox = home.sandbox();
    let native = sandbox.native();
    let (external, main) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let mut random = Random(3);
    native
        .post(
            "/api/v1/assets",
            &json!({"code": "PTS", "exponent": 0, "kind": "custom"}),
        )
        .json(201);
    let mut all: Vec<Value> = (0..700)
        .map(|_| transaction(&random.uuid(), &external, &main, "PTS", 1 + random.below(1_000)))
        .collect();
    for (nth, one) in all.iter_mut().enumerate().step_by(7) {
        one["reference"] = format!("№ {nth} \"quoted\" \\ \u{1f4b6}").into();
        one["effectiveAt"] = format!("20{:02}-03-04T05:06:07.000008Z", nth % 60).into();
        one["metadata"] = json!({"nth": nth});
    }
    for some in all.chunks(100) {
        native
            .post("/api/v1/transactions/batch", &json!({"transactions": some}))
            .json(200);
    }
    let two = json!({"transactions": all[..2].iter().map(|one| {
        let mut one = one.clone();
        one["id"] = random.uuid().into();
        one
    }).collect::<Vec<_>>(), "atomic": true});
    native.post("/api/v1/transactions/batch", &two).json(200);
    let mut hold = transaction(&random.uuid(), &main, &external, "PTS", 50);
    hold["hold"] = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    native.post("/api/v1/transactions", &hold).json(201);
    let id = hold["id"].as_str().expect("an id");
    native
        .post(
            &format!("/api/v1/holds/{id}/capture"),
            &json!({"amount": "20", "final": false}),
        )
        .json(201);
    native.post(&format!("/api/v1/holds/{id}/release"), &json!({"amount": "10"}));
    let reversed = all[3]["id"].as_str().expect("an id");
    native
        .post(&format!("/api/v1/transactions/{reversed}/reverse"), &json!({}))
        .json(201);
    let customer = native
        .post(
            "/api/v1/customers",
            &json!({"legalName": "Gone Soon", "externalId": "x"}),
        )
        .json(201);
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().expect("an id"));
    native.post(&format!("{path}/erase"), &json!({})).json(200);
    let root = native.get("/api/v1/clients", &[]).json(200)["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let when = "recordedAt=2020-01-01T00:00:00Z&effectiveAt=2031-01-01T00:00:00Z";
    let accounts = [external, main];
    let paths = accounts.iter().flat_map(|account| {
        let path = format!("/api/v1/accounts/{account}/balances");
        [
            path.clone(),
            format!("{path}?effectiveAt=2031-06-01T00:00:00Z"),
            format!("{path}?{when}"),
        ]
    });
    let seen = paths
        .map(|path| (path.clone(), native.get(&path, &[]).json(200)["balances"].clone()))
        .collect();
    sandbox.server.stop();
    (root, seen, all[0]["id"].as_str().expect("an id").to_owned())
}

#[test]
fn a_book_comes_back_as_it_was() {
    let from = home();
    let (root, seen, first) = world(&from);
    let file = export(&from.store(), "1", from.path().join("book.ndjson"));
    let empty = Empty::new(2);
    let checked = empty.import(0, &file, &["--check"]);
    assert!(
        checked.status.success() && said(&checked).contains("could be imported"),
        "{}",
        said(&checked)
    );
    // Killed again and again, it goes on.
    let mut random = Random(setting("SALDO_TEST_SEED", 1));
    for _ in 0..setting("SALDO_TEST_KILLS", 20).div_ceil(4) {
        let mut command = saldo(&[
            "import",
            "--store",
            &empty.home.store(),
            "--book",
            &empty.roots[0],
        ]);
        let mut import = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (_alive, never) = channel::<()>();
        let moment = Duration::from_millis(random.below(600));
        assert_eq!(never.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
        import.kill().expect("SIGKILL");
        import.wait().expect("it ends");
    }
    empty.imported(0, &file);
    let again = empty.imported(0, &file);
    assert!(again.starts_with("OK: 0 actions imported"), "{again}");
    empty.home.verify();
    let back = export(
        &empty.home.store(),
        &empty.roots[0],
        empty.home.path().join("back.ndjson"),
    );
    let (expected, found) = (actions(&file, &root), actions(&back, &empty.roots[0]));
    // The root client was made here, and is what it was there by a change right after.
    let is_root = |line: &&Value| {
        line.pointer("/action/clientChange/id")
            .is_some_and(|id| id == "root")
    };
    assert_eq!(
        found.iter().filter(is_root).count(),
        1 + expected.iter().filter(is_root).count()
    );
    let others = |lines: &[Value]| -> Vec<Value> {
        let is_asset = |line: &&Value| line.pointer("/action/asset/shared").is_some();
        lines
            .iter()
            .filter(|line| !is_root(line) && !is_asset(line))
            .cloned()
            .collect()
    };
    assert_eq!(others(&found), others(&expected));
    let (server, native) = empty.serve(0);
    for (path, balances) in seen {
        assert_eq!(native.get(&path, &[]).json(200)["balances"], balances, "{path}");
    }
    let client = native.get(&format!("/api/v1/clients/{}", empty.roots[0]), &[]);
    let mut zones = found
        .iter()
        .filter_map(|line| line.pointer("/action/clientChange/timeZone"));
    assert_eq!(zones.next_back(), Some(&client.json(200)["timeZone"]));
    assert_eq!(
        native.get(&format!("/api/v1/transactions/{first}"), &[]).status,
        200
    );
    server.stop();
    // The book is not empty any more, and another file is not mixed with it.
    let csv = empty.refused(0, "balances.csv", b"customer,asset,amount\n1,USD,1\n");
    assert!(csv.contains("other records"), "{csv}");
}

#[test]
fn opening_balances_are_posted() {
    let empty = Empty::new(1);
    let file = empty.home.path().join("balances.csv");
    let text = "customer,name,asset,amount\r\n7,\"Ada, \"\"Countess\"\"\",EUR,1234.50\n7,,JPY,12\n9,,EUR,-20\n11,Nobody,USD,0.00\n";
    std::fs::write(&file, text).expect("a file");
    assert!(
        empty.imported(0, &file).starts_with("OK: 10 actions"),
        "{}",
        empty.imported(0, &file)
    );
    let (server, native) = empty.serve(0);
    let accounts = native.get("/api/v1/accounts?limit=100", &[]).json(200);
    let mut found: Vec<_> = accounts["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|account| {
            let id = account["id"].as_str().expect("an id");
            (
                account["purpose"].as_str().expect("text").to_owned(),
                settled(&native, id, "EUR"),
                settled(&native, id, "JPY"),
            )
        })
        .collect();
    found.sort();
    let expected = [
        ("external", -121_450, -12),
        ("main", 0, 0),
        ("main", 123_450, 12),
        ("receivable", -2_000, 0),
    ];
    assert_eq!(
        found,
        expected.map(|(purpose, eur, jpy)| (purpose.to_owned(), eur, jpy))
    );
    let customers = native.get("/api/v1/customers?limit=100", &[]).json(200);
    let names: Vec<_> = customers["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["legalName"].clone())
        .collect();
    assert_eq!(names, ["Ada, \"Countess\"", "Customer 9", "Nobody"]);
    server.stop();
    assert!(
        empty.imported(0, &file).starts_with("OK: 0 actions"),
        "it is there"
    );
    empty.home.verify();
}

#[test]
fn every_problem_is_told_with_its_line() {
    let empty = Empty::new(1);
    let csv = "customer,name,asset,amount\n0,,USD,1\n1,,XYZ,1\n2,,USD,1.234\n3,,USD,1,5\n4,,USD,x\n5,A,USD,1\n5,B,EUR,1\n5,A,USD,2\n";
    let mut csv = csv.as_bytes().to_vec();
    csv.extend_from_slice(b"6,\xff\xfe,USD,1\n7,,JPY,170141183460469231731687303715884105728\n");
    let said = empty.refused(0, "wrong.csv", &csv);
    for line in [2, 3, 4, 5, 6, 8, 9, 10, 11] {
        assert!(said.contains(&format!("line {line}: ")), "line {line}: {said}");
    }
    assert!(
        !said.contains("line 7: ") && said.contains("nothing was changed"),
        "{said}"
    );
    for (head, what) in [
        ("customer,amount\n", "`asset` is missing"),
        ("account,asset,amount\n", "no column `account`"),
        ("", "missing"),
    ] {
        let said = empty.refused(0, "head.csv", head.as_bytes());
        assert!(said.contains(what), "{said}");
    }

    let (a, b, c) = (
        "00000000-0000-7000-8000-00000000000a",
        "00000000-0000-7000-8000-00000000000b",
        "00000000-0000-7000-8000-00000000000c",
    );
    let root = "00000000-0000-7000-8000-000000000001";
    let post = |id: u32, from: &str, to: &str, asset: &str, amount: &str| {
        let posting = json!({"from": from, "to": to, "asset": asset, "amount": amount});
        json!({"transaction": {"id": format!("00000000-0000-4000-8000-{id:012}"), "postings": [posting]}})
    };
    let at = |time: &str, action: Value| json!({"recordedAt": time, "action": action}).to_string();
    let account =
        |id: &str, purpose: &str| json!({"account": {"id": id, "client": root, "purpose": purpose}});
    let lines = [
        json!({"saldoBook": {"version": 1, "client": root}}).to_string(),
        at("2024-01-01T00:00:00Z", account(a, "external")),
        at("2024-01-01T00:00:00Z", account(b, "main")),
        at("2024-01-01T00:00:01Z", post(1, a, b, "USD", "100")),
        at("2024-01-01T00:00:02Z", post(2, b, a, "USD", "101")),
        at("2024-01-01T00:00:03Z", post(3, a, c, "USD", "1")),
        at("2024-01-01T00:00:04Z", post(4, a, b, "XYZ", "1")),
        at("2024-01-01T00:00:05Z", post(5, a, b, "USD", "1.5")),
        at("2024-01-01T00:00:00Z", post(6, a, b, "USD", "1")),
        at("2999-01-01T00:00:00Z", post(7, a, b, "USD", "1")),
        at("2024-01-01T00:00:06Z", post(1, a, b, "USD", "100")),
        at(
            "2024-01-01T00:00:07Z",
            json!({"transaction": {"id": a, "postings": [], "oops": 1}}),
        ),
        "{\"action\": {\"customerErased\": {\"id\": \"nonsense\"}}}".to_owned(),
        "{".repeat(5_000),
        "[1]".to_owned(),
        at(
            "2024-01-01T00:00:08Z",
            json!({"customer": {"id": c, "client": root, "legalName": "", "number": 1}}),
        ),
        json!({"end": {"actions": 99}}).to_string(),
    ];
    let mut all = lines.join("\n").into_bytes();
    all.extend_from_slice(b"\n\xc3\x28\n");
    let said = empty.refused(0, "wrong.ndjson", &all);
    for (line, what) in [
        (5, "insufficient_funds"),
        (6, "account_not_found"),
        (7, "asset_not_found"),
        (8, "amount"),
        (9, "before that of a line before"),
        (10, "future"),
        (11, "same id"),
        (12, "oops"),
        (13, "must be an id"),
        (14, "byte"),
        (15, ""),
        (16, "legalName"),
        (18, "nothing may be behind"),
    ] {
        let told = said
            .lines()
            .find(|told| told.starts_with(&format!("line {line}: ")))
            .unwrap_or_default();
        assert!(
            !told.is_empty() && told.contains(what),
            "line {line}, {what}: {said}"
        );
    }
    assert!(
        said.lines()
            .all(|told| !told.starts_with("line 2: ") && !told.starts_with("line 4: ")),
        "{said}"
    );
    let many = format!("{}\n{}", lines[0], "x\n".repeat(250));
    let said = empty.refused(0, "many.ndjson", many.as_bytes());
    assert!(said.contains("line 101: ") && said.contains("more"), "{said}");
    for (text, what) in [
        (String::new(), "cut off"),
        (lines[0].clone(), "cut off"),
        (lines[1].clone(), "the first line must be"),
        (
            lines[0].replace("\"version\":1", "\"version\":2"),
            "this program reads 1",
        ),
    ] {
        let said = empty.refused(0, "part.ndjson", text.as_bytes());
        assert!(said.contains(what), "{what}: {said}");
    }
    // Nothing of all that is in the book: an import into it still finds it empty.
    let good = [&lines[..4], &[json!({"end": {"actions": 3}}).to_string()]]
        .concat()
        .join("\n");
    let file = empty.home.path().join("good.ndjson");
    std::fs::write(&file, good).expect("a file");
    assert!(empty.imported(0, &file).starts_with("OK: 3 actions imported"));
    let nowhere = run(&[
        "import",
        "--store",
        &empty.home.store(),
        "--book",
        "99",
        file.to_str().expect("text"),
    ]);
    assert!(
        !nowhere.status.success() && crate::harness::said(&nowhere).contains("no such book"),
        "{}",
        crate::harness::said(&nowhere)
    );
}
