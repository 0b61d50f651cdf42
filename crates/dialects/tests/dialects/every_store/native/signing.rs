//! The key that signs tokens, rotated by an operator.

use ledger::Scopes;
use serde_json::{Value, json};
use service::{Caller, CreateKey, Credentials, Idempotency};

use super::api::{Api, Reply};

const PATH: &str = "/signing-key/rotate";

pub(super) async fn operator(api: &Api) -> Credentials {
    let input = CreateKey {
        client: None,
        label: String::new(),
        scopes: Scopes::OPERATOR,
        expires_at: None,
    };
    let made = api
        .world
        .service
        .create_key(&Caller::server(), input, Idempotency::default())
        .await;
    made.unwrap().value.credentials.unwrap()
}

/// A signed token of the root client's key.
async fn signed(api: &Api) -> String {
    let key = &api.world.key;
    let pair = json!({"apiKey": key.api_key(), "apiSecret": key.api_secret()}).to_string();
    let answer = api.world.ask("POST", "/v0.9/auth/token", &[], &pair).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["accessToken"].as_str().unwrap().to_owned()
}

/// Whether a token works: then no such customer is found, and else nobody is asked for.
async fn works(api: &Api, token: &str) -> bool {
    let path = format!("/v0.9/customers/{}/balance", &*dialects::spelling::typeid(7));
    let bearer = format!("Bearer {token}");
    let answer = api.world.get(&path, &[("Authorization", bearer.as_str())]).await;
    assert!([404, 401].contains(&answer.status), "{}", answer.body);
    answer.status == 404
}

async fn rotate(api: &Api, key: &Credentials, body: Value) -> Reply {
    api.as_key(key, "POST", PATH, body).await
}

#[tokio::test]
async fn tokens_of_the_old_key_work_until_they_are_revoked() {
    let api = Api::new().await;
    let operator = operator(&api).await;
    let (before, position) = (signed(&api).await, api.position().await);
    let first = rotate(&api, &operator, Value::Null).await.status(200);
    assert_eq!(first.str("/createdAt"), "2026-11-20T10:39:00.000000Z");
    assert_eq!(first.body["earlier"].as_array().unwrap().len(), 1);
    assert_eq!(first.str("/earlier/0/endsAt"), "2026-11-21T10:40:00.000000Z");
    assert!(first.header("saldo-position").is_none(), "it is in no book");
    let after = signed(&api).await;
    assert!(works(&api, &before).await && works(&api, &after).await);
    let second = rotate(&api, &operator, json!({"revokeOld": false}))
        .await
        .status(200);
    assert_eq!(second.body["earlier"].as_array().unwrap().len(), 2);
    assert_eq!(second.str("/earlier/1/id"), first.str("/id"));
    assert!(works(&api, &before).await && works(&api, &after).await);
    let third = rotate(&api, &operator, json!({"revokeOld": true}))
        .await
        .status(200);
    assert_eq!(third.body["earlier"], json!([]));
    assert!(!works(&api, &before).await && !works(&api, &after).await);
    assert!(works(&api, &signed(&api).await).await);
    assert_eq!(api.position().await, position);
}

#[tokio::test]
async fn operators_alone_and_in_no_book() {
    let api = Api::new().await;
    let (operator, token) = (operator(&api).await, signed(&api).await);
    let refused = api
        .post(PATH, json!({"revokeOld": true}))
        .await
        .problem(403, "forbidden");
    assert_eq!(refused.str("/scope"), "operator");
    let bearer = format!("Bearer {}", operator.token());
    let root = api.world.root.to_string();
    let headers = |more: Option<(&'static str, &str)>| {
        let mut all = vec![("Authorization".to_owned(), bearer.clone())];
        all.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        all
    };
    for (header, body, status, field) in [
        (Some(("Saldo-Book", root.as_str())), "", 403, Value::Null),
        (
            Some(("Idempotency-Key", "once")),
            "",
            400,
            json!("Idempotency-Key"),
        ),
        (None, r#"{"revoke":true}"#, 400, json!("revoke")),
        (None, r#"{"revokeOld":1}"#, 400, json!("revokeOld")),
    ] {
        let headers = headers(header);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let answer = api
            .world
            .ask("POST", &format!("/api/v1{PATH}"), &headers, body)
            .await;
        assert_eq!(answer.status, status, "{header:?} {body}: {}", answer.body);
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["field"], field, "{}", answer.body);
    }
    assert!(works(&api, &token).await, "nothing was rotated");
    let made = rotate(&api, &operator, json!({})).await.status(200);
    assert_eq!(made.body["earlier"].as_array().unwrap().len(), 1);
}
