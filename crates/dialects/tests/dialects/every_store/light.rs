//! Light's endpoint, from request to answer.

use super::world::{Answer, START, World, asset};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dialects::spelling::uuid;
use dialects::time;
use ledger::{AccountChange, AccountId, AccountStatus, Owner, Purpose, Scopes};
use service::Idempotency;

const INT64: u128 = i64::MAX as u128;

async fn get(world: &World, authorization: &str, id: &str) -> Answer {
    let path = format!("/v1/card-balance-accounts/{id}");
    world.get(&path, &[("Authorization", authorization)]).await
}

async fn card(world: &World, currency: &str) -> AccountId {
    let customer = world.customer("Carl Card", None).await;
    world
        .account(Owner::Customer(customer), Purpose::Card, Some(currency))
        .await
}

fn basic(world: &World) -> String {
    format!("Basic {}", world.key.token())
}

fn error(name: &str, kind: &str, message: &str, path: &str) -> String {
    format!(
        r#"{{"name":"{name}","type":"{kind}","errors":[{{"type":"{kind}","message":"{message}"{path}}}]}}"#
    )
}

const NO_ACCOUNT: &str = "There is no such account that this key can see; check the id.";

async fn change(world: &World, id: AccountId, status: AccountStatus, label: &str) {
    let change = AccountChange {
        id,
        label: Some(label.into()),
        status: Some(status),
        limits: Vec::new(),
        primary: false,
        external_id: None,
        metadata: None,
    };
    world
        .service
        .update_account(&world.caller, change, Idempotency::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_card_account_to_the_byte() {
    let world = World::new().await;
    let subsidiary = world.subsidiary("Cards").await;
    let id = world
        .account(Owner::Client(subsidiary), Purpose::Card, Some("USD"))
        .await;
    let (own, root, client) = (uuid(id.0), uuid(world.root.0), uuid(subsidiary.0));
    let created = world
        .service
        .account(&world.caller, id)
        .await
        .unwrap()
        .value
        .account
        .created_at;
    let body = |label: &str, status: &str, balance: &str, updated: &str| {
        format!(
            r#"{{"id":"{own}","companyEntityId":"{client}","companyId":"{root}","currency":"USD","label":"{label}","status":"{status}","balance":{{{balance},"currency":"USD"}},"createdAt":"{}","updatedAt":"{updated}","primary":true}}"#,
            time::format(created)
        )
    };
    let answer = get(&world, &basic(&world), &own).await;
    let zero = r#""available":0,"settled":0,"reserved":0"#;
    answer.is(200, &body("", "ACTIVE", zero, &time::format(created)));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json;charset=UTF-8")
    );

    world.clock.advance(5_000_000);
    let done = world.post(world.external, id, "USD", 2000).await;
    let posted = time::format(done.record.recorded_at);
    let answer = get(&world, &basic(&world), &own).await;
    answer.is(
        200,
        &body(
            "",
            "ACTIVE",
            r#""available":2000,"settled":2000,"reserved":0"#,
            &posted,
        ),
    );
    world.hold(id, world.external, "USD", 1999).await;
    let balance = r#""available":1,"settled":2000,"reserved":1999"#;
    let answer = get(&world, &basic(&world), &own.to_uppercase()).await;
    assert!(answer.body.contains(balance), "{}", answer.body);

    // Frozen is still ACTIVE, and a change is an update.
    world.clock.advance(5_000_000);
    change(&world, id, AccountStatus::Frozen, "Fuel").await;
    let updated = world
        .service
        .account(&world.caller, id)
        .await
        .unwrap()
        .value
        .account
        .updated_at;
    let answer = get(&world, &basic(&world), &own).await;
    answer.is(200, &body("Fuel", "ACTIVE", balance, &time::format(updated)));
    assert!(updated > done.record.recorded_at);
}

#[tokio::test]
async fn closed_accounts_and_second_ones() {
    let world = World::new().await;
    let first = card(&world, "EUR").await;
    let owner = world
        .service
        .account(&world.caller, first)
        .await
        .unwrap()
        .value
        .account
        .owner;
    let second = world.account(owner, Purpose::Card, Some("EUR")).await;
    change(&world, first, AccountStatus::Closed, "").await;
    let answer = get(&world, &basic(&world), &uuid(first.0)).await;
    assert!(answer.body.contains(r#""status":"CLOSED""#) && answer.body.ends_with(r#""primary":true}"#));
    let answer = get(&world, &basic(&world), &uuid(second.0)).await;
    assert!(answer.body.contains(r#""status":"ACTIVE""#) && answer.body.ends_with(r#""primary":false}"#));
}

#[tokio::test]
async fn amounts_at_the_edge_of_int64() {
    let world = World::new().await;
    let id = card(&world, "USD").await;
    let ask = async || get(&world, &basic(&world), &uuid(id.0)).await;
    world.post(world.external, id, "USD", INT64).await;
    assert!(
        ask()
            .await
            .body
            .contains(r#""available":9223372036854775807,"settled":9223372036854775807,"#)
    );
    world.post(world.external, id, "USD", 1).await;
    let hidden = error(
        "InternalServerError",
        "INTERNAL_SERVER_ERROR",
        "Something is wrong here; the log has it under this answer's `X-Request-Id`.",
        "",
    );
    ask().await.is(500, &hidden);
    assert_eq!(world.service.metrics.internal_errors.get(), 1);
    world.post(id, world.external, "USD", 1).await;
    // The other end.
    world.force(id, world.external, "USD", 2 * INT64 + 1).await;
    assert!(
        ask()
            .await
            .body
            .contains(r#""available":-9223372036854775808,"settled":-9223372036854775808,"#)
    );
    world.force(id, world.external, "USD", 1).await;
    ask().await.is(500, &hidden);
}

#[tokio::test]
async fn four_ways_in_and_many_that_are_none() {
    let world = World::new().await;
    let id = uuid(card(&world, "USD").await.0);
    let token = world.key.token();
    let signed = world
        .service
        .issue_token(&world.key.api_key(), &world.key.api_secret())
        .await
        .unwrap()
        .token;
    let encoded = |text: String| format!("Basic {}", STANDARD.encode(text));
    let ways = [
        format!("Basic {token}"),
        format!("basic {token}"),
        encoded(format!("{token}:")),
        encoded(format!("{token}:whatever")),
        format!("Bearer {signed}"),
    ];
    for authorization in ways {
        assert_eq!(
            get(&world, &authorization, &id).await.status,
            200,
            "{authorization}"
        );
    }
    let message = "There are no credentials here that work; check them, and that they were not revoked.";
    let no_key = error("Unauthorized", "UNAUTHORIZED", message, "");
    let none = [
        String::new(),
        token.clone(),
        "Basic".to_owned(),
        format!("Bearer {token}"),
        format!("Basic {signed}"),
        encoded(token.clone()),
        encoded(format!(":{token}")),
        format!("Basic {}", world.key.api_key()),
    ];
    for authorization in none {
        let answer = get(&world, &authorization, "x").await;
        answer.is(401, &no_key);
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn every_error_of_the_card() {
    let world = World::new().await;
    let id = card(&world, "USD").await;
    let spelled = uuid(id.0);
    let basic = basic(&world);
    let malformed = error(
        "BadRequest",
        "BAD_REQUEST",
        "`accountId` must be a hyphenated UUID",
        r#","path":"accountId""#,
    );
    let plain = spelled.replace('-', "");
    for text in [
        "x",
        &plain,
        &format!("{{{}}}", &*spelled),
        &format!("{}0", &*spelled),
        &format!("{}%0A", &*spelled),
    ] {
        get(&world, &basic, text).await.is(400, &malformed);
    }
    let missing = error("NotFound", "NOT_FOUND", NO_ACCOUNT, "");
    get(&world, &basic, &uuid(id.0 ^ 1)).await.is(404, &missing);
    // No other account is one of a card.
    for purpose in [Purpose::Main, Purpose::Wallet, Purpose::Internal] {
        let other = world
            .account(Owner::Client(world.root), purpose, Some("USD"))
            .await;
        get(&world, &basic, &uuid(other.0)).await.is(404, &missing);
    }
    let stranger = format!("Basic {}", world.stranger().await.token());
    get(&world, &stranger, &spelled).await.is(404, &missing);
    let post = world.key(world.root, Scopes::POST).await;
    let answer = get(&world, &format!("Basic {}", post.token()), "x").await;
    answer.is(
        403,
        &error(
            "Forbidden",
            "FORBIDDEN",
            "This key lacks the scope `read`; use one that has it.",
            "",
        ),
    );
    // Every answer to a known key tells how it stands.
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("299"));
    let path = format!("/v1/card-balance-accounts/{}", &*spelled);
    let answer = world.ask("POST", &path, &[("authorization", &basic)], "").await;
    let message = "This path takes other methods: GET, HEAD.";
    answer.is(405, &error("MethodNotAllowed", "METHOD_NOT_ALLOWED", message, ""));
    world
        .ask("HEAD", &path, &[("authorization", &basic)], "")
        .await
        .is(200, "");
    world.revoke(&post).await;
    assert_eq!(
        get(&world, &format!("Basic {}", post.token()), "x").await.status,
        401
    );
}

#[tokio::test]
async fn three_hundred_a_minute() {
    let world = World::new().await;
    let id = uuid(card(&world, "USD").await.0);
    let reset = START.0 / 1_000_000 + 60;
    for left in (0..300).rev() {
        let answer = get(&world, &basic(&world), &id).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("300"));
        assert_eq!(
            answer.header("x-ratelimit-remaining"),
            Some(left.to_string().as_str())
        );
        assert_eq!(
            answer.header("x-ratelimit-reset"),
            Some(reset.to_string().as_str())
        );
    }
    let answer = get(&world, &basic(&world), &id).await;
    let message = "This key may ask 300 times a minute; ask again in 60 s.";
    answer.is(429, &error("TooManyRequests", "TOO_MANY_REQUESTS", message, ""));
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    world.clock.advance(60_000_000);
    assert_eq!(
        get(&world, &basic(&world), &id)
            .await
            .header("x-ratelimit-remaining"),
        Some("299")
    );
}

#[tokio::test]
async fn the_credit_limit_has_no_part_in_available() {
    let world = World::new().await;
    let customer = world.customer("On credit", None).await;
    let limit = ledger::LimitChange {
        asset: asset("USD"),
        credit: Some(ledger::CreditChange::Limit(ledger::Amount::new(500).unwrap())),
        max_balance: None,
    };
    let id = world
        .account_with(Owner::Customer(customer), Purpose::Card, Some("USD"), vec![limit])
        .await;
    world.post(id, world.external, "USD", 200).await;
    let answer = get(&world, &basic(&world), &uuid(id.0)).await;
    assert!(
        answer
            .body
            .contains(r#""available":-200,"settled":-200,"reserved":0"#),
        "{}",
        answer.body
    );
}
