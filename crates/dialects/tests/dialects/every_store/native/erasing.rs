//! Erasing a customer: what was written about it is gone everywhere, and what it owns is not.

use ledger::Position;
use serde_json::{Value, json};
use store::Viewer;

use super::super::world::Answer;
use super::api::{Api, id};

/// A customer with texts wherever there can be one.
struct Told {
    customer: Value,
    number: i64,
    main: String,
    card: String,
}

async fn made(api: &Api, path: &str, key: &str, body: Value) -> Value {
    let reply = api
        .ask("POST", path, &[("Idempotency-Key", key)], &body.to_string())
        .await;
    reply.status(201).body
}

async fn told(api: &Api) -> Told {
    let customer = made(api, "/customers", "customer", customer()).await;
    let owner = &customer["id"];
    let mut accounts = Vec::new();
    for (purpose, currency) in [("main", None), ("receivable", None), ("card", Some("EUR"))] {
        let mut account = account(owner, purpose);
        if let Some(currency) = currency {
            account["currency"] = json!(currency);
        }
        accounts.push(
            made(api, "/accounts", purpose, account).await["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let dunning = format!("/customers/{}/dunning", owner.as_str().unwrap());
    let label = json!({"label": "Dunning Wilhelmina", "inDebtCollection": true});
    api.put(&dunning, label).await.status(200);
    for (nth, account) in (1..).zip(&accounts) {
        made(
            api,
            "/transactions",
            &format!("pay-{nth}"),
            payment(api, nth, account),
        )
        .await;
    }
    Told {
        number: customer["number"].as_i64().unwrap(),
        customer: customer["id"].clone(),
        main: accounts[0].clone(),
        card: accounts[2].clone(),
    }
}

fn customer() -> Value {
    json!({"legalName": "Wilhelmina", "externalId": "id of Wilhelmina", "metadata": {"born": "Wilhelmina"}})
}

fn account(owner: &Value, purpose: &str) -> Value {
    json!({"ownerId": owner, "purpose": purpose, "label": "purse of Wilhelmina",
           "externalId": format!("{purpose} of Wilhelmina"), "metadata": {"of": "Wilhelmina"}})
}

fn payment(api: &Api, nth: u32, to: &str) -> Value {
    json!({"id": id(nth), "reference": "rent of Wilhelmina", "externalId": "paid by Wilhelmina",
           "metadata": {"by": "Wilhelmina"},
           "postings": [{"from": api.world.external.to_string(), "to": to, "asset": "EUR", "amount": "500"}]})
}

/// What is read of the customer, in every wire format.
async fn read(api: &Api, told: &Told) -> Vec<Answer> {
    let world = &api.world;
    let customer = api
        .get(&format!("/customers/{}", told.customer.as_str().unwrap()))
        .await;
    let spellings = &customer.body["spellings"];
    let (ksuid, typeid) = (&spellings["ksuid"], &spellings["typeid"]);
    let mut answers = Vec::new();
    let pair = [
        ("X-API-Key", &*world.key.api_key()),
        ("X-API-Secret", &*world.key.api_secret()),
    ];
    let path = format!("/customers/{}/account", ksuid.as_str().unwrap());
    answers.push(world.get(&path, &pair).await);
    let token = world.key.token();
    let path = format!("/v1/customers/{}/account/balances", told.number);
    answers.push(world.get(&path, &[("X-API-KEY", &token)]).await);
    let path = format!("/v1/card-balance-accounts/{}", told.card);
    answers.push(
        world
            .get(&path, &[("Authorization", &format!("Basic {token}"))])
            .await,
    );
    let body = json!({"apiKey": pair[0].1, "apiSecret": pair[1].1}).to_string();
    let signed = world.ask("POST", "/v0.9/auth/token", &[], &body).await;
    let signed: Value = serde_json::from_str(&signed.body).unwrap();
    let bearer = format!("Bearer {}", signed["accessToken"].as_str().unwrap());
    let path = format!(
        "/v0.9/customers/{}/balance?estimatedBalanceCurrencyCode=EUR",
        typeid.as_str().unwrap()
    );
    answers.push(world.get(&path, &[("Authorization", &bearer)]).await);
    answers.push(customer.answer);
    for path in [
        "/customers".to_owned(),
        "/customers?externalId=id%20of%20Wilhelmina".to_owned(),
        format!("/accounts?ownerId={}", told.customer.as_str().unwrap()),
        "/accounts?externalId=main%20of%20Wilhelmina".to_owned(),
        format!("/accounts/{}", told.main),
        format!("/accounts/{}/entries", told.main),
        format!("/transactions/{}", id(1)),
        "/transactions?reference=rent%20of%20Wilhelmina".to_owned(),
        "/transactions?externalId=paid%20by%20Wilhelmina".to_owned(),
    ] {
        answers.push(api.get(&path).await.answer);
    }
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    answers
}

/// The same with its texts erased.
fn erased(answer: &Answer) -> Value {
    fn erase(value: &mut Value) {
        match value {
            Value::String(text) if text.contains("Wilhelmina") => *text = "(erased)".to_owned(),
            Value::Array(items) => items.iter_mut().for_each(erase),
            Value::Object(members) => {
                members.remove("metadata");
                // When it was changed is another question.
                members.remove("updatedAt");
                members.remove("erasedAt");
                members.values_mut().for_each(erase);
            }
            _ => {}
        }
    }
    let mut body = serde_json::from_str(&answer.body).unwrap();
    erase(&mut body);
    body
}

#[tokio::test]
async fn erasing_takes_the_texts_and_leaves_the_money() {
    let api = Api::new().await;
    let told = told(&api).await;
    let before = read(&api, &told).await;
    let named: Vec<_> = before
        .iter()
        .map(|answer| answer.body.contains("Wilhelmina"))
        .collect();
    // All but the one that shows no text of anybody.
    assert_eq!(
        named.iter().filter(|named| **named).count(),
        named.len() - 1,
        "{named:?}"
    );
    let book = api.world.caller.viewer.book;
    let store = &api.world.service.store;
    let records = store.records(book, Position(0), 1_000).await.unwrap();
    let root = Viewer { book, client: None };

    let path = format!("/customers/{}/erase", told.customer.as_str().unwrap());
    let done = api
        .ask("POST", &path, &[("Idempotency-Key", "erase")], "")
        .await
        .status(200);
    assert_eq!(done.str("/legalName"), "(erased)");
    let at = done.str("/erasedAt");
    for (before, after) in before.iter().zip(read(&api, &told).await) {
        assert!(!after.body.contains("Wilhelmina"), "{}", after.body);
        assert_eq!(erased(&after), erased(before));
    }
    let kept = store.records(book, Position(0), records.len()).await.unwrap();
    assert_eq!(kept, records, "what was recorded stays as it was");
    let keys = store.all_text_keys(None, 1_000).await.unwrap();
    let subject_of = u128::from_str_radix(&told.customer.as_str().unwrap().replace('-', ""), 16).unwrap();
    assert!(keys.iter().all(|(subject, _)| subject.0 != subject_of));
    assert!(
        store
            .customers(
                root,
                None,
                store::Page {
                    limit: 9,
                    after: None
                }
            )
            .await
            .unwrap()
            .items[0]
            .erased_at
            .is_some()
    );

    // Again, under the same key and another, it is as it was.
    let again = api
        .ask("POST", &path, &[("Idempotency-Key", "erase")], "{}")
        .await
        .status(200);
    assert_eq!(
        (again.header("idempotency-replayed"), again.str("/erasedAt")),
        (Some("true"), at.clone())
    );
    assert_eq!(api.post(&path, json!({})).await.status(200).str("/erasedAt"), at);
    // What made it answers as it did, without the texts.
    for (path, key, body) in [
        ("/customers", "customer", customer()),
        ("/accounts", "main", account(&told.customer, "main")),
        ("/transactions", "pay-1", payment(&api, 1, &told.main)),
    ] {
        let replay = api
            .ask("POST", path, &[("Idempotency-Key", key)], &body.to_string())
            .await
            .status(201);
        assert_eq!(replay.header("idempotency-replayed"), Some("true"), "{path}");
        assert!(
            !replay.answer.body.contains("Wilhelmina"),
            "{}",
            replay.answer.body
        );
        assert!(replay.answer.body.contains("(erased)"), "{}", replay.answer.body);
    }
}

#[tokio::test]
async fn who_was_erased_can_be_paid_and_not_described() {
    let api = Api::new().await;
    let told = told(&api).await;
    let customer = told.customer.as_str().unwrap();
    let path = format!("/customers/{customer}");
    let weak = api
        .world
        .key(api.world.root, ledger::Scopes::READ.with(ledger::Scopes::POST))
        .await;
    api.as_key(&weak, "POST", &format!("{path}/erase"), json!({}))
        .await
        .problem(403, "forbidden");
    let other = api.world.stranger().await;
    api.as_key(&other, "POST", &format!("{path}/erase"), json!({}))
        .await
        .problem(404, "customer_not_found");
    api.post(&format!("{path}/erase"), json!({"now": true}))
        .await
        .bad("now");
    assert_eq!(
        api.get(&path).await.str("/legalName"),
        "Wilhelmina",
        "nobody erased it yet"
    );
    api.post(&format!("{path}/erase"), json!({})).await.status(200);

    for change in [
        json!({"legalName": "New"}),
        json!({"externalId": "x"}),
        json!({"metadata": {}}),
    ] {
        api.patch(&path, change).await.problem(422, "customer_erased");
    }
    let dunning = format!("{path}/dunning");
    let label = json!({"label": "Level 2", "inDebtCollection": true});
    api.put(&dunning, label).await.problem(422, "customer_erased");
    api.put(&dunning, json!({"inDebtCollection": false}))
        .await
        .status(200);
    let account = format!("/accounts/{}", told.main);
    api.patch(&account, json!({"label": "New"}))
        .await
        .problem(422, "customer_erased");
    api.patch(&account, json!({"status": "frozen"})).await.status(200);
    api.patch(&account, json!({"status": "active", "externalId": null}))
        .await
        .status(200);
    let wallet = json!({"ownerId": customer, "purpose": "wallet", "label": "New"});
    api.post("/accounts", wallet)
        .await
        .problem(422, "customer_erased");
    let wallet = json!({"ownerId": customer, "purpose": "wallet"});
    api.post("/accounts", wallet).await.status(201);
    // What is written on money from now on is the root client's.
    let mut payment = payment(&api, 9, &told.main);
    payment["reference"] = json!("after");
    let paid = api.post("/transactions", payment).await.status(201);
    assert_eq!(paid.str("/reference"), "after");
    let got = api.get(&format!("/transactions/{}", id(9))).await;
    assert_eq!(
        (got.str("/reference"), got.str("/externalId")),
        ("after".into(), "paid by Wilhelmina".into())
    );
    let listed = api.get("/transactions?externalId=paid%20by%20Wilhelmina").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 4);
}
