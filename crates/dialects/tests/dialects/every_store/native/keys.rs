//! Keys that take the place of others: overlap, replays, and who may not.

use ledger::Scopes;
use serde_json::{Value, json};
use service::{Caller, CreateKey, Credentials, Idempotency};

use super::super::world::START;
use super::api::{Api, Reply};

const SECOND: i64 = 1_000_000;

/// Whether a token works.
async fn works(api: &Api, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let answer = api.world.get("/api/v1/accounts", &headers).await;
    assert!([200, 401].contains(&answer.status), "{}", answer.body);
    answer.status == 200
}

/// A signed token of a key.
async fn signed(api: &Api, key: &Value) -> String {
    let body = json!({"apiKey": key["apiKey"], "apiSecret": key["apiSecret"]}).to_string();
    let answer = api.world.ask("POST", "/v0.9/auth/token", &[], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["accessToken"].as_str().unwrap().to_owned()
}

/// Whether a signed token works: then nobody is found, and else nobody is asked for.
async fn works_signed(api: &Api, token: &str) -> bool {
    let path = format!("/v0.9/customers/{}/balance", &*dialects::spelling::typeid(7));
    let bearer = format!("Bearer {token}");
    let answer = api.world.get(&path, &[("Authorization", bearer.as_str())]).await;
    assert!([404, 401].contains(&answer.status), "{}", answer.body);
    answer.status == 404
}

/// A new key of the root client.
async fn key(api: &Api, label: &str, ends: Option<&str>) -> Reply {
    let mut body = json!({"label": label, "scopes": ["read", "post"]});
    if let Some(end) = ends {
        body["expiresAt"] = json!(end);
    }
    let keys = format!("/clients/{}/keys", api.world.root);
    api.post(&keys, body).await.status(201)
}

async fn rotate(api: &Api, id: &str, body: Value) -> Reply {
    api.post(&format!("/keys/{id}/rotate"), body).await
}

async fn listed(api: &Api, id: &str) -> Value {
    let keys = api.get("/keys").await.status(200).body;
    let found = keys["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == id);
    found.unwrap().clone()
}

#[tokio::test]
async fn both_work_until_the_overlap_is_over() {
    let api = Api::new().await;
    let old = key(&api, "till \"7\"", Some("2026-12-31T00:00:00Z")).await;
    let of_old = signed(&api, &old.body).await;
    let body = json!({"overlapSeconds": 90, "expiresAt": "2027-06-30T00:00:00Z"});
    let new = rotate(&api, &old.str("/id"), body).await.status(201);
    let id = new.str("/id");
    assert_ne!(id, old.str("/id"));
    assert_eq!(
        new.header("location"),
        Some(format!("/api/v1/keys/{id}").as_str())
    );
    assert_eq!(new.header("cache-control"), Some("no-store"));
    assert_eq!(new.str("/clientId"), api.world.root.to_string());
    assert_eq!(new.str("/label"), "till \"7\"");
    assert_eq!(new.body["scopes"], json!(["read", "post"]));
    assert_eq!(new.str("/expiresAt"), "2027-06-30T00:00:00.000000Z");
    assert_eq!(new.str("/replaces/id"), old.str("/id"));
    let end = new.str("/replaces/endsAt");
    let (shown_old, shown_new) = (listed(&api, &old.str("/id")).await, listed(&api, &id).await);
    assert_eq!(shown_old["expiresAt"], end.as_str());
    assert_eq!(shown_old["revokedAt"], Value::Null);
    for member in ["label", "scopes", "expiresAt", "createdAt", "clientId"] {
        assert_eq!(shown_new[member], new.body[member], "{member}");
    }
    let of_new = signed(&api, &new.body).await;
    let last = dialects::time::parse(&end).unwrap();
    // In this second it was recorded, and microseconds after the stamp.
    assert!(
        (START.0 + 90 * SECOND..START.0 + 91 * SECOND).contains(&last.0),
        "{end}"
    );
    api.world.clock.advance(last.0 - 1 - api.world.clock.now().0);
    for token in [old.str("/token"), new.str("/token")] {
        assert!(works(&api, &token).await);
    }
    assert!(works_signed(&api, &of_old).await && works_signed(&api, &of_new).await);
    api.world.clock.advance(1);
    assert!(!works(&api, &old.str("/token")).await);
    // It was signed for an hour, and ends with its key.
    assert!(!works_signed(&api, &of_old).await);
    assert!(works(&api, &new.str("/token")).await && works_signed(&api, &of_new).await);
    // What has ended has no place to give.
    let gone = rotate(&api, &old.str("/id"), json!({})).await;
    gone.problem(404, "key_not_found");
}

#[tokio::test]
async fn a_day_unless_it_is_said_and_never_longer_than_the_key_had() {
    let api = Api::new().await;
    let old = key(&api, "", None).await;
    let path = format!("/keys/{}/rotate", old.str("/id"));
    // Without a body, too.
    let new = api.ask("POST", &path, &[], "").await.status(201);
    assert_eq!(new.body["expiresAt"], Value::Null);
    let end = dialects::time::parse(&new.str("/replaces/endsAt")).unwrap();
    let day = 86_400 * SECOND;
    assert!((START.0 + day..START.0 + day + SECOND).contains(&end.0));
    // Once more: what was promised first is not made longer.
    let again = rotate(&api, &old.str("/id"), json!({"overlapSeconds": 2_592_000})).await;
    assert_eq!(
        again.status(201).str("/replaces/endsAt"),
        new.str("/replaces/endsAt")
    );
    let old = key(&api, "", Some("2026-11-20T10:40:00Z")).await;
    let new = rotate(&api, &old.str("/id"), json!({})).await.status(201);
    assert_eq!(new.str("/replaces/endsAt"), "2026-11-20T10:40:00.000000Z");
    assert_eq!(
        listed(&api, &old.str("/id")).await["expiresAt"],
        "2026-11-20T10:40:00.000000Z"
    );
}

#[tokio::test]
async fn without_an_overlap_the_old_one_ends_at_once() {
    let api = Api::new().await;
    let old = key(&api, "", None).await;
    let of_old = signed(&api, &old.body).await;
    let new = rotate(&api, &old.str("/id"), json!({"overlapSeconds": 0}))
        .await
        .status(201);
    assert!(!works(&api, &old.str("/token")).await && !works_signed(&api, &of_old).await);
    assert!(works(&api, &new.str("/token")).await);
    let shown = listed(&api, &old.str("/id")).await;
    assert_eq!(shown["revokedAt"], new.str("/replaces/endsAt").as_str());
    // A key that is revoked during its overlap ends then.
    let next = rotate(&api, &new.str("/id"), json!({})).await.status(201);
    let path = format!("/keys/{}", new.str("/id"));
    api.ask("DELETE", &path, &[], "").await.status(204);
    assert!(!works(&api, &new.str("/token")).await && works(&api, &next.str("/token")).await);
    rotate(&api, &new.str("/id"), json!({}))
        .await
        .problem(404, "key_not_found");
}

#[tokio::test]
async fn a_replay_has_no_secrets_and_another_request_is_a_conflict() {
    let api = Api::new().await;
    let old = key(&api, "till", None).await;
    let path = format!("/keys/{}/rotate", old.str("/id"));
    let header = [("Idempotency-Key", "rotate-1")];
    let first = api.ask("POST", &path, &header, r#"{"overlapSeconds":60}"#).await;
    let first = first.status(201);
    let position = api.position().await;
    // Also when the old one has ended, or when that was made to be sooner.
    api.ask("DELETE", &format!("/keys/{}", old.str("/id")), &[], "")
        .await;
    api.world.clock.advance(60 * SECOND);
    let again = api.ask("POST", &path, &header, r#"{"overlapSeconds": 60}"#).await;
    let again = again.status(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("saldo-position"), first.header("saldo-position"));
    let mut expected = first.body.clone();
    for secret in ["token", "apiKey", "apiSecret"] {
        let was = expected.as_object_mut().unwrap().remove(secret);
        assert!(was.is_some(), "{secret}");
    }
    assert_eq!(again.body, expected);
    assert_eq!(api.position().await, position + 1, "the revocation alone");
    let other = api.ask("POST", &path, &header, r#"{"overlapSeconds":61}"#).await;
    other.problem(409, "idempotency_conflict");
    // A refusal is recorded too.
    let header = [("Idempotency-Key", "rotate-2")];
    for replayed in [None, Some("true")] {
        let refused = api.ask("POST", &path, &header, "{}").await;
        let refused = refused.problem(404, "key_not_found");
        assert_eq!(refused.header("idempotency-replayed"), replayed);
    }
}

#[tokio::test]
async fn bounds_are_said() {
    let api = Api::new().await;
    let old = key(&api, "", None).await.str("/id");
    let before = api.position().await;
    for (body, field) in [
        (json!({"overlapSeconds": 2_592_001}), "overlapSeconds"),
        (json!({"overlapSeconds": -1}), "overlapSeconds"),
        (json!({"overlapSeconds": "60"}), "overlapSeconds"),
        (json!({"expiresAt": "2026-11-20T10:39:00Z"}), "expiresAt"),
        (json!({"scopes": ["admin"]}), "scopes"),
    ] {
        rotate(&api, &old, body).await.bad(field);
    }
    assert_eq!(api.position().await, before);
    rotate(&api, &old, json!({"overlapSeconds": 2_592_000}))
        .await
        .status(201);
}

#[tokio::test]
async fn who_sees_no_such_key_or_has_no_scope_rotates_nothing() {
    let api = Api::new().await;
    let world = &api.world;
    let of_root = key(&api, "", None).await.str("/id");
    let sub = world.subsidiary("Sub").await;
    let keys = format!("/clients/{sub}/keys");
    let of_sub = api.post(&keys, json!({"label": "s", "scopes": ["read"]})).await;
    let of_sub = of_sub.status(201).str("/id");
    let sibling = world.subsidiary("Sibling").await;
    let admin = world.key(sub, Scopes::ADMIN).await;
    let sibling = world.key(sibling, Scopes::ADMIN).await;
    let stranger = world.stranger().await;
    let reader = world.key(world.root, Scopes::READ.with(Scopes::POST)).await;
    let ask = async |who: &Credentials, id: &str| {
        api.as_key(who, "POST", &format!("/keys/{id}/rotate"), Value::Null)
            .await
    };
    for (who, id) in [
        (&admin, &of_root),
        (&sibling, &of_sub),
        (&stranger, &of_sub),
        (&stranger, &of_root),
    ] {
        ask(who, id).await.problem(404, "key_not_found");
    }
    let refused = ask(&reader, &of_sub).await.problem(403, "forbidden");
    assert_eq!(refused.str("/scope"), "admin");
    for id in [&of_sub, &of_root] {
        let shown = listed(&api, id).await;
        assert_eq!(
            (&shown["expiresAt"], &shown["revokedAt"]),
            (&Value::Null, &Value::Null)
        );
    }
    // Its own, and its subsidiary's, stay what they were.
    let new = ask(&admin, &of_sub).await.status(201);
    assert_eq!(
        (new.str("/clientId"), new.str("/label")),
        (sub.to_string(), "s".into())
    );
    let new = rotate(&api, &new.str("/id"), json!({})).await.status(201);
    assert_eq!(
        (new.str("/clientId"), new.str("/label")),
        (sub.to_string(), "s".into())
    );
    assert_eq!(new.body["scopes"], json!(["read"]));
}

#[tokio::test]
async fn an_operators_key_is_rotated_by_an_operator() {
    let api = Api::new().await;
    let world = &api.world;
    let make = async |scopes: Scopes| {
        let input = CreateKey {
            client: None,
            label: "first operator".to_owned(),
            scopes,
            expires_at: None,
        };
        let server = Caller::server();
        let made = world
            .service
            .create_key(&server, input, Idempotency::default())
            .await;
        let made = made.unwrap().value;
        (made.id.to_string(), made.credentials.unwrap())
    };
    let (operator, key) = make(Scopes::OPERATOR).await;
    // One of book 0 that is no operator's, whatever else it may do.
    let (_, clerk) = make(service::auth::CLIENT_SCOPES).await;
    let path = format!("/keys/{operator}/rotate");
    let refused = api.as_key(&clerk, "POST", &path, json!({})).await;
    assert_eq!(refused.problem(403, "forbidden").str("/scope"), "operator");
    // Nor is it seen from a book.
    api.post(&path, json!({})).await.problem(404, "key_not_found");
    let new = api
        .as_key(&key, "POST", &path, json!({"overlapSeconds": 60}))
        .await;
    let new = new.status(201);
    assert_eq!(new.body["clientId"], Value::Null);
    assert_eq!(
        (new.str("/label"), &new.body["scopes"]),
        ("first operator".into(), &json!(["operator"]))
    );
    let token = format!("Bearer {}", new.str("/token"));
    let ask = async |token: &str, book: Option<&str>| {
        let mut headers = vec![("Authorization", token)];
        headers.extend(book.map(|book| ("Saldo-Book", book)));
        world.get("/api/v1/keys", &headers).await.status
    };
    let root = world.root.to_string();
    assert_eq!(
        (ask(&token, None).await, ask(&token, Some(&root)).await),
        (200, 200)
    );
    // In a client's book it rotates that client's.
    let of_root = super::keys::key(&api, "", None).await.str("/id");
    let headers = [("Authorization", token.as_str()), ("Saldo-Book", root.as_str())];
    let path = format!("/api/v1/keys/{of_root}/rotate");
    let made = world.ask("POST", &path, &headers, "").await;
    assert_eq!(made.status, 201, "{}", made.body);
    world.clock.advance(61 * SECOND);
    let old = format!("Bearer {}", key.token());
    assert_eq!((ask(&old, None).await, ask(&token, None).await), (401, 200));
}
