//! Events: each thing that was recorded is one, in order, as whoever asks sees it.

use ledger::{Owner, Purpose};
use serde_json::{Value, json};
use service::Credentials;
use service::auth::CLIENT_SCOPES;

use super::super::world::Answer;
use super::api::{Api, id, posting, transfer};

async fn ask(api: &Api, token: &str, headers: &[(&str, &str)], query: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    api.world
        .ask("GET", &format!("/api/v1/events{query}"), &headers, "")
        .await
}

/// The events of an answer.
async fn events(api: &Api, token: &str, query: &str) -> Vec<Value> {
    let answer = ask(api, token, &[], query).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines = answer.body.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one event behind a position.
async fn one(api: &Api, after: u64) -> Value {
    let [event] = &events(api, &api.token, &format!("?after={after}")).await[..] else {
        panic!("one event");
    };
    event.clone()
}

/// Does something that is recorded, and checks that its event is of this kind and is about what is read there afterwards.
async fn check(api: &Api, kind: &str, asked: (&str, &str, Value), then: &str) -> Value {
    let before = api.position().await;
    let (method, path, body) = asked;
    let reply = api.ask(method, path, &[], &body.to_string()).await;
    assert!(reply.answer.status < 300, "{kind}: {}", reply.answer.body);
    let event = one(api, before).await;
    assert_eq!(event["type"], kind);
    assert_eq!(event["position"], api.position().await);
    assert_eq!(event["clientId"], api.world.root.to_string());
    let id = reply.body["id"].as_str().unwrap_or_default();
    let read = api.get(&then.replace('#', id)).await.status(200).body;
    match read["items"].as_array() {
        Some(items) => assert!(items.contains(&event["data"]), "{kind}: {event} and {read}"),
        None => assert_eq!(event["data"], read, "{kind}"),
    }
    reply.body
}

#[tokio::test]
async fn each_thing_in_the_register_is_an_event_as_it_is_read() {
    let api = Api::new().await;
    let name = || json!({"legalName": "Wanda", "metadata": {"a": [1, {"b": "c"}]}});
    let client = check(&api, "client.created", ("POST", "/clients", name()), "/clients/#").await;
    let client = format!("/clients/{}", client["id"].as_str().unwrap());
    let change = json!({"legalName": "Wanda & Co"});
    check(&api, "client.updated", ("PATCH", &client, change), &client).await;
    let key = json!({"label": "backend", "scopes": ["read"]});
    let keys = format!("{client}/keys");
    let key = check(&api, "key.created", ("POST", &keys, key), &keys).await;
    let before = api.position().await;
    let key_id = key["id"].as_str().unwrap();
    api.ask("DELETE", &format!("/keys/{key_id}"), &[], "")
        .await
        .status(204);
    let revoked = one(&api, before).await;
    assert_eq!(
        (&revoked["type"], &revoked["data"]["id"]),
        (&json!("key.revoked"), &key["id"])
    );
    assert!(revoked["data"]["revokedAt"].is_string());
    let told = events(&api, &api.token, "").await;
    let secret = key["apiSecret"].as_str().unwrap();
    assert!(!format!("{told:?}").contains(secret));

    let customer = check(
        &api,
        "customer.created",
        ("POST", "/customers", name()),
        "/customers/#",
    )
    .await;
    let customer = customer["id"].as_str().unwrap().to_owned();
    let path = format!("/customers/{customer}");
    check(
        &api,
        "customer.updated",
        ("PATCH", &path, json!({"externalId": "w-1"})),
        &path,
    )
    .await;
    let dunning = json!({"label": "Level 2", "inDebtCollection": true});
    check(
        &api,
        "customer.updated",
        ("PUT", &format!("{path}/dunning"), dunning),
        &path,
    )
    .await;
    let account = json!({"ownerId": customer, "purpose": "main", "label": "Everyday"});
    let account = check(
        &api,
        "account.created",
        ("POST", "/accounts", account),
        "/accounts/#",
    )
    .await;
    let account = format!("/accounts/{}", account["id"].as_str().unwrap());
    check(
        &api,
        "account.updated",
        ("PATCH", &account, json!({"status": "frozen"})),
        &account,
    )
    .await;
    let asset = json!({"code": "POINTS", "exponent": 0});
    check(
        &api,
        "asset.registered",
        ("POST", "/assets", asset),
        "/assets?limit=1000",
    )
    .await;

    let before = api.position().await;
    let rates = json!([{"base": "EUR", "quote": "USD", "rate": "1.0832", "asOf": "2026-11-20T10:00:00Z", "source": "ECB"}]);
    api.put("/rates", rates).await.status(200);
    let event = one(&api, before).await;
    let read = api.get("/rates").await.body;
    assert_eq!(
        (&event["type"], &event["data"]["items"]),
        (&json!("rates.updated"), &read["items"])
    );

    // What is erased is gone from all that was told before.
    check(
        &api,
        "customer.erased",
        ("POST", &format!("{path}/erase"), json!({})),
        &path,
    )
    .await;
    for event in events(&api, &api.token, "").await {
        if event["data"]["id"] == *customer {
            assert_eq!(event["data"]["legalName"], "(erased)", "{event}");
        }
    }
}

#[tokio::test]
async fn each_movement_of_money_is_an_event_as_it_was_booked() {
    let api = Api::new().await;
    let (main, world) = (api.funded().await, api.world.external);
    let one_way = ("/transactions", transfer(world, main, "100"));
    let posted = check_booked(&api, "transaction.posted", one_way).await;
    let path = format!("/transactions/{}/reverse", posted["id"].as_str().unwrap());
    let part = json!({"postings": [{"index": 0, "amount": "40"}]});
    check_booked(&api, "transaction.reversed", (&path, part)).await;
    let mut hold = transfer(main, world, "50");
    hold["hold"] = json!({"expiresAt": "2026-11-27T10:00:00Z"});
    hold["reference"] = "for dinner".into();
    let held = check_booked(&api, "hold.placed", ("/transactions", hold)).await;
    let path = format!("/holds/{}", held["id"].as_str().unwrap());
    let part = json!({"amount": "20", "final": false});
    check_booked(&api, "hold.captured", (&format!("{path}/capture"), part)).await;
    check_booked(&api, "hold.released", (&format!("{path}/release"), json!({}))).await;
    let mut hold = transfer(main, world, "50");
    hold["hold"] = json!({"expiresAt": "2026-11-27T10:00:00Z"});
    check_booked(&api, "hold.placed", ("/transactions", hold)).await;
    let before = api.position().await;
    api.world.clock.advance(8 * 86_400_000_000);
    assert_eq!(api.world.service.expire_due().await, Ok(1));
    let expired = one(&api, before).await;
    assert_eq!(
        (&expired["type"], &expired["data"]["status"]),
        (&json!("hold.expired"), &json!("expired"))
    );
    assert_eq!(expired["clientId"], Value::Null);

    // What was refused is no event; what is all or none is one.
    let before = api.position().await;
    api.post("/transactions", transfer(main, world, "999999"))
        .await
        .status(422);
    let items = [
        json!({"id": id(1), "postings": [posting(world, main, "1")]}),
        json!({"id": id(2), "postings": [posting(world, main, "2")]}),
    ];
    let batch = json!({"atomic": true, "transactions": items});
    api.post("/transactions/batch", batch).await.status(200);
    let batch = one(&api, before).await;
    assert_eq!(
        (&batch["type"], batch["position"].as_u64()),
        (&json!("batch.posted"), Some(before + 2))
    );
    for (nth, item) in (1..).zip(batch["data"]["items"].as_array().unwrap()) {
        assert_eq!(*item, api.get(&format!("/transactions/{}", id(nth))).await.body);
    }
}

/// Books something; its event is what was answered.
async fn check_booked(api: &Api, kind: &str, (path, body): (&str, Value)) -> Value {
    let before = api.position().await;
    let reply = api.post(path, body).await.status(201);
    let event = one(api, before).await;
    assert_eq!(event["type"], kind);
    assert_eq!(event["data"], reply.body);
    assert_eq!(event["recordedAt"], reply.body["recordedAt"]);
    reply.body
}

#[tokio::test]
async fn who_names_the_last_position_goes_on_behind_it() {
    let api = Api::new().await;
    let main = api.funded().await;
    for _ in 0..40 {
        api.world.post(api.world.external, main, "USD", 1).await;
    }
    let all = events(&api, &api.token, "").await;
    let end = api.position().await;
    let positions: Vec<_> = all
        .iter()
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert_eq!(positions.last(), Some(&end));
    let (mut parts, mut after) = (Vec::new(), 0);
    loop {
        let part = events(&api, &api.token, &format!("?after={after}&limit=7")).await;
        let Some(last) = part.last() else { break };
        assert!(part.len() <= 7);
        after = last["position"].as_u64().unwrap();
        parts.extend(part);
    }
    assert_eq!(parts, all);
    let answer = ask(&api, &api.token, &[], &format!("?after={end}")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("saldo-position"), Some(end.to_string().as_str()));
    for query in [
        "?after=x",
        "?after=-1",
        "?limit=0",
        "?wait=301",
        "?wait=",
        "?since=1",
    ] {
        assert_eq!(ask(&api, &api.token, &[], query).await.status, 400, "{query}");
    }
    let sent = [("Accept", "text/event-stream"), ("Last-Event-ID", "x")];
    assert_eq!(ask(&api, &api.token, &sent, "").await.status, 400);
    assert_eq!(ask(&api, &api.token, &sent[..1], "?wait=1").await.status, 400);
}

#[tokio::test]
async fn a_subsidiary_sees_what_is_its_own() {
    let api = Api::new().await;
    let world = &api.world;
    let client = world.subsidiary("Sub").await;
    let key: Credentials = world.key(client, CLIENT_SCOPES).await;
    let owner = Owner::Client(client);
    let (out, own) = (
        world.account(owner, Purpose::External, None).await,
        world.account(owner, Purpose::Main, None).await,
    );
    let parents = api.funded().await;
    let one = |nth, from, to| json!({"id": id(nth), "postings": [posting(from, to, "5")]});
    api.post("/transactions", one(1, out, own)).await.status(201);
    // Across the two: who sees one side alone does not see it.
    api.post("/transactions", one(2, world.external, own))
        .await
        .status(201);
    api.post("/transactions", one(3, world.external, parents))
        .await
        .status(201);
    let batch = json!({"atomic": true, "transactions": [one(4, out, own), one(5, world.external, parents)]});
    api.post("/transactions/batch", batch).await.status(200);

    let told = events(&api, &key.token(), "").await;
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "client.created",
            "key.created",
            "account.created",
            "account.created",
            "transaction.posted",
            "batch.posted"
        ]
    );
    assert_eq!(told[4]["data"]["id"], id(1));
    let items = told[5]["data"]["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(id(4))));
    let text = format!("{told:?}");
    for trace in [
        parents.to_string(),
        world.external.to_string(),
        id(2),
        id(3),
        id(5),
    ] {
        assert!(!text.contains(&trace), "{trace} in {text}");
    }
    // The parent sees all of it.
    let parent = events(&api, &api.token, "").await;
    assert!(parent.iter().any(|event| event["data"]["id"] == id(3)));
    assert!(told.iter().all(|event| {
        let same = parent.iter().find(|other| other["position"] == event["position"]);
        same.is_some_and(|same| same["type"] == event["type"])
    }));
}

#[tokio::test]
async fn a_key_without_the_scope_reads_no_events() {
    let api = Api::new().await;
    let key = api.world.key(api.world.root, ledger::Scopes::POST).await;
    assert_eq!(ask(&api, &key.token(), &[], "").await.status, 403);
    let head = api.ask("HEAD", "/events", &[], "").await.status(200);
    assert_eq!(head.answer.body, "");
}
