//! Transactions, holds, balances and entries.

use serde_json::{Value, json};

use super::api::{Api, id, posting, transfer};
use ledger::Purpose;

#[tokio::test]
async fn a_transaction_to_the_byte() {
    let api = Api::new().await;
    let main = api.account(Purpose::Main).await;
    let external = api.world.external;
    let mut body = transfer(external, main, "1050");
    body["id"] = json!(id(1));
    body["reference"] = json!("R \u{1F600}\n");
    body["effectiveAt"] = json!("2026-11-01T00:00:00Z");
    body["externalId"] = json!("x");
    body["metadata"] = json!({"n": 1});
    let made = api.post("/transactions", body).await.status(201);
    let position = api.position().await;
    let expected = format!(
        concat!(
            r#"{{"id":"{id}","type":"posting","status":"posted","position":{position},"#,
            r#""recordedAt":"{at}","effectiveAt":"2026-11-01T00:00:00.000000Z","#,
            "\"reference\":\"R \u{1F600}\\n\",",
            r#""externalId":"x","metadata":{{"n":1}},"#,
            r#""postings":[{{"from":"{from}","to":"{to}","asset":"USD","amount":"1050"}}],"#,
            r#""balances":[{{"accountId":"{from}","asset":"USD","settled":"-1050","reserved":"0","#,
            r#""incoming":"0","available":"-1050"}},"#,
            r#"{{"accountId":"{to}","asset":"USD","settled":"1050","reserved":"0","incoming":"0","#,
            r#""available":"1050","spendable":"1050"}}]}}"#
        ),
        id = id(1),
        position = position,
        at = made.str("/recordedAt"),
        from = external,
        to = main,
    );
    assert_eq!(made.answer.body, expected);
    let location = format!("/api/v1/transactions/{}", id(1));
    assert_eq!(made.header("location"), Some(location.as_str()));
    let got = api.get(&format!("/transactions/{}", id(1))).await.status(200);
    assert_eq!(got.answer.body, expected);
    for filter in [
        "reference=R%20%F0%9F%98%80%0A".to_owned(),
        "externalId=x".to_owned(),
        format!("accountId={main}"),
        format!("from={}", made.str("/recordedAt")),
    ] {
        let listed = api.get(&format!("/transactions?{filter}")).await.status(200);
        assert_eq!(listed.body["items"], json!([made.body]), "{filter}");
    }
    let before = api
        .get(&format!("/transactions?to={}", made.str("/recordedAt")))
        .await;
    assert_eq!(before.body["items"], json!([]));

    let balances = api.get(&format!("/accounts/{main}/balances")).await.status(200);
    let expected = format!(
        r#"{{"accountId":"{main}","position":{position},"balances":[{{"asset":"USD","settled":"1050","reserved":"0","incoming":"0","available":"1050","spendable":"1050"}}]}}"#
    );
    assert_eq!(balances.answer.body, expected);
    let effective = api
        .get(&format!(
            "/accounts/{main}/balances?effectiveAt=2026-10-31T00:00:00Z"
        ))
        .await;
    assert_eq!(effective.status(200).body["balances"], json!([]));
    let effective = api
        .get(&format!(
            "/accounts/{main}/balances?effectiveAt=2026-11-01T00:00:00Z"
        ))
        .await;
    let settled = json!([{"asset": "USD", "settled": "1050"}]);
    assert_eq!(effective.status(200).body["balances"], settled);
    let then = api
        .get(&format!("/accounts/{main}/balances?position={}", position - 1))
        .await
        .status(200);
    assert!(
        then.body["balances"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["settled"] == "0")
    );
    api.get(&format!(
        "/accounts/{main}/balances?position=1&recordedAt=2026-11-01T00:00:00Z"
    ))
    .await
    .bad("position");

    let entries = api.get(&format!("/accounts/{main}/entries")).await.status(200);
    let entry = &entries.body["items"][0];
    assert_eq!(entry["direction"], "credit");
    assert_eq!(entry["counterpartyId"], external.to_string());
    assert_eq!(entry["amount"], "1050");
    assert_eq!(entry["effectiveAt"], "2026-11-01T00:00:00.000000Z");
    assert_eq!(entry["balance"]["available"], "1050");
}

