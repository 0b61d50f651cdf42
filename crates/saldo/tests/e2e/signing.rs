//! Signed tokens on two servers over one database, while the key that signs them is rotated.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Home, Server, run, said};

/// Longer than a server may take to see what another did; nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again until it is so.
fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

/// A signed token of a key, from this server.
fn token(server: &Server, key: &Value) -> String {
    let pair = json!({"apiKey": key["apiKey"], "apiSecret": key["apiSecret"]});
    let answer = Client::to(&server.url).post("/v0.9/auth/token", &pair).json(200);
    answer["accessToken"].as_str().expect("a token").to_owned()
}

/// The head of a token, which names the key that signed it.
fn head(token: &str) -> &str {
    token.split('.').next().expect("a head")
}

/// Whether a token works: then the customer is found, and else nobody is asked for.
fn works(server: &Server, customer: &str, token: &str) -> bool {
    let path = format!("/v0.9/customers/{customer}/balance");
    let answer = Client::to(&server.url).bearing(token).get(&path, &[]);
    assert!([200, 401].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

#[test]
fn two_servers_sign_with_one_key_at_a_time() {
    let home = Home::in_a_database();
    let store = home.store();
    let made = run(&["init", "--store", &store]);
    assert!(made.status.success(), "{}", said(&made));
    let operator = String::from_utf8(made.stdout).expect("a token").trim().to_owned();
    let start = |name: &str| {
        let log = home.path().join(name);
        Server::start_with(crate::harness::saldo(&["serve", "--store", &store]), &log)
    };
    let (one, other) = (start("one"), start("other"));
    let operate = |server: &Server| Client::to(&server.url).bearing(&operator);
    let rotate =
        |server: &Server, body: &Value| operate(server).post("/api/v1/signing-key/rotate", body).json(200);
    let client = operate(&one)
        .post("/api/v1/clients", &json!({"legalName": "Acme"}))
        .json(201);
    let keys = format!("/api/v1/clients/{}/keys", client["id"].as_str().expect("an id"));
    let scopes = json!({"label": "", "scopes": ["read", "admin"]});
    let key = operate(&one).post(&keys, &scopes).json(201);
    let admin = Client::to(&one.url).bearing(key["token"].as_str().expect("a token"));
    let customer = admin
        .post("/api/v1/customers", &json!({"legalName": "Ada"}))
        .json(201);
    let customer = customer["spellings"]["typeid"]
        .as_str()
        .expect("an id")
        .to_owned();
    let works = |server: &Server, token: &str| works(server, &customer, token);

    let first = token(&one, &key);
    assert_eq!(
        head(&first),
        head(&token(&other, &key)),
        "both sign with the store's key"
    );
    assert!(works(&one, &first) && works(&other, &first));
    rotate(&one, &json!({}));
    let second = token(&one, &key);
    assert_ne!(head(&second), head(&first));
    // The first that the other one hears of it is this token.
    assert!(works(&other, &second) && works(&one, &second));
    for server in [&one, &other] {
        assert!(works(server, &first));
        assert_eq!(head(&token(server, &key)), head(&second));
    }
    // What it hears of by itself: nobody shows it such a token.
    rotate(&one, &json!({}));
    let third = head(&token(&one, &key)).to_owned();
    until("the other server signs with the new key", || {
        head(&token(&other, &key)) == third
    });
    assert!(works(&other, &first) && works(&other, &second));

    // What is revoked here is revoked there; here at once.
    let left = rotate(&other, &json!({"revokeOld": true}));
    assert_eq!(left["earlier"], json!([]));
    assert!(!works(&other, &first) && !works(&other, &second));
    until("the first server hears of it", || !works(&one, &first));
    assert!(!works(&one, &second));
    let last = token(&one, &key);
    assert!(works(&one, &last) && works(&other, &last));
    one.kill();
    other.stop();
    let again = start("again");
    assert!(works(&again, &last) && !works(&again, &second));
    assert_eq!(head(&token(&again, &key)), head(&last));
    again.stop();
    home.verify();

    // Damage is not passed over, and what to do is said.
    home.sql("update saldo.secrets set value = set_byte(value, 20, 255 - get_byte(value, 20))");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--store", &store]);
    let why = said(&refused);
    assert!(
        !refused.status.success() && why.contains("the signing keys are damaged"),
        "{why}"
    );
    home.sql("delete from saldo.secrets");
    let new = start("new");
    assert!(!works(&new, &last) && works(&new, &token(&new, &key)));
    new.stop();
}
