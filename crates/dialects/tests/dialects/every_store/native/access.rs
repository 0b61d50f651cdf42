//! Who may do what: credentials, scopes, and what belongs to others.

use ledger::Scopes;
use serde_json::{Value, json};

use super::api::{Api, id, posting, transfer};

#[tokio::test]
async fn without_credentials_that_work() {
    let api = Api::new().await;
    let body = transfer(api.world.external, api.world.external, "1").to_string();
    let public = format!("Bearer {}", api.world.key.api_key());
    let secret = format!("Bearer {}", api.world.key.api_secret());
    let basic = format!("Basic {}", api.token);
    for wrong in ["", "Bearer", "Bearer ", "Bearer x", &public, &secret, &basic] {
        let answer = api
            .world
            .ask("POST", "/api/v1/transactions", &[("Authorization", wrong)], &body)
            .await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"saldo\""));
        assert!(answer.body.contains(r#""code":"unauthorized""#));
    }
}

/// Each route, with every scope but the one that it needs.
#[tokio::test]
async fn each_route_needs_its_scope() {
    let api = Api::new().await;
    let world = &api.world;
    let routes: Vec<_> = world
        .router
        .routes()
        .filter(|(dialect, _, _)| dialect.name == "native")
        .map(|(_, path, route)| (route.method, path.replace("{id}", &id(1)).replace("/api/v1", "")))
        .collect();
    let before = api.position().await;
    assert_eq!(routes.len(), 37);
    let all = service::auth::CLIENT_SCOPES;
    for (method, path) in routes {
        let needs = match (method.as_str(), path.as_str()) {
            ("GET", _) => Scopes::READ,
            ("PUT", "/rates") => Scopes::RATES,
            (_, "/signing-key/rotate") => Scopes::OPERATOR,
            (_, path) if path.starts_with("/transactions") || path.starts_with("/holds") => Scopes::POST,
            _ => Scopes::ADMIN,
        };
        let key = world.key(world.root, Scopes(all.0 & !needs.0)).await;
        let refused = api
            .as_key(&key, method.as_str(), &path, Value::Null)
            .await
            .problem(403, "forbidden");
        assert_eq!(refused.str("/scope"), needs.words().next().unwrap(), "{path}");
    }
    let keys_made = 37;
    assert_eq!(api.position().await, before + keys_made);
    let main = api.funded().await;
    let key = world.key(world.root, Scopes(all.0 & !Scopes::FORCE.0)).await;
    let mut forced = transfer(main, world.external, "1");
    forced["force"] = json!(true);
    let refused = api
        .as_key(&key, "POST", "/transactions", forced)
        .await
        .problem(403, "forbidden");
    assert_eq!(refused.str("/scope"), "ledger:force");
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let api = Api::new().await;
    let main = api.funded().await;
    let stranger = api.world.stranger().await;
    let customer = api.post("/customers", json!({"legalName": "C"})).await.str("/id");
    let posted = api
        .post("/transactions", transfer(main, api.world.external, "1"))
        .await
        .str("/id");
    let mut held = transfer(main, api.world.external, "1");
    held["hold"] = json!({});
    let hold = api.post("/transactions", held).await.str("/id");
    let key = api.world.caller.key.as_ref().unwrap().id;
    let root = api.world.root;
    let before = api.position().await;
    let nothing = Value::Null;
    for (method, path, body, code) in [
        ("GET", format!("/clients/{root}"), nothing.clone(), "not_found"),
        (
            "GET",
            format!("/clients/{root}/keys"),
            nothing.clone(),
            "not_found",
        ),
        ("PATCH", format!("/clients/{root}"), json!({}), "client_not_found"),
        (
            "POST",
            format!("/clients/{root}/keys"),
            json!({"label": "", "scopes": ["read"]}),
            "client_not_found",
        ),
        ("DELETE", format!("/keys/{key}"), nothing.clone(), "key_not_found"),
        (
            "GET",
            format!("/customers/{customer}"),
            nothing.clone(),
            "not_found",
        ),
        (
            "PATCH",
            format!("/customers/{customer}"),
            json!({}),
            "customer_not_found",
        ),
        (
            "PUT",
            format!("/customers/{customer}/dunning"),
            json!({"inDebtCollection": true}),
            "customer_not_found",
        ),
        (
            "GET",
            format!("/customers/{customer}/valuation?currency=USD"),
            nothing.clone(),
            "not_found",
        ),
        ("GET", format!("/accounts/{main}"), nothing.clone(), "not_found"),
        (
            "PATCH",
            format!("/accounts/{main}"),
            json!({"status": "closed"}),
            "account_not_found",
        ),
        (
            "GET",
            format!("/accounts/{main}/balances"),
            nothing.clone(),
            "not_found",
        ),
        (
            "GET",
            format!("/accounts/{main}/entries"),
            nothing.clone(),
            "not_found",
        ),
        (
            "GET",
            format!("/transactions/{posted}"),
            nothing.clone(),
            "not_found",
        ),
        (
            "POST",
            format!("/transactions/{posted}/reverse"),
            json!({}),
            "transaction_not_found",
        ),
        ("GET", format!("/holds/{hold}"), nothing.clone(), "not_found"),
        (
            "POST",
            format!("/holds/{hold}/capture"),
            json!({}),
            "hold_not_found",
        ),
        (
            "POST",
            format!("/holds/{hold}/release"),
            json!({}),
            "hold_not_found",
        ),
    ] {
        let reply = api.as_key(&stranger, method, &path, body).await;
        assert_eq!(
            (reply.answer.status, reply.str("/code").as_str()),
            (404, code),
            "{method} {path}"
        );
    }
    for (path, body, code) in [
        (
            "/clients",
            json!({"legalName": "S", "parentId": root.to_string()}),
            "client_not_found",
        ),
        (
            "/customers",
            json!({"legalName": "S", "clientId": root.to_string()}),
            "client_not_found",
        ),
        (
            "/accounts",
            json!({"ownerId": root.to_string(), "purpose": "main"}),
            "customer_not_found",
        ),
        (
            "/transactions",
            json!({"postings": [posting(main, api.world.external, "1")]}),
            "account_not_found",
        ),
    ] {
        api.as_key(&stranger, "POST", path, body).await.problem(422, code);
    }
    for list in ["/clients", "/customers", "/accounts", "/transactions", "/holds"] {
        let listed = api
            .as_key(&stranger, "GET", list, nothing.clone())
            .await
            .status(200);
        let own = usize::from(list == "/clients");
        assert_eq!(listed.body["items"].as_array().unwrap().len(), own, "{list}");
    }
    // Nothing of it reached this book.
    assert_eq!(api.position().await, before);
}

