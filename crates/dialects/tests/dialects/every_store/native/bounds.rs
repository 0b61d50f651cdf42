//! How long, how many, how deep: the bounds of what requests may hold.

use serde_json::{Value, json};

use super::api::{Api, id, posting, transfer};

#[tokio::test]
async fn of_a_transaction() {
    let api = Api::new().await;
    let main = api.funded().await;
    let external = api.world.external;
    let before = api.position().await;
    let with = |name: &str, value: Value| {
        let mut body = transfer(main, external, "1");
        body[name] = value;
        body
    };
    let long = "x".repeat(201);
    let metadata = |bytes: usize| json!({"k": "x".repeat(bytes - 8)});
    let mut deep = json!(1);
    for _ in 0..17 {
        deep = json!({"d": deep});
    }
    for (name, value, field) in [
        ("reference", json!(long), "reference"),
        ("reference", json!(""), "reference"),
        ("externalId", json!(long), "externalId"),
        ("metadata", metadata(4097), "metadata"),
        ("metadata", deep, "metadata"),
        ("postings", json!([]), "postings"),
        (
            "postings",
            json!(vec![posting(main, external, "1"); 1001]),
            "postings",
        ),
        ("id", json!("00000000-0000-0000-0000-000000000000"), "id"),
        ("id", json!("not-an-id"), "id"),
        ("effectiveAt", json!("2026-11-20"), "effectiveAt"),
        ("hold", json!({"expiresAt": "soon"}), "hold.expiresAt"),
    ] {
        api.post("/transactions", with(name, value)).await.bad(field);
    }
    for body in [r#"{"k":1,"k":2}"#, r#"{"a":[{"k":1,"k":2}]}"#, "[1]", "\"x\""] {
        let body = with("metadata", json!("@@")).to_string().replace("\"@@\"", body);
        api.ask("POST", "/transactions", &[], &body).await.bad("metadata");
    }
    assert_eq!(api.position().await, before);
    // At their bounds they are taken.
    api.post("/transactions", with("metadata", metadata(4096)))
        .await
        .status(201);
    api.post("/transactions", with("reference", json!("ü".repeat(200))))
        .await
        .status(201);
    api.post(
        "/transactions",
        with("postings", json!(vec![posting(main, external, "1"); 1000])),
    )
    .await
    .status(201);
}

#[tokio::test]
async fn of_a_batch() {
    let api = Api::new().await;
    let main = api.funded().await;
    let before = api.position().await;
    let item = transfer(main, api.world.external, "1");
    let mut whole = item.clone();
    whole["id"] = json!(id(1));
    for one in [json!({}), json!({"postings": []})] {
        let many = json!({"transactions": vec![one; 10_001]});
        let refused = api
            .post("/transactions/batch", many)
            .await
            .problem(413, "too_large");
        assert_eq!(refused.int("/limit"), 10_000);
    }
    api.post("/transactions/batch", json!({"transactions": [whole, item]}))
        .await
        .bad("transactions[1].id");
    api.post("/transactions/batch", json!({"transactions": []}))
        .await
        .bad("transactions");
    assert_eq!(api.position().await, before);
}

#[tokio::test]
async fn of_the_register() {
    let api = Api::new().await;
    let before = api.position().await;
    api.post("/customers", json!({"legalName": ""}))
        .await
        .bad("legalName");
    api.post("/customers", json!({"legalName": "x".repeat(201)}))
        .await
        .bad("legalName");
    api.post("/clients", json!({"legalName": "x", "timeZone": "Mars/Olympus"}))
        .await
        .bad("timeZone");
    for number in ["0", "-1", "9223372036854775808", "1.0", "1e2"] {
        let body = format!(r#"{{"legalName":"x","number":{number}}}"#);
        api.ask("POST", "/customers", &[], &body).await.bad("number");
    }
    let keys = format!("/clients/{}/keys", api.world.root);
    api.post(&keys, json!({"label": "", "scopes": []}))
        .await
        .bad("scopes");
    api.post(&keys, json!({"label": "", "scopes": ["read", "operator"]}))
        .await
        .bad("scopes[1]");
    api.post(
        &keys,
        json!({"label": "", "scopes": ["read"], "expiresAt": "2020-01-01T00:00:00Z"}),
    )
    .await
    .bad("expiresAt");
    for rate in ["1e5", "-1", "", ".5", "01.5", "5.", "0.1234567890123456789"] {
        let rate = json!([{"base": "EUR", "quote": "USD", "rate": rate, "asOf": "2026-11-20T00:00:00Z", "source": "s"}]);
        api.put("/rates", rate).await.bad("[0].rate");
    }
    api.put("/rates", json!([])).await.problem(400, "bad_request");
    let both = json!({"amount": "1", "postings": [{"index": 0, "amount": "1"}]});
    api.post(&format!("/holds/{}/capture", id(1)), both)
        .await
        .bad("postings");
    let root = api.world.root.to_string();
    let twice = json!({"ownerId": root, "purpose": "main", "limits": [{"asset": "USD"}, {"asset": "USD"}]});
    api.post("/accounts", twice).await.bad("limits[1].asset");
    let unlimited =
        json!({"ownerId": root, "purpose": "main", "limits": [{"asset": "USD", "credit": "unlimited"}]});
    api.post("/accounts", unlimited).await.bad("limits[0].credit");
    assert_eq!(api.position().await, before);
}

#[tokio::test]
async fn queries_and_paths() {
    let api = Api::new().await;
    let main = api.funded().await;
    for (path, field) in [
        ("/accounts?limit=0", "limit"),
        ("/accounts?limit=1001", "limit"),
        ("/accounts?limit=+1", "limit"),
        ("/accounts?limit=", "limit"),
        ("/accounts?limit=1&limit=2", "limit"),
        ("/accounts?cursor=x", "cursor"),
        ("/accounts?cursor=", "cursor"),
        ("/assets?cursor=usd", "cursor"),
        ("/accounts?owner=x", "owner"),
        ("/accounts?ownerId=x", "ownerId"),
        ("/transactions?accountId=x", "accountId"),
        ("/transactions?reference=", "reference"),
        ("/transactions?from=yesterday", "from"),
        ("/transactions?to=2026-11-20", "to"),
        ("/holds?status=open", "status"),
        ("/keys?label=x", "label"),
        ("/accounts/x", "id"),
        ("/accounts/x/entries", "id"),
        ("/transactions/x", "id"),
        ("/holds/x", "id"),
        ("/clients/x", "id"),
        ("/customers/x", "id"),
        ("/customers/x/valuation?currency=USD", "id"),
    ] {
        api.get(path).await.bad(field);
    }
    let balances = |query: &str| format!("/accounts/{main}/balances?{query}");
    for (query, field) in [
        ("recordedAt=now", "recordedAt"),
        ("effectiveAt=", "effectiveAt"),
        ("position=-1", "position"),
        ("position=1e1", "position"),
        ("at=1", "at"),
    ] {
        api.get(&balances(query)).await.bad(field);
    }
    api.get(&balances(
        "recordedAt=2026-11-21T00:00:00Z&effectiveAt=2026-11-21T00:00:00Z",
    ))
    .await
    .status(200);
    api.get("/accounts?limit=1000").await.status(200);
    // A KSUID whose parts don't agree is well formed and names nothing.
    api.get("/accounts/acct_000000000000000000000000001")
        .await
        .problem(404, "not_found");
    for path in ["clients", "customers", "accounts", "transactions", "holds"] {
        api.get(&format!("/{path}/{}", id(404)))
            .await
            .problem(404, "not_found");
    }
}
