//! Polygon's endpoints, from request to answer.

use super::world::{Answer, World};
use dialects::spelling::typeid;
use ledger::{AccountId, CustomerId, Owner, Purpose, Scopes};
use serde_json::Value;
use service::{CreateKey, Credentials, Idempotency};

const MAX: u128 = i128::MAX as u128;
const MINUTE: i64 = 60_000_000;

async fn token_of(world: &World, key: &Credentials) -> Answer {
    let pair = format!(
        r#"{{"apiKey":"{}","apiSecret":"{}"}}"#,
        key.api_key(),
        key.api_secret()
    );
    world.ask("POST", "/v0.9/auth/token", &[], &pair).await
}

/// `Bearer` and a token that works for an hour.
async fn bearer(world: &World, key: &Credentials) -> String {
    let answer = token_of(world, key).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    format!("Bearer {}", body["accessToken"].as_str().unwrap())
}

async fn get(world: &World, bearer: &str, customer: &str, currency: Option<&str>) -> Answer {
    let query = currency.map_or(String::new(), |code| {
        format!("?estimatedBalanceCurrencyCode={code}")
    });
    let path = format!("/v0.9/customers/{customer}/balance{query}");
    world.get(&path, &[("Authorization", bearer)]).await
}

fn value(customer: CustomerId, value: &str, currency: &str) -> String {
    format!(
        r#"{{"data":{{"customerId":"{}","estimatedBalanceValue":"{value}","estimatedBalanceCurrencyCode":"{currency}"}}}}"#,
        typeid(customer.0)
    )
}

async fn customer_with_main(world: &World) -> (CustomerId, AccountId) {
    let customer = world.customer("Pia Polygon", None).await;
    let main = world
        .account(Owner::Customer(customer), Purpose::Main, None)
        .await;
    (customer, main)
}

const UNAUTHORIZED: &str = r#"{"error":"unauthorized"}"#;
const INVALID: &str = r#"{"error":"invalid customer id"}"#;
const NO_CUSTOMER: &str = r#"{"error":"customer not found"}"#;

