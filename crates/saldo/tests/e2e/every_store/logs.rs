//! The log: what is in it, in which form, with the request that it is about, and what is never in it.

use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::{Value, json};

use super::home;
use crate::harness::{Answer, Client, Home, Server, run, saldo, transaction};

const ID: &str = "0199aaaa-0000-7000-8000-000000000001";

/// A store with a sandbox's world, and the token of its native API and two accounts.
struct World {
    home: Home,
    token: String,
    external: String,
    main: String,
}

impl World {
    fn make() -> Self {
        let home = home();
        let sandbox = home.sandbox();
        let card = |pointer| sandbox.on_card(pointer);
        let world = (
            card("/native/token"),
            card("/accounts/external"),
            card("/accounts/main"),
        );
        assert!(sandbox.server.stop().0.success());
        let (token, external, main) = world;
        Self {
            home,
            token,
            external,
            main,
        }
    }

    /// Serves, logging as is said.
    fn serve(&self, flags: &[&str], wanted: &str) -> (Server, Client) {
        let mut command = saldo(&[&["serve", "--store", &self.home.store()], flags].concat());
        command.env("SALDO_LOG", wanted);
        let server = Server::start_with(command, &self.home.path().join("log"));
        let client = Client::to(&server.url).bearing(&self.token);
        (server, client)
    }

    /// Makes every record unreadable, behind the server's back.
    fn damage(&self) {
        let segment = Path::new(&self.home.store()).join("00000001.log");
        if !segment.exists() {
            self.home.sql("update saldo.commands set record = '\\x00'");
            return;
        }
        let mut bytes = std::fs::read(&segment).expect("the segment");
        bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 0x10);
        let file = std::fs::File::options().write(true).open(&segment);
        file.and_then(|file| file.write_all_at(&bytes, 0))
            .expect("it is written over");
    }
}

/// A request that fails for a reason of ours, and one that takes its time.
fn trouble(world: &World, client: &Client) -> (Answer, Answer) {
    let posted = transaction(ID, &world.external, &world.main, "USD", 5);
    client.post("/api/v1/transactions", &posted).json(201);
    world.damage();
    let failed = client.get(&format!("/api/v1/transactions/{ID}"), &[]);
    assert_eq!(failed.status, 500, "{}", failed.text);
    let late = [("Saldo-Min-Position", "4000000000")];
    let slow = client.get("/api/v1/keys", &late);
    assert_eq!(slow.status, 503, "{}", slow.text);
    (failed, slow)
}

#[test]
fn each_line_of_json_is_an_object_with_the_request_that_it_is_about() {
    let world = World::make();
    let (server, client) = world.serve(&["--log-format", "json"], "info");
    let (failed, slow) = trouble(&world, &client);
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for name in ["time", "level", "target", "message"] {
            assert!(
                line[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {line}"
            );
        }
        let time = line["time"].as_str().expect("text");
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
    }
    let about = |answer: &Answer| {
        let id = answer.request.as_str();
        assert!(!id.is_empty());
        lines
            .iter()
            .filter(|line| line["request"] == id)
            .collect::<Vec<_>>()
    };
    let [error] = about(&failed)[..] else {
        panic!("one line: {log}")
    };
    assert_eq!(
        (&error["level"], &error["target"]),
        (&json!("ERROR"), &json!("dialects::answer"))
    );
    assert_eq!(error["fields"]["dialect"], "native");
    assert_eq!(error["fields"]["path"], format!("/api/v1/transactions/{ID}"));
    let [warning] = about(&slow)[..] else {
        panic!("one line: {log}")
    };
    assert_eq!(
        (&warning["level"], &warning["message"]),
        (&json!("WARN"), &json!("slow answer"))
    );
    let fields = &warning["fields"];
    assert_eq!(
        (&fields["method"], &fields["status"]),
        (&json!("GET"), &json!(503))
    );
    assert_eq!(fields["client"], "127.0.0.1");
    assert!(fields["micros"].as_u64() > Some(1_000_000), "{warning}");
    // Requests that went well, and those that were refused, are not logged.
    assert_eq!(
        lines.iter().filter(|line| line["request"].is_string()).count(),
        2,
        "{log}"
    );
}