#[tokio::test]
async fn other_methods_and_media_types() {
    let api = Api::new().await;
    let refused = api
        .ask("DELETE", "/transactions", &[], "")
        .await
        .problem(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST"));
    let before = api.position().await;
    for wrong in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
    ] {
        let headers = [("Content-Type", wrong)];
        api.ask("POST", "/customers", &headers, "{}")
            .await
            .problem(415, "unsupported_media_type");
    }
    assert_eq!(api.position().await, before);
    let headers = [("Content-Type", "Application/JSON; charset=utf-8")];
    api.ask("POST", "/customers", &headers, r#"{"legalName":"A"}"#)
        .await
        .status(201);
}

#[tokio::test]
async fn the_operator_works_in_a_book() {
    let api = Api::new().await;
    let world = &api.world;
    let operator = service::Caller::server();
    let input = service::CreateKey {
        client: None,
        label: String::new(),
        scopes: Scopes::OPERATOR,
        expires_at: None,
    };
    let key = world
        .service
        .create_key(&operator, input, service::Idempotency::default())
        .await;
    let bearer = format!("Bearer {}", key.unwrap().value.credentials.unwrap().token());
    let ask = async |headers: &[(&str, &str)], method: &str, path: &str, body: &str| {
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        world.ask(method, &format!("/api/v1{path}"), &all, body).await
    };
    // A root client of its own book, and a key for it.
    let made = ask(&[], "POST", "/clients", r#"{"legalName":"Second"}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    assert!(made["parentId"].is_null());
    let root = made["id"].as_str().unwrap();
    let keys = format!("/clients/{root}/keys");
    let made = ask(&[], "POST", &keys, r#"{"label":"","scopes":["admin"]}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let listed = ask(&[], "GET", &keys, "").await;
    assert!(
        listed.status == 200 && listed.body.contains("admin"),
        "{}",
        listed.body
    );
    // In no book there is no money.
    let empty = json!({"postings": []}).to_string();
    let batch = json!({"transactions": []}).to_string();
    for (path, body) in [
        ("/transactions".to_owned(), &empty),
        ("/transactions/batch".to_owned(), &batch),
        (format!("/transactions/{}/reverse", id(1)), &String::new()),
        (format!("/holds/{}/capture", id(1)), &String::new()),
        (format!("/holds/{}/release", id(1)), &String::new()),
    ] {
        let refused = ask(&[], "POST", &path, body).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert!(
            refused.body.contains(r#""field":"Saldo-Book""#),
            "{}",
            refused.body
        );
    }
    let book = [("Saldo-Book", root)];
    let unknown = ask(&book, "POST", &format!("/holds/{}/release", id(1)), "").await;
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert_eq!(
        ask(&book, "POST", "/customers", r#"{"legalName":"C"}"#)
            .await
            .status,
        201
    );
    assert_eq!(
        ask(&[("Saldo-Book", "x")], "GET", "/customers", "").await.status,
        400
    );
    assert_eq!(
        ask(&[("Saldo-Book", &id(1))], "GET", "/customers", "")
            .await
            .status,
        404
    );
}
