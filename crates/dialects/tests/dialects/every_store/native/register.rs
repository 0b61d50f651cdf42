//! The register: clients, keys, customers, accounts, assets, rates; and that every route was asked well once.

use serde_json::{Value, json};

use super::api::{Api, id, transfer};

#[tokio::test]
async fn a_client_its_keys_and_their_end() {
    let api = Api::new().await;
    let made = api
        .post(
            "/clients",
            json!({"legalName": "Sub \"1\"", "timeZone": "Europe/Berlin", "externalId": "s-1",
                   "metadata": {"b": [1.10, 12345678901234567890123_u128.to_string()], "a": null}}),
        )
        .await
        .status(201);
    let client = made.str("/id");
    assert_eq!(
        made.header("location"),
        Some(format!("/api/v1/clients/{client}").as_str())
    );
    assert_eq!(
        made.header("saldo-position"),
        Some(api.position().await.to_string().as_str())
    );
    assert_eq!(made.str("/parentId"), api.world.root.to_string());
    assert_eq!(made.str("/timeZone"), "Europe/Berlin");
    assert!(
        made.answer.body.contains(r#""metadata":{"a":null,"b":[1.1,"#),
        "{}",
        made.answer.body
    );
    // What was made is what is read, under each of its spellings.
    for spelling in [
        client.clone(),
        made.str("/spellings/ksuid"),
        client.to_uppercase(),
    ] {
        let got = api.get(&format!("/clients/{spelling}")).await.status(200);
        assert_eq!(got.body, made.body);
    }
    let path = format!("/clients/{client}");
    let patch = json!({"legalName": "New", "externalId": null, "metadata": {"z": 1}});
    let changed = api.patch(&path, patch).await.status(200);
    assert_eq!(changed.str("/legalName"), "New");
    assert_eq!(changed.body["externalId"], Value::Null);
    assert_eq!(changed.body["metadata"], json!({"z": 1}));
    assert_eq!(changed.str("/timeZone"), "Europe/Berlin");
    assert_eq!(api.get(&path).await.body, changed.body);
    let listed = api.get("/clients").await.status(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/clients?externalId=s-1").await.body["items"], json!([]));

    let keys = format!("{path}/keys");
    let asked =
        json!({"label": "till", "scopes": ["read", "ledger:force"], "expiresAt": "2030-01-01T00:00:00Z"});
    let key = api.post(&keys, asked).await.status(201);
    assert_eq!(key.body["scopes"], json!(["read", "ledger:force"]));
    assert_eq!(key.str("/expiresAt"), "2030-01-01T00:00:00.000000Z");
    assert!(key.str("/apiKey").starts_with("saldo_pk_") && key.str("/apiSecret").starts_with("saldo_sk_"));
    assert_eq!(key.header("cache-control"), Some("no-store"));
    let token = format!("Bearer {}", key.str("/token"));
    let as_key = [("Authorization", token.as_str())];
    let asked = api.world.get("/api/v1/accounts", &as_key).await;
    assert_eq!(asked.status, 200);
    let listed = api.get(&keys).await.status(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed.str("/items/0/id"), key.str("/id"));
    assert_eq!(listed.body["items"][0]["token"], Value::Null);
    assert_eq!(api.get("/keys").await.body["items"].as_array().unwrap().len(), 2);
    let ended = api
        .ask("DELETE", &format!("/keys/{}", key.str("/id")), &[], "")
        .await
        .status(204);
    assert_eq!(ended.answer.body, "");
    assert!(ended.header("saldo-position").is_some());
    assert_eq!(api.world.get("/api/v1/accounts", &as_key).await.status, 401);
    assert!(api.get(&keys).await.body["items"][0]["revokedAt"].is_string());
}

#[tokio::test]
async fn customers_and_what_they_are_worth() {
    let api = Api::new().await;
    let made = api
        .post(
            "/customers",
            json!({"legalName": "Berta", "number": 77, "externalId": "b"}),
        )
        .await
        .status(201);
    let customer = made.str("/id");
    assert_eq!(made.int("/number"), 77);
    assert_eq!(made.body["dunning"], json!({"inDebtCollection": false}));
    for spelling in ["ksuid", "typeid", "uuid"] {
        let spelled = made.str(&format!("/spellings/{spelling}"));
        let got = api.get(&format!("/customers/{spelled}")).await.status(200);
        assert_eq!(got.body, made.body);
    }
    let next = api
        .post(
            "/customers",
            json!({"legalName": "Next", "clientId": api.world.root.to_string()}),
        )
        .await;
    assert_eq!(next.status(201).int("/number"), 78);
    let path = format!("/customers/{customer}");
    let changed = api
        .patch(&path, json!({"legalName": "Berta B."}))
        .await
        .status(200);
    assert_eq!(
        (changed.str("/legalName"), changed.str("/externalId")),
        ("Berta B.".into(), "b".into())
    );
    let dunned = api
        .put(
            &format!("{path}/dunning"),
            json!({"label": "Level 1", "inDebtCollection": true}),
        )
        .await
        .status(200);
    assert_eq!(
        dunned.body["dunning"],
        json!({"label": "Level 1", "inDebtCollection": true})
    );
    let dunned = api
        .put(
            &format!("{path}/dunning"),
            json!({"label": null, "inDebtCollection": false}),
        )
        .await;
    assert_eq!(
        dunned.status(200).body["dunning"],
        json!({"inDebtCollection": false})
    );
    let listed = api.get("/customers?externalId=b&limit=1").await.status(200);
    assert_eq!(listed.str("/items/0/id"), customer);

    let account = api
        .post(
            "/accounts",
            json!({"ownerId": made.str("/spellings/ksuid"), "purpose": "main"}),
        )
        .await;
    let account = account.status(201).str("/id");
    for (asset, amount) in [("USD", "1000"), ("EUR", "500")] {
        let posting =
            json!({"from": api.world.external.to_string(), "to": account, "asset": asset, "amount": amount});
        api.post("/transactions", json!({"postings": [posting]}))
            .await
            .status(201);
    }
    let rates = json!([{"base": "EUR", "quote": "USD", "rate": "1.0832", "asOf": "2026-11-20T00:00:00Z", "source": "ECB"}]);
    let put = api.put("/rates", rates).await.status(200);
    assert_eq!(put.int("/count"), 1);
    let listed = api.get("/rates").await.status(200);
    assert_eq!(listed.str("/items/0/rate"), "1.0832");
    assert_eq!(listed.str("/items/0/asOf"), "2026-11-20T00:00:00.000000Z");
    let worth = api
        .get(&format!("{path}/valuation?currency=USD"))
        .await
        .status(200);
    assert_eq!((worth.str("/value"), worth.int("/exponent")), ("15.42".into(), 2));
    assert_eq!(
        worth.body["holdings"],
        json!([{"asset": "USD", "settled": "1000"}, {"asset": "EUR", "settled": "500"}])
    );
    assert_eq!(worth.int("/position"), api.position().await);
    let worth = api
        .get(&format!(
            "{path}/valuation?currency=EUR&effectiveAt=2026-11-21T00:00:00Z"
        ))
        .await;
    assert_eq!(
        worth.status(200).str("/effectiveAt"),
        "2026-11-21T00:00:00.000000Z"
    );
    api.get(&format!("{path}/valuation?currency=JPY"))
        .await
        .problem(422, "valuation_unavailable");
    api.get(&format!("{path}/valuation?currency=usd"))
        .await
        .bad("currency");
    api.get(&format!("{path}/valuation")).await.bad("currency");
}

#[tokio::test]
async fn accounts_and_their_limits() {
    let api = Api::new().await;
    let body = json!({"ownerId": api.world.root.to_string(), "purpose": "internal", "label": "Fees", "currency": "USD",
        "limits": [{"asset": "USD", "credit": "unlimited", "maxBalance": "500"}], "metadata": {"k": "v"}});
    let made = api.post("/accounts", body).await.status(201);
    let path = format!("/accounts/{}", made.str("/id"));
    assert_eq!(made.header("location"), Some(format!("/api/v1{path}").as_str()));
    assert_eq!(made.str("/ownerType"), "client");
    assert_eq!(made.body["primary"], true);
    assert_eq!(
        made.body["limits"],
        json!([{"asset": "USD", "credit": "unlimited", "maxBalance": "500"}])
    );
    assert_eq!(api.get(&path).await.status(200).body, made.body);
    assert_eq!(
        api.get(&format!("/accounts/{}", made.str("/spellings/ksuid")))
            .await
            .body,
        made.body
    );
    let patch = json!({"label": "", "status": "frozen", "primary": true, "limits": [{"asset": "USD", "credit": "25"}]});
    let changed = api.patch(&path, patch).await.status(200);
    assert_eq!(changed.str("/status"), "frozen");
    assert_eq!(changed.body["limits"], json!([{"asset": "USD", "credit": "25"}]));
    assert_eq!(changed.body["metadata"], json!({"k": "v"}));
    assert_eq!(api.get(&path).await.body, changed.body);
    let listed = api
        .get(&format!("/accounts?ownerId={}", api.world.root))
        .await
        .status(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed.body["items"][1], changed.body);
    let owner = json!({"ownerId": id(9), "purpose": "main"});
    api.post("/accounts", owner)
        .await
        .problem(422, "customer_not_found");
    let card = json!({"ownerId": api.world.root.to_string(), "purpose": "card"});
    api.post("/accounts", card)
        .await
        .problem(422, "currency_required");
}

#[tokio::test]
async fn assets_by_name_page_by_page() {
    let api = Api::new().await;
    let made = api
        .post(
            "/assets",
            json!({"code": "GOLD", "network": "vault", "exponent": 9, "kind": "custom"}),
        )
        .await
        .status(201);
    assert_eq!(
        made.body,
        json!({"asset": "GOLD@vault", "code": "GOLD", "network": "vault", "exponent": 9, "kind": "custom"})
    );
    api.post("/assets", json!({"code": "USD", "exponent": 2}))
        .await
        .problem(422, "asset_exists");
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/assets?limit=50{cursor}")).await.status(200);
        let items = page.body["items"].as_array().unwrap();
        names.extend(items.iter().map(|one| one["asset"].as_str().unwrap().to_owned()));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace('@', "%40")),
            None => break,
        }
    }
    assert!(names.is_sorted() && names.len() > 150);
    assert!(names.contains(&"GOLD@vault".to_owned()) && names.contains(&"USDC@base".to_owned()));
}