#[test]
fn lines_of_text_name_the_request_too() {
    let world = World::make();
    let (server, client) = world.serve(&[], "info");
    let (failed, slow) = trouble(&world, &client);
    let log = server.log();
    for (answer, level) in [(failed, "ERROR"), (slow, "WARN")] {
        let name = format!("request={}", answer.request);
        let mut lines = log.lines().filter(|line| line.ends_with(&name));
        assert!(
            lines.next().is_some_and(|line| line.contains(level)),
            "{name}: {log}"
        );
    }
}

#[test]
fn what_ends_the_server_is_a_line_too() {
    let home = home();
    let nowhere = home.path().join("nowhere");
    let nowhere = nowhere.to_str().expect("text");
    let failed = run(&["serve", "--store", nowhere, "--log-format", "json"]);
    assert_eq!(failed.status.code(), Some(1));
    let line: Value = serde_json::from_slice(&failed.stderr).expect("one line of JSON");
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("saldo init")),
        "{line}"
    );
    let failed = run(&["serve", "--store", nowhere, "--log-format", "xml"]);
    let said = String::from_utf8(failed.stderr).expect("text");
    assert!(said.contains("xml") && said.contains("json"), "{said}");
}

#[test]
fn every_request_is_logged_for_who_asks_for_that() {
    let world = World::make();
    let (server, client) = world.serve(&["--log-format", "json"], "info,saldo::access=debug");
    let answers = [
        client.get("/api/v1/keys?limit=7", &[]),
        client.get("/nowhere", &[]),
        client.get("/healthz", &[]),
    ];
    let log = server.log();
    for (answer, path) in answers.iter().zip(["/api/v1/keys", "/nowhere", "/healthz"]) {
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut lines = lines.filter(|line| line["request"] == answer.request.as_str());
        let line = lines.next().unwrap_or_else(|| panic!("{path}: {log}"));
        assert_eq!(line["target"], "saldo::access");
        let fields = &line["fields"];
        assert_eq!(
            (&fields["path"], &fields["status"]),
            (&json!(path), &json!(answer.status))
        );
    }
}

#[test]
fn secrets_and_what_is_written_about_people_are_never_logged() {
    let world = World::make();
    let (server, client) = world.serve(&["--log-format", "json"], "trace");
    let made = client.get("/api/v1/clients", &[]).json(200);
    let root = made["items"][0]["id"].as_str().expect("an id").to_owned();
    let key = json!({"label": "Wanda's key", "scopes": ["read", "CUSTOMER_ACCOUNT_READ"]});
    let key = client
        .post(&format!("/api/v1/clients/{root}/keys"), &key)
        .json(201);
    let secret = |name: &str| key[name].as_str().expect("text").to_owned();
    let customer =
        json!({"legalName": "Wanda Quist", "externalId": "crm-wanda", "metadata": {"note": "left-handed"}});
    client.post("/api/v1/customers", &customer).json(201);
    let mut posted = transaction(ID, &world.external, &world.main, "USD", 5);
    posted["reference"] = "for Wanda".into();
    posted["metadata"] = json!({"iban": "DE02120300000000202051"});
    client.post("/api/v1/transactions", &posted).json(201);
    client
        .get("/api/v1/transactions?reference=for%20Wanda", &[])
        .json(200);
    let wrong = Client::to(&server.url).bearing("saldo_wrong-wrong-wrong");
    assert_eq!(wrong.get("/api/v1/keys", &[]).status, 401);
    let pair = Client::to(&server.url)
        .with("X-API-Key", &secret("apiKey"))
        .with("X-API-Secret", &secret("apiSecret"));
    assert_eq!(pair.get("/clients/accounts", &[]).status, 200);
    assert_eq!(
        wrong
            .get(
                "/v1/customers/1/account/balances",
                &[("X-API-KEY", &secret("token"))]
            )
            .status,
        404
    );
    world.damage();
    assert_eq!(client.get(&format!("/api/v1/transactions/{ID}"), &[]).status, 500);

    let log = server.log();
    assert!(log.contains("saldo::access"), "it logs all there is: {log}");
    let token = world.token.as_str();
    let (api_secret, other) = (secret("apiSecret"), secret("token"));
    for word in [
        token,
        &api_secret,
        &other,
        "saldo_wrong",
        "Wanda",
        "Quist",
        "crm-wanda",
        "left-handed",
        "DE0212",
    ] {
        assert!(!log.contains(word), "{word} is in the log: {log}");
    }
}
