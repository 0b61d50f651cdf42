//! Requests that come again: replays, conflicts, ids that are taken; and the headers that say so.

use serde_json::json;

use super::api::{Api, id, transfer};

#[tokio::test]
async fn the_same_again_answers_as_the_first_time() {
    let api = Api::new().await;
    let main = api.funded().await;
    let external = api.world.external;
    let body = transfer(main, external, "10").to_string();
    let key = [("Idempotency-Key", "k-1")];
    let first = api.ask("POST", "/transactions", &key, &body).await.status(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let position = api.position().await;
    // Written in another way it is the same request.
    let spelled = dialects::spelling::ksuid(dialects::spelling::Prefix::Account, main.0);
    let same = body.replace(&main.to_string(), &spelled).replace(':', " : ");
    for body in [&body, &same] {
        let again = api.ask("POST", "/transactions", &key, body).await.status(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.answer.body, first.answer.body);
        assert_eq!(again.header("saldo-position"), first.header("saldo-position"));
    }
    let other = transfer(main, external, "11").to_string();
    api.ask("POST", "/transactions", &key, &other)
        .await
        .problem(409, "idempotency_conflict");
    // Rejections come again too.
    let refused = transfer(main, external, "99999").to_string();
    let key = [("Idempotency-Key", "k-2")];
    let first = api
        .ask("POST", "/transactions", &key, &refused)
        .await
        .problem(422, "insufficient_funds");
    let again = api
        .ask("POST", "/transactions", &key, &refused)
        .await
        .problem(422, "insufficient_funds");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.answer.body, first.answer.body);
    assert_eq!(api.position().await, position + 1);
    assert_eq!(api.balance(main).await[0]["settled"], "9990");
}

#[tokio::test]
async fn an_id_is_a_key_and_belongs_to_one_transaction() {
    let api = Api::new().await;
    let main = api.funded().await;
    let mut body = transfer(main, api.world.external, "10");
    body["id"] = json!(id(1));
    api.post("/transactions", body.clone()).await.status(201);
    let again = api.post("/transactions", body.clone()).await.status(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let mut other = body.clone();
    other["reference"] = json!("r");
    api.post("/transactions", other)
        .await
        .problem(409, "idempotency_conflict");
    let key = [("Idempotency-Key", "elsewhere")];
    let taken = api
        .ask("POST", "/transactions", &key, &body.to_string())
        .await
        .problem(409, "id_taken");
    assert_eq!(taken.int("/position"), api.position().await);
    assert_eq!(api.balance(main).await[0]["settled"], "9990");
}

#[tokio::test]
async fn metadata_is_one_however_it_is_written() {
    let api = Api::new().await;
    let key = [("Idempotency-Key", "m")];
    let ask = async |metadata: &str| {
        let body = format!(r#"{{"legalName":"A","metadata":{metadata}}}"#);
        api.ask("POST", "/customers", &key, &body).await
    };
    let first = ask(r#"{"b":"\u0041","a":{"y":1.50,"x":[]}}"#).await.status(201);
    assert!(
        first
            .answer
            .body
            .contains(r#""metadata":{"a":{"x":[],"y":1.50},"b":"A"}"#)
    );
    let again = ask(" { \"a\" : {\"x\":[ ], \"y\":1.50 },\n\"b\":\"A\"}")
        .await
        .status(201);
    assert_eq!(again.answer.body, first.answer.body);
    ask(r#"{"b":"A","a":{"y":1.5,"x":[]}}"#)
        .await
        .problem(409, "idempotency_conflict");
}

#[tokio::test]
async fn a_key_shows_its_secrets_once() {
    let api = Api::new().await;
    let path = format!("/clients/{}/keys", api.world.root);
    let body = json!({"label": "l", "scopes": ["read"]}).to_string();
    let key = [("Idempotency-Key", "key")];
    let first = api.ask("POST", &path, &key, &body).await.status(201);
    let again = api.ask("POST", &path, &key, &body).await.status(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.str("/id"), first.str("/id"));
    for secret in ["token", "apiKey", "apiSecret"] {
        assert!(
            first.body[secret].is_string() && again.body[secret].is_null(),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn keys_are_visible_ascii() {
    let api = Api::new().await;
    let before = api.position().await;
    let body = json!({"legalName": "A"}).to_string();
    for wrong in ["", " ", "a b", "ä", "a\tb", &"x".repeat(256)] {
        api.ask("POST", "/customers", &[("Idempotency-Key", wrong)], &body)
            .await
            .bad("Idempotency-Key");
    }
    assert_eq!(api.position().await, before);
    api.ask(
        "POST",
        "/customers",
        &[("Idempotency-Key", &"~".repeat(255))],
        &body,
    )
    .await
    .status(201);
}

#[tokio::test]
async fn a_reader_says_how_new_it_must_be() {
    let api = Api::new().await;
    let now = api.position().await;
    let ask = async |position: &str| {
        api.ask("GET", "/accounts", &[("Saldo-Min-Position", position)], "")
            .await
    };
    ask(&now.to_string()).await.status(200);
    let late = ask(&(now + 1).to_string())
        .await
        .problem(503, "position_not_reached");
    assert_eq!(late.int("/position"), now);
    assert_eq!(late.header("retry-after"), Some("1"));
    for wrong in ["", "-1", "x", "1.0"] {
        ask(wrong).await.bad("Saldo-Min-Position");
    }
}

/// Of two values one would be the wrong one; a value that can't be read is not no value.
#[tokio::test]
async fn headers_that_change_what_is_done_come_once() {
    let api = Api::new().await;
    let main = api.funded().await;
    let root = api.world.root.to_string();
    let body = transfer(main, api.world.external, "1").to_string();
    let before = api.position().await;
    for (name, one, other) in [
        ("Idempotency-Key", "k-1", "k-2"),
        ("Idempotency-Key", "k-1", "k-1"),
        ("Saldo-Book", &root, &root),
        ("Saldo-Min-Position", "1", "2"),
    ] {
        let twice = [(name, one), (name, other)];
        let refused = api.ask("POST", "/transactions", &twice, &body).await.bad(name);
        assert!(refused.str("/detail").contains("twice"), "{}", refused.body);
    }
    for wrong in ["", "x", "-1", "+1", "1.0", "18446744073709551616"] {
        let headers = [("Saldo-Min-Position", wrong)];
        let refused = api.ask("GET", "/accounts", &headers, "").await;
        refused.bad("Saldo-Min-Position");
    }
    assert_eq!(api.position().await, before);
}