#[tokio::test]
async fn lists_go_on_where_they_ended() {
    let api = Api::new().await;
    for nth in 0..7 {
        api.post("/customers", json!({"legalName": format!("C{nth}")}))
            .await
            .status(201);
    }
    let mut numbers = Vec::new();
    let mut path = "/customers?limit=3".to_owned();
    loop {
        let page = api.get(&path).await.status(200);
        assert!(page.header("saldo-position").is_some());
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        numbers.extend(items.iter().map(|one| one["number"].as_u64().unwrap()));
        // What comes in between does not shift the pages.
        if numbers.len() == 3 {
            api.post("/customers", json!({"legalName": "Late"}))
                .await
                .status(201);
        }
        match page.body["nextCursor"].as_str() {
            Some(next) => path = format!("/customers?limit=3&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(numbers, (1..=8).collect::<Vec<u64>>());
}

/// What the tests above ask, once more in short, and that no route is left out.
#[tokio::test]
async fn every_route_answers() {
    let mut api = Api::new().await;
    let main = api.funded().await;
    let root = api.world.root;
    let customer = api.post("/customers", json!({"legalName": "C"})).await.str("/id");
    api.post("/clients", json!({"legalName": "S"})).await.status(201);
    api.patch(&format!("/clients/{root}"), json!({}))
        .await
        .status(200);
    let key = api
        .post(
            &format!("/clients/{root}/keys"),
            json!({"label": "", "scopes": ["read"]}),
        )
        .await
        .str("/id");
    api.ask("POST", &format!("/keys/{key}/rotate"), &[], "")
        .await
        .status(201);
    api.ask("DELETE", &format!("/keys/{key}"), &[], "")
        .await
        .status(204);
    api.patch(&format!("/customers/{customer}"), json!({}))
        .await
        .status(200);
    api.put(
        &format!("/customers/{customer}/dunning"),
        json!({"inDebtCollection": false}),
    )
    .await
    .status(200);
    let account = api
        .post("/accounts", json!({"ownerId": customer, "purpose": "main"}))
        .await
        .str("/id");
    let erased = api.post("/customers", json!({"legalName": "E"})).await.str("/id");
    api.post(&format!("/customers/{erased}/erase"), json!({}))
        .await
        .status(200);
    api.patch(&format!("/accounts/{account}"), json!({}))
        .await
        .status(200);
    api.post("/assets", json!({"code": "PTS", "exponent": 0}))
        .await
        .status(201);
    api.put("/rates", json!([{"base": "PTS", "quote": "USD", "rate": "0.01", "asOf": "2026-01-01T00:00:00Z", "source": "us"}]))
        .await
        .status(200);
    let posted = api
        .post("/transactions", transfer(main, api.world.external, "100"))
        .await
        .status(201)
        .str("/id");
    api.ask("POST", &format!("/transactions/{posted}/reverse"), &[], "")
        .await
        .status(201);
    let mut held = transfer(main, api.world.external, "100");
    held["hold"] = json!({});
    let hold = api.post("/transactions", held).await.status(201).str("/id");
    api.post(&format!("/holds/{hold}/capture"), json!({"amount": "30"}))
        .await
        .status(201);
    api.ask("POST", &format!("/holds/{hold}/release"), &[], "")
        .await
        .status(201);
    let mut item = transfer(main, api.world.external, "1");
    item["id"] = json!(id(1));
    api.post("/transactions/batch", json!({"transactions": [item]}))
        .await
        .status(200);
    for path in [
        "/clients".to_owned(),
        format!("/clients/{root}"),
        format!("/clients/{root}/keys"),
        "/keys".to_owned(),
        "/customers".to_owned(),
        format!("/customers/{customer}"),
        format!("/customers/{customer}/valuation?currency=USD"),
        "/accounts".to_owned(),
        format!("/accounts/{main}"),
        format!("/accounts/{main}/balances"),
        format!("/accounts/{main}/entries"),
        "/assets".to_owned(),
        "/rates".to_owned(),
        "/transactions".to_owned(),
        format!("/transactions/{posted}"),
        "/holds".to_owned(),
        format!("/holds/{hold}"),
        "/events?limit=1".to_owned(),
    ] {
        let got = api.get(&path).await.status(200);
        assert_eq!(
            got.header("saldo-position"),
            Some(api.position().await.to_string().as_str()),
            "{path}"
        );
        let head = api.ask("HEAD", &path, &[], "").await.status(200);
        assert_eq!(head.answer.body, "");
    }
    api.token = super::signing::operator(&api).await.token();
    api.ask("POST", "/signing-key/rotate", &[], "").await.status(200);
    let routes = api.world.router.routes();
    for (_, path, route) in routes.filter(|(dialect, _, _)| dialect.name == "native") {
        let name = format!("{} {}", route.method.as_str(), route.pattern);
        assert!(
            api.seen.borrow().contains(&name),
            "{path} was not asked with {name}"
        );
    }
}