#[tokio::test]
async fn a_hold_in_parts() {
    let api = Api::new().await;
    let main = api.funded().await;
    let external = api.world.external;
    let mut body = json!({"postings": [posting(main, external, "1000"), posting(main, external, "500")]});
    body["hold"] = json!({"expiresAt": "2026-12-01T00:00:00Z"});
    let held = api.post("/transactions", body).await.status(201);
    let hold = held.str("/id");
    assert_eq!(
        (held.str("/status"), held.str("/expiresAt")),
        ("held".into(), "2026-12-01T00:00:00.000000Z".into())
    );
    assert_eq!(held.str("/balances/0/reserved"), "1500");
    assert_eq!(held.str("/balances/0/spendable"), "8500");
    let path = format!("/holds/{hold}");
    api.post(&format!("{path}/capture"), json!({"amount": "5"}))
        .await
        .bad("amount");
    let parts = json!({"postings": [{"index": 1, "amount": "200"}]});
    let taken = api.post(&format!("{path}/capture"), parts).await.status(201);
    assert_eq!(
        (taken.str("/type"), taken.str("/status")),
        ("capture".into(), "posted".into())
    );
    assert_eq!(taken.str("/holdId"), hold);
    assert_eq!(taken.int("/postings/0/index"), 1);
    assert_eq!(taken.str("/postings/0/amount"), "200");
    let now = api.get(&path).await.status(200);
    assert_eq!(now.str("/postings/1/captured"), "200");
    assert_eq!(now.str("/postings/1/remaining"), "300");
    assert_eq!(
        api.get("/holds?status=held").await.body["items"],
        json!([now.body])
    );
    assert_eq!(
        api.get(&format!("/holds?accountId={main}")).await.body["items"],
        json!([now.body])
    );
    assert_eq!(
        api.get(&format!("/transactions/{hold}"))
            .await
            .str("/postings/1/remaining"),
        "300"
    );
    let some = json!({"postings": [{"index": 0, "amount": "400"}]});
    let let_go = api.post(&format!("{path}/release"), some).await.status(201);
    assert_eq!(
        (let_go.str("/status"), let_go.str("/postings/0/amount")),
        ("released".into(), "400".into())
    );
    let last = json!({"postings": [{"index": 0, "amount": "100"}], "final": true});
    let taken = api.post(&format!("{path}/capture"), last).await.status(201);
    assert_eq!(taken.str("/postings/0/amount"), "100");
    assert_eq!(taken.str("/postings/0/released"), "500");
    assert_eq!(api.get(&path).await.str("/status"), "captured");
    assert_eq!(
        api.get(&format!("/transactions/{hold}")).await.str("/status"),
        "captured"
    );
    assert_eq!(api.balance(main).await[0]["spendable"], "9700");
    api.post(&format!("{path}/release"), json!({}))
        .await
        .problem(422, "hold_resolved");
    assert_eq!(api.get("/holds?status=held").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_reversal_never_exceeds() {
    let api = Api::new().await;
    let main = api.funded().await;
    let posted = api
        .post("/transactions", transfer(main, api.world.external, "900"))
        .await
        .str("/id");
    let path = format!("/transactions/{posted}/reverse");
    let parts = json!({"postings": [{"index": 0, "amount": "300"}]});
    let reversed = api.post(&path, parts).await.status(201);
    assert_eq!(
        (reversed.str("/type"), reversed.str("/reverses")),
        ("reversal".into(), posted.clone())
    );
    assert_eq!(
        api.get(&format!("/transactions/{posted}"))
            .await
            .str("/postings/0/reversed"),
        "300"
    );
    let too_much = json!({"postings": [{"index": 0, "amount": "601"}]});
    let refused = api.post(&path, too_much).await.problem(422, "reversal_exceeds");
    assert_eq!(refused.int("/posting"), 0);
    assert_eq!(refused.int("/position"), api.position().await);
    api.post(&path, json!({})).await.status(201);
    assert_eq!(api.balance(main).await[0]["settled"], "10000");
    api.post(&format!("/transactions/{}/reverse", id(404)), json!({}))
        .await
        .problem(404, "transaction_not_found");
    api.post(&format!("/holds/{}/capture", id(404)), json!({}))
        .await
        .problem(404, "hold_not_found");
}

#[tokio::test]
async fn below_the_floor_by_force_alone() {
    let api = Api::new().await;
    let main = api.funded().await;
    let mut body = transfer(main, api.world.external, "10001");
    let refused = api
        .post("/transactions", body.clone())
        .await
        .problem(422, "insufficient_funds");
    assert_eq!(refused.str("/accountId"), main.to_string());
    assert_eq!(refused.int("/posting"), 0);
    assert_eq!(
        refused.header("saldo-position"),
        Some(api.position().await.to_string().as_str())
    );
    body["force"] = json!(true);
    let done = api.post("/transactions", body).await.status(201);
    assert_eq!(done.body["overdrawn"], true);
    assert_eq!(done.str("/balances/0/spendable"), "-1");
    let mut back = transfer(api.world.external, main, "1");
    back["force"] = json!(true);
    assert_eq!(
        api.post("/transactions", back).await.status(201).body["overdrawn"],
        Value::Null
    );
}

#[tokio::test]
async fn batches_each_for_itself_and_all_or_none() {
    let api = Api::new().await;
    let main = api.funded().await;
    let item = |nth: u32, amount: &str| {
        let mut one = transfer(main, api.world.external, amount);
        one["id"] = json!(id(nth));
        one
    };
    let before = api.position().await;
    let mut held = item(3, "1");
    held["hold"] = json!({});
    let conflict = item(1, "2");
    let batch = json!({"transactions": [item(1, "1"), item(2, "99999"), held, item(1, "1"), conflict]});
    let done = api.post("/transactions/batch", batch).await.status(200);
    assert_eq!(done.int("/position"), before + 3);
    assert_eq!(
        done.body["results"][0],
        json!({"id": id(1), "status": "posted", "position": before + 1})
    );
    assert_eq!(done.str("/results/1/status"), "rejected");
    assert_eq!(done.str("/results/1/rejection/code"), "insufficient_funds");
    assert_eq!(done.str("/results/1/rejection/accountId"), main.to_string());
    assert!(!done.str("/results/1/rejection/detail").is_empty());
    assert_eq!(done.str("/results/2/status"), "held");
    assert_eq!(done.body["results"][3]["replayed"], true);
    assert_eq!(done.str("/results/4/rejection/code"), "idempotency_conflict");
    assert_eq!(api.position().await, before + 3);

    let batch = json!({"atomic": true, "transactions": [item(4, "1"), item(5, "99999"), item(6, "1")]});
    let done = api.post("/transactions/batch", batch).await.status(200);
    assert_eq!(done.body["results"].as_array().unwrap().len(), 1);
    assert_eq!(
        (done.str("/results/0/id"), done.str("/results/0/status")),
        (id(5), "rejected".into())
    );
    let batch = json!({"atomic": true, "transactions": [item(7, "1"), item(8, "1")]}).to_string();
    let key = [("Idempotency-Key", "all")];
    let first = api
        .ask("POST", "/transactions/batch", &key, &batch)
        .await
        .status(200);
    assert_eq!(first.str("/results/1/status"), "posted");
    let again = api
        .ask("POST", "/transactions/batch", &key, &batch)
        .await
        .status(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.str("/results/1/status"), "posted");
    assert_eq!(api.balance(main).await[0]["settled"], "9997");
    let plain = json!({"transactions": [item(9, "1")]}).to_string();
    api.ask("POST", "/transactions/batch", &key, &plain)
        .await
        .bad("Idempotency-Key");
}

#[tokio::test]
async fn every_posting_counts_in_order() {
    let api = Api::new().await;
    let main = api.funded().await;
    let other = api.account(Purpose::Wallet).await;
    let body = json!({"postings": [posting(main, other, "10000"), posting(other, main, "1"), posting(other, main, "2")]});
    let done = api.post("/transactions", body).await.status(201);
    // One for each account, as it was after the last posting.
    let balances = done.body["balances"].as_array().unwrap();
    assert_eq!(balances.len(), 2);
    assert_eq!(
        (&balances[0]["settled"], &balances[1]["settled"]),
        (&json!("3"), &json!("9997"))
    );
    let zero = json!({"postings": [posting(main, other, "1"), posting(main, other, "0")]});
    let refused = api.post("/transactions", zero).await.problem(422, "amount_zero");
    assert_eq!(refused.int("/posting"), 1);
    assert_eq!(api.balance(main).await[0]["settled"], "3");
}