#[tokio::test]
async fn the_value_of_a_customer_to_the_byte() {
    let world = World::new().await;
    let (id, main) = customer_with_main(&world).await;
    let bearer = bearer(&world, &world.key).await;
    let customer = typeid(id.0);
    let is = async |currency: Option<&str>, expected: &str| {
        let answer = get(&world, &bearer, &customer, currency).await;
        answer.is(200, &value(id, expected, currency.unwrap_or("USD")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    };
    is(None, "0.00").await;
    world.post(world.external, main, "USD", 123_450).await;
    is(None, "1234.50").await;
    is(Some("USD"), "1234.50").await;

    world.rate("EUR", "USD", "1.25").await;
    world.rate("EUR", "JPY", "160").await;
    world.rate("USDC", "USD", "0.9999").await;
    is(Some("EUR"), "987.60").await;
    is(Some("JPY"), "158016").await;
    // 1234.50 + 0.0000009999 + 1.25 x 0.01, once rounded: the half goes to the even cent.
    let owner = Owner::Customer(id);
    let card = world.account(owner, Purpose::Card, Some("EUR")).await;
    let wallet = world.account(owner, Purpose::Wallet, None).await;
    world.post(world.external, card, "EUR", 1).await;
    is(None, "1234.51").await;
    world.post(world.external, wallet, "USDC@base", 1_000_000).await;
    is(None, "1235.51").await;
    // What is held is still settled; what is owed or prepaid doesn't count.
    world.hold(main, world.external, "USD", 100_000).await;
    for purpose in [Purpose::Receivable, Purpose::Credit, Purpose::Internal] {
        let other = world.account(owner, purpose, None).await;
        world.post(world.external, other, "USD", 1_000_000).await;
    }
    is(None, "1235.51").await;
    world.force(main, world.external, "USD", 200_000).await;
    is(None, "-764.49").await;
}

#[tokio::test]
async fn halves_go_to_the_even_cent_and_the_largest_amount_is_exact() {
    let world = World::new().await;
    let (id, main) = customer_with_main(&world).await;
    let bearer = bearer(&world, &world.key).await;
    let customer = typeid(id.0);
    // USDC has six places: 0.005, 0.015, 0.025 USD.
    world.rate("USDC", "USD", "1").await;
    for (amount, shown) in [(5_000, "0.00"), (10_000, "0.02"), (10_000, "0.02"), (1, "0.03")] {
        world.post(world.external, main, "USDC@base", amount).await;
        get(&world, &bearer, &customer, None)
            .await
            .is(200, &value(id, shown, "USD"));
    }
    let (rich, vault) = customer_with_main(&world).await;
    world.post(world.external, vault, "USD", MAX).await;
    let shown = "1701411834604692317316873037158841057.27";
    get(&world, &bearer, &typeid(rich.0), None)
        .await
        .is(200, &value(rich, shown, "USD"));
    // Beyond what a balance can be, in another currency.
    world.rate("USD", "JPY", "160").await;
    let answer = get(&world, &bearer, &typeid(rich.0), Some("JPY")).await;
    let error =
        r#"{"error":"currency \"JPY\" can't be used: it can't hold so large a sum","code":"provider_error"}"#;
    answer.is(502, error);
}

#[tokio::test]
async fn a_currency_that_cannot_be_used() {
    let world = World::new().await;
    let (id, main) = customer_with_main(&world).await;
    let bearer = bearer(&world, &world.key).await;
    let customer = typeid(id.0);
    let refused = async |currency: &str| {
        let answer = get(&world, &bearer, &customer, Some(currency)).await;
        assert_eq!(answer.status, 502, "{currency}: {}", answer.body);
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["code"], "provider_error");
        body["error"].as_str().unwrap().to_owned()
    };
    // For nothing, for a touched account, and for money.
    for amount in [0, 5] {
        assert_eq!(
            refused("").await,
            "currency \"\" can't be used: it is not a currency"
        );
        for malformed in ["usd", "US", "USDD", "ZZZ", "U%20D", "%F0%9F%92%B6", "XAU", "Usd"] {
            let shown = match malformed {
                "U%20D" => "U D",
                "%F0%9F%92%B6" => "💶",
                other => other,
            };
            assert!(
                refused(malformed).await.contains(&format!("\"{shown}\"")),
                "{malformed}"
            );
        }
        assert!(refused("AFN").await.contains("AFN"));
        assert!(refused("USDC@base").await.contains("USDC@base"));
        if amount == 0 {
            world.post(world.external, main, "USD", 7).await;
            world.post(main, world.external, "USD", 7).await;
            get(&world, &bearer, &customer, None)
                .await
                .is(200, &value(id, "0.00", "USD"));
            assert!(refused("AFN").await.contains("AFN"));
            world.post(world.external, main, "USD", 5).await;
        }
    }
    // With a rate it can: also for nothing.
    world.rate("USD", "AFN", "70").await;
    get(&world, &bearer, &customer, Some("AFN"))
        .await
        .is(200, &value(id, "3.50", "AFN"));
    let (pauper, _) = customer_with_main(&world).await;
    get(&world, &bearer, &typeid(pauper.0), Some("AFN"))
        .await
        .is(200, &value(pauper, "0.00", "AFN"));
    // A coin is no currency of ISO 4217, whatever its price.
    world.rate("USDC", "USD", "1").await;
    assert!(refused("USDC@base").await.contains("USDC@base"));
    // Money without a rate.
    world.post(world.external, main, "XOF", 5).await;
    get(&world, &bearer, &customer, None).await.is(
        502,
        r#"{"error":"no rate leads from XOF to currency \"USD\"","code":"provider_error"}"#,
    );
}

#[tokio::test]
async fn every_error_of_the_card() {
    let world = World::new().await;
    let (id, _) = customer_with_main(&world).await;
    let bearer = bearer(&world, &world.key).await;
    let customer = typeid(id.0);
    let upper = format!("cst_{}", customer[4..].to_uppercase());
    let overflow = format!("cst_8{}", &customer[5..]);
    for malformed in [
        &customer[..29],
        &customer[4..],
        &upper,
        &overflow,
        "cst_",
        "cus_2ofTA13AD0xBtbEvBl20aEb1hEu",
        "x",
    ] {
        get(&world, &bearer, malformed, None).await.is(400, INVALID);
    }
    get(&world, &bearer, &format!("{}%0A", &*customer), None)
        .await
        .is(400, INVALID);
    get(&world, &bearer, &typeid(id.0 ^ 1), None)
        .await
        .is(404, NO_CUSTOMER);
    // Who asks about a stranger learns that first.
    get(&world, &bearer, &typeid(id.0 ^ 1), Some("zzz"))
        .await
        .is(404, NO_CUSTOMER);
    let stranger = self::bearer(&world, &world.stranger().await).await;
    get(&world, &stranger, &customer, None).await.is(404, NO_CUSTOMER);

    let token = world.key.token();
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        &format!("Bearer {token}"),
        &bearer[7..],
        &bearer[..bearer.len() - 1],
        "Basic x",
    ] {
        get(&world, wrong, "x", None).await.is(401, UNAUTHORIZED);
    }
    assert_eq!(
        get(&world, &bearer.replace("Bearer", "bearer"), &customer, None)
            .await
            .status,
        200
    );

    let post = world.key(world.root, Scopes::POST).await;
    let post = self::bearer(&world, &post).await;
    let no_scope = r#"{"error":"This key lacks the scope `read`; use one that has it."}"#;
    get(&world, &post, "x", None).await.is(403, no_scope);
    let path = format!("/v0.9/customers/{}/balance", &*customer);
    let answer = world.ask("DELETE", &path, &[], "").await;
    answer.is(405, r#"{"error":"This path takes other methods: GET, HEAD."}"#);
    world
        .ask("HEAD", &path, &[("authorization", &bearer)], "")
        .await
        .is(200, "");
    let headers = [("authorization", bearer.as_str()), ("saldo-min-position", "999")];
    world.get(&path, &headers).await.is(
        503,
        r#"{"error":"upstream provider unreachable","code":"provider_unreachable"}"#,
    );
}

#[tokio::test]
async fn tokens_work_for_an_hour_or_until_the_key_is_revoked() {
    let world = World::new().await;
    let (id, _) = customer_with_main(&world).await;
    let customer = typeid(id.0);
    let key = world.key(world.root, Scopes::READ).await;
    let answer = token_of(&world, &key).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        (&body["tokenType"], &body["expiresIn"]),
        (&"bearer".into(), &3600.into())
    );
    assert_eq!(body["expiresAt"], "2026-11-20T11:39:00.000000Z");
    let first = format!("Bearer {}", body["accessToken"].as_str().unwrap());
    world.clock.advance(30 * MINUTE);
    let second = bearer(&world, &key).await;
    for _ in 0..2 {
        assert_eq!(get(&world, &first, &customer, None).await.status, 200);
    }
    world.clock.advance(30 * MINUTE - 1);
    assert_eq!(get(&world, &first, &customer, None).await.status, 200);
    world.clock.advance(1);
    get(&world, &first, &customer, None).await.is(401, UNAUTHORIZED);
    assert_eq!(get(&world, &second, &customer, None).await.status, 200);
    world.revoke(&key).await;
    get(&world, &second, &customer, None).await.is(401, UNAUTHORIZED);
    token_of(&world, &key).await.is(401, UNAUTHORIZED);

    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("[]", 400),
        (r#"{"apiKey":"a"}"#, 400),
        (r#"{"apiKey":1,"apiSecret":"b"}"#, 400),
        (r#"{"apiKey":"a","apiSecret":"b"}"#, 401),
    ] {
        let answer = world.ask("POST", "/v0.9/auth/token", &[], body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.starts_with(r#"{"error":""#));
    }
    let answer = world.ask("GET", "/v0.9/auth/token", &[], "").await;
    answer.is(405, r#"{"error":"This path takes other methods: POST."}"#);
}

#[tokio::test]
async fn a_token_does_not_claim_to_outlive_its_key() {
    let world = World::new().await;
    let start = world.clock.now().0;
    for (left, seconds) in [
        (1, 1),
        (90_000_000, 90),
        (90_000_001, 91),
        (60 * MINUTE, 3600),
        (600 * MINUTE, 3600),
    ] {
        let input = CreateKey {
            client: Some(world.root),
            label: "for a while".to_owned(),
            scopes: Scopes::READ,
            expires_at: Some(ledger::Micros(start + left)),
        };
        let made = world
            .service
            .create_key(&world.caller, input, Idempotency::default());
        let key = made.await.unwrap().value.credentials.unwrap();
        let answer = token_of(&world, &key).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["expiresIn"], seconds, "{left}: {}", answer.body);
    }
}

#[tokio::test]
async fn nobody_signs_a_token_but_the_store() {
    let world = World::new().await;
    let (id, _) = customer_with_main(&world).await;
    let good = bearer(&world, &world.key).await;
    let parts: Vec<_> = good[7..].split('.').collect();
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let longer = URL_SAFE_NO_PAD.encode(claims.replace("1795174740", "1999999999"));
    assert_ne!(longer, parts[1], "{claims}");
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{longer}.{}", parts[0], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
    ] {
        get(&world, &format!("Bearer {forged}"), &typeid(id.0), None)
            .await
            .is(401, UNAUTHORIZED);
    }
}

#[tokio::test]
async fn the_version_and_the_purposes_are_configuration() {
    let world =
        World::with("[polygon]\nprefix = \"/v1.0\"\npurposes = [\"credit\"]\nrate_limit_per_minute = 1")
            .await;
    let (id, main) = customer_with_main(&world).await;
    let credit = world.account(Owner::Customer(id), Purpose::Credit, None).await;
    world.post(world.external, main, "USD", 1).await;
    world.post(world.external, credit, "USD", 2).await;
    let pair = format!(
        r#"{{"apiKey":"{}","apiSecret":"{}"}}"#,
        world.key.api_key(),
        world.key.api_secret()
    );
    let answer = world.ask("POST", "/v1.0/auth/token", &[], &pair).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let bearer = format!("Bearer {}", body["accessToken"].as_str().unwrap());
    let path = format!("/v1.0/customers/{}/balance", typeid(id.0));
    world
        .get(&path, &[("authorization", &bearer)])
        .await
        .is(200, &value(id, "0.02", "USD"));
    let answer = world.get(&path, &[("authorization", &bearer)]).await;
    answer.is(
        429,
        r#"{"error":"This key may ask 1 times a minute; ask again in 60 s."}"#,
    );
}
