//! Making stores, starting and stopping on them, and what is refused.

use serde_json::json;

use super::home;
use crate::harness::{Client, Server, run, said, settled, transaction};

#[test]
fn a_sandbox_keeps_its_world_and_mints_fresh_keys() {
    let home = home();
    let first = home.sandbox();
    let (external, main) = (
        first.on_card("/accounts/external"),
        first.on_card("/accounts/main"),
    );
    let before = settled(&first.native(), &main, "USD");
    let id = "0199aaaa-0000-7000-8000-000000000001";
    let posting = transaction(id, &external, &main, "USD", 4_200);
    first.native().post("/api/v1/transactions", &posting).json(201);
    let old = first.card.clone();
    let (status, _) = first.server.stop();
    assert_eq!(status.code(), Some(0));

    let second = home.sandbox();
    for kept in [
        "/conduit/customerId",
        "/magicline/customerId",
        "/accounts/main",
        "/light/accountId",
    ] {
        assert_eq!(second.card.pointer(kept), old.pointer(kept), "{kept}");
    }
    assert_eq!(settled(&second.native(), &main, "USD"), before + 4_200);
    for fresh in [
        "/native/token",
        "/conduit/apiSecret",
        "/magicline/apiKey",
        "/polygon/apiKey",
        "/light/apiKey",
    ] {
        assert_ne!(second.card.pointer(fresh), old.pointer(fresh), "{fresh}");
    }
    let earlier = Client::to(&second.server.url).bearing(old["native"]["token"].as_str().expect("a token"));
    assert!(earlier.post("/api/v1/transactions", &posting).replayed);
    assert_eq!(settled(&earlier, &main, "USD"), before + 4_200);
}

#[test]
fn a_store_is_made_once_and_serves() {
    let home = home();
    let store = home.store();
    let serve = ["serve", "--store", &store];
    let missing = said(&run(&serve));
    assert!(missing.contains("saldo init --store"), "{missing}");

    let made = run(&["init", "--store", &store, "--rlusd-exponent", "2"]);
    assert!(made.status.success(), "{}", said(&made));
    let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let again = run(&["init", "--store", &store]);
    assert!(
        !again.status.success() && said(&again).contains("already"),
        "{}",
        said(&again)
    );
    let sandbox = run(&["sandbox", "--listen", "127.0.0.1:0", "--store", &store]);
    assert!(
        !sandbox.status.success() && said(&sandbox).contains("not a sandbox"),
        "{}",
        said(&sandbox)
    );

    let server = Server::start(&serve, home.path());
    let operator = Client::to(&server.url).bearing(&token);
    let client = operator
        .post("/api/v1/clients", &json!({"legalName": "Tidewater Ltd"}))
        .json(201);
    let root = client["id"].as_str().expect("an id");
    let keys = format!("/api/v1/clients/{root}/keys");
    let key = operator
        .post(
            &keys,
            &json!({"label": "all", "scopes": ["read", "post", "admin"]}),
        )
        .json(201);
    let own = Client::to(&server.url).bearing(key["token"].as_str().expect("a token"));
    let open = |purpose: &str| {
        let account = own
            .post("/api/v1/accounts", &json!({"ownerId": root, "purpose": purpose}))
            .json(201);
        account["id"].as_str().expect("an id").to_owned()
    };
    let (external, main) = (open("external"), open("main"));
    let id = "0199aaaa-0000-7000-8000-000000000002";
    own.post(
        "/api/v1/transactions",
        &transaction(id, &external, &main, "RLUSD@xrpl", 101),
    )
    .json(201);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");

    let server = Server::start(&serve, home.path());
    let own = Client::to(&server.url).bearing(key["token"].as_str().expect("a token"));
    assert_eq!(settled(&own, &main, "RLUSD@xrpl"), 101);
}

#[test]
fn a_production_server_on_a_sandbox_says_so() {
    let home = home();
    let sandbox = home.sandbox();
    let (pair, customer) = (sandbox.conduit(), sandbox.on_card("/conduit/customerId"));
    let (status, _) = sandbox.server.stop();
    assert_eq!(status.code(), Some(0));
    drop(pair);
    let store = home.store();
    let server = Server::start(&["serve", "--store", &store], home.path());
    let answer = Client::to(&server.url).get(&format!("/customers/{customer}/account"), &[]);
    assert_eq!(answer.status, 401);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("this is a sandbox"), "{log}");
}

#[test]
fn a_taken_port_is_named() {
    let home = home();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let store = home.store();
    let refused = run(&["sandbox", "--listen", &address, "--store", &store]);
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains(&address) && said(&refused).contains("--listen"),
        "{}",
        said(&refused)
    );
    assert!(!home.has_store());
}
