//! Magicline's endpoint, from request to answer.

use super::world::{Answer, World};
use ledger::{AccountId, CustomerId, Owner, Purpose, Scopes};
use service::{Credentials, Idempotency, SetDunning};

const MAX: u128 = i128::MAX as u128;

async fn ask(world: &World, key: &Credentials, method: &str, number: &str, language: &str) -> Answer {
    let path = format!("/v1/customers/{number}/account/balances");
    let token = key.token();
    world
        .ask(
            method,
            &path,
            &[("X-API-KEY", &token), ("Accept-Language", language)],
            "",
        )
        .await
}

async fn get(world: &World, number: i64) -> Answer {
    ask(world, &world.key, "GET", &number.to_string(), "en").await
}

/// A member with this number.
async fn member(world: &World, number: i64) -> CustomerId {
    world.customer("Mia Mitglied", Some(number)).await
}

async fn open(world: &World, member: CustomerId, purpose: Purpose, currency: Option<&str>) -> AccountId {
    world.account(Owner::Customer(member), purpose, currency).await
}

fn error(message: &str, code: &str, reference: &str) -> String {
    format!(r#"{{"errorMessage":"{message}","errorCode":"{code}","traceId":"req-1"{reference}}}"#)
}

const NO_MEMBER: &str = "There is no such customer that this key can see; check the id.";

#[tokio::test]
async fn the_balances_of_a_member_to_the_byte() {
    let world = World::new().await;
    let id = member(&world, 42).await;
    // Nothing but the one field that is required.
    let answer = get(&world, 42).await;
    answer.is(200, r#"{"inDebtCollection":false}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let receivable = open(&world, id, Purpose::Receivable, None).await;
    let credit = open(&world, id, Purpose::Credit, Some("EUR")).await;
    // Untouched: the one has a currency, the other has not.
    get(&world, 42).await.is(
        200,
        r#"{"consumptionCredit":{"amount":0.00,"currency":"EUR"},"inDebtCollection":false}"#,
    );

    world.post(receivable, world.external, "EUR", 2000).await;
    world.post(world.external, credit, "EUR", 1).await;
    let dunning = SetDunning {
        customer: id,
        label: Some("Dunning Level 1".to_owned()),
        in_debt_collection: true,
    };
    world
        .service
        .set_dunning(&world.caller, dunning, Idempotency::default())
        .await
        .unwrap();
    get(&world, 42).await.is(
        200,
        r#"{"accountBalance":{"amount":-20.00,"currency":"EUR"},"consumptionCredit":{"amount":0.01,"currency":"EUR"},"dunningLevel":"Dunning Level 1","inDebtCollection":true}"#,
    );

    // Holds are not settled; what is reversed is.
    world.hold(world.external, receivable, "EUR", 700).await;
    world.post(world.external, receivable, "EUR", 2050).await;
    let answer = get(&world, 42).await;
    assert!(
        answer
            .body
            .starts_with(r#"{"accountBalance":{"amount":0.50,"currency":"EUR"},"#),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn amounts_at_the_edges_in_every_number_of_places() {
    let world = World::new().await;
    let cases = [
        ("JPY", MAX, "170141183460469231731687303715884105727"),
        ("EUR", MAX, "1701411834604692317316873037158841057.27"),
        ("KWD", 1, "0.001"),
        ("EUR", 10, "0.10"),
        ("JPY", 1, "1"),
    ];
    for (number, (currency, amount, shown)) in (1..).zip(cases) {
        let id = member(&world, number).await;
        let receivable = open(&world, id, Purpose::Receivable, None).await;
        let other = open(&world, id, Purpose::Internal, None).await;
        world.force(other, receivable, currency, amount).await;
        let sides = |sign: &str| {
            format!(
                r#"{{"accountBalance":{{"amount":{sign}{shown},"currency":"{currency}"}},"inDebtCollection":false}}"#
            )
        };
        get(&world, number).await.is(200, &sides(""));
        world.post(receivable, other, currency, amount).await;
        if amount < MAX {
            world.post(receivable, other, currency, amount).await;
            get(&world, number).await.is(200, &sides("-"));
        }
    }
}

#[tokio::test]
async fn the_sign_can_be_turned() {
    let world = World::with("[magicline]\nnegate_account_balance = true").await;
    let id = member(&world, 1).await;
    let receivable = open(&world, id, Purpose::Receivable, None).await;
    let credit = open(&world, id, Purpose::Credit, None).await;
    world.post(receivable, world.external, "EUR", 2000).await;
    world.post(world.external, credit, "EUR", 500).await;
    get(&world, 1).await.is(
        200,
        r#"{"accountBalance":{"amount":20.00,"currency":"EUR"},"consumptionCredit":{"amount":5.00,"currency":"EUR"},"inDebtCollection":false}"#,
    );
}

#[tokio::test]
async fn which_currency() {
    let world = World::new().await;
    let id = member(&world, 1).await;
    let receivable = open(&world, id, Purpose::Receivable, None).await;
    let shows = async |expected: &str| {
        let body = format!(r#"{{{expected}"inDebtCollection":false}}"#);
        get(&world, 1).await.is(200, &body);
    };
    let balance = |amount: &str, currency: &str| {
        format!(r#""accountBalance":{{"amount":{amount},"currency":"{currency}"}},"#)
    };
    // What is not in ISO 4217 is left out, also beside what is.
    world.post(world.external, receivable, "USDC@base", 1).await;
    shows("").await;
    assert_eq!(world.service.metrics.balances_left_out.get(), 1);
    world.post(world.external, receivable, "EUR", 100).await;
    shows(&balance("1.00", "EUR")).await;
    // Two that are not zero are one too many.
    world.post(world.external, receivable, "CHF", 100).await;
    let detail = "The receivable account has balances in several currencies, of which this answer can show one; give each its own account.";
    get(&world, 1)
        .await
        .is(409, &error(detail, "several_currencies", ""));
    world.post(receivable, world.external, "EUR", 100).await;
    shows(&balance("1.00", "CHF")).await;
    // All zero: the last entry's.
    world.post(receivable, world.external, "CHF", 100).await;
    shows(&balance("0.00", "CHF")).await;
    world.post(world.external, receivable, "EUR", 100).await;
    world.post(receivable, world.external, "EUR", 100).await;
    shows(&balance("0.00", "EUR")).await;
    // An account that is bound to a coin has nothing to show.
    let other = member(&world, 2).await;
    let coins = open(&world, other, Purpose::Credit, Some("USDC@base")).await;
    world.post(world.external, coins, "USDC@base", 1).await;
    get(&world, 2).await.is(200, r#"{"inDebtCollection":false}"#);
}

#[tokio::test]
async fn only_primary_accounts_count() {
    let world = World::new().await;
    let id = member(&world, 1).await;
    open(&world, id, Purpose::Receivable, Some("EUR")).await;
    let second = open(&world, id, Purpose::Receivable, Some("CHF")).await;
    world.post(world.external, second, "CHF", 100).await;
    get(&world, 1).await.is(
        200,
        r#"{"accountBalance":{"amount":0.00,"currency":"EUR"},"inDebtCollection":false}"#,
    );
}

#[tokio::test]
async fn every_error_of_the_card() {
    let world = World::new().await;
    member(&world, i64::MAX).await;
    member(&world, 7).await;
    assert_eq!(get(&world, i64::MAX).await.status, 200);
    let key = &world.key;
    // Not in the grammar, or not of 64 bits.
    let malformed = error(
        "`customerId` must be an integer of at most 64 bits",
        "bad_request",
        r#","reference":"customerId""#,
    );
    for number in [
        "x",
        "1.0",
        "+7",
        "1e3",
        "--7",
        "-",
        "0x7",
        "%207",
        "7%0A",
        "9223372036854775808",
        "-9223372036854775809",
        "７",
    ] {
        ask(&world, key, "GET", number, "en").await.is(400, &malformed);
    }
    let missing = error(NO_MEMBER, "not_found", "");
    for number in ["0", "-0", "-7", "8", "-9223372036854775808"] {
        ask(&world, key, "GET", number, "en").await.is(404, &missing);
    }
    // Zeros in front are in the grammar.
    assert_eq!(ask(&world, key, "GET", "007", "en").await.status, 200);
    ask(&world, &world.stranger().await, "GET", "7", "en")
        .await
        .is(404, &missing);

    let read = world.key(world.root, Scopes::READ).await;
    let no_scope = error(
        "This key lacks the scope `CUSTOMER_ACCOUNT_READ`; use one that has it.",
        "forbidden",
        "",
    );
    ask(&world, &read, "GET", "x", "en").await.is(403, &no_scope);
    let only = world.key(world.root, Scopes::CUSTOMER_ACCOUNT_READ).await;
    assert_eq!(ask(&world, &only, "GET", "7", "en").await.status, 200);

    let no_key = error(
        "There are no credentials here that work; check them, and that they were not revoked.",
        "unauthorized",
        "",
    );
    let path = "/v1/customers/x/account/balances";
    world.get(path, &[]).await.is(401, &no_key);
    world
        .get(path, &[("x-api-key", &key.api_key())])
        .await
        .is(401, &no_key);
    world
        .get(path, &[("x-api-key", &key.token()[1..])])
        .await
        .is(401, &no_key);
    world.revoke(&only).await;
    ask(&world, &only, "GET", "7", "en").await.is(401, &no_key);
    let answer = world.ask("POST", path, &[], "").await;
    answer.is(
        405,
        &error(
            "This path takes other methods: GET, HEAD.",
            "method_not_allowed",
            "",
        ),
    );
}

#[tokio::test]
async fn messages_in_german() {
    let world = World::new().await;
    member(&world, 7).await;
    let cases = [
        (
            "GET",
            "x",
            400,
            "Der Wert von „customerId“ ist ungültig; bitte prüfen.",
        ),
        (
            "GET",
            "8",
            404,
            "Dieses Mitglied gibt es nicht, oder der API-Schlüssel darf es nicht sehen.",
        ),
        (
            "PUT",
            "7",
            405,
            "Unter diesem Pfad gehen nur andere Methoden: GET, HEAD.",
        ),
    ];
    for (method, number, status, message) in cases {
        for language in ["de", "de-CH, en;q=0.5"] {
            let answer = ask(&world, &world.key, method, number, language).await;
            assert_eq!(answer.status, status);
            assert!(
                answer
                    .body
                    .starts_with(&format!(r#"{{"errorMessage":"{message}","#)),
                "{}",
                answer.body
            );
            assert_eq!(answer.header("content-language"), Some("de"));
        }
        let english = ask(&world, &world.key, method, number, "fr").await;
        assert_eq!(english.header("content-language"), Some("en"));
    }
}

#[tokio::test]
async fn head_is_about_the_key_alone() {
    let world = World::new().await;
    member(&world, 7).await;
    let read = world.key(world.root, Scopes::READ).await;
    for key in [&world.key, &read] {
        for number in ["7", "8", "0", "x"] {
            ask(&world, key, "HEAD", number, "").await.is(200, "");
        }
    }
    world.revoke(&read).await;
    ask(&world, &read, "HEAD", "7", "").await.is(401, "");
    world
        .ask("HEAD", "/v1/customers/7/account/balances", &[], "")
        .await
        .is(401, "");
}

#[tokio::test]
async fn a_thousand_a_minute() {
    let world = World::new().await;
    member(&world, 7).await;
    for _ in 0..1000 {
        assert_eq!(get(&world, 7).await.status, 200);
    }
    world.clock.advance(10_000_000);
    let answer = get(&world, 7).await;
    answer.is(
        429,
        &error(
            "This key may ask 1000 times a minute; ask again in 50 s.",
            "rate_limited",
            "",
        ),
    );
    assert_eq!(answer.header("retry-after"), Some("50"));
    world.clock.advance(50_000_000);
    assert_eq!(get(&world, 7).await.status, 200);
}
