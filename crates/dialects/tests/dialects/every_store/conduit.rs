//! Conduit's two endpoints, from request to answer.

use super::world::{Answer, World};
use dialects::spelling::{self, Prefix, ksuid};
use ledger::{AccountId, ClientId, CustomerId, Owner, Purpose, Scopes};
use service::Credentials;

const MAX: u128 = i128::MAX as u128;

async fn get(world: &World, key: &Credentials, path: &str) -> Answer {
    world
        .get(
            path,
            &[("X-API-Key", &key.api_key()), ("X-API-Secret", &key.api_secret())],
        )
        .await
}

fn path(customer: CustomerId) -> String {
    format!("/customers/{}/account", ksuid(Prefix::Customer, customer.0))
}

fn error(code: &str, detail: &str) -> String {
    format!(r#"{{"errors":[{{"detail":"{detail}","code":"{code}"}}]}}"#)
}

const NO_KEY: &str = "There are no credentials here that work; check them, and that they were not revoked.";
const NO_CUSTOMER: &str = "There is no such customer that this key can see; check the id.";

async fn customer_with_main(world: &World) -> (CustomerId, AccountId) {
    let customer = world.customer("Berta Beispiel", None).await;
    let main = world
        .account(Owner::Customer(customer), Purpose::Main, None)
        .await;
    (customer, main)
}

#[tokio::test]
async fn the_account_of_a_customer_to_the_byte() {
    let world = World::new().await;
    let (customer, main) = customer_with_main(&world).await;
    let head = format!(
        r#"{{"id":"{}","businessLegalName":"Berta Beispiel","balances":"#,
        ksuid(Prefix::Account, main.0)
    );
    let answer = get(&world, &world.key, &path(customer)).await;
    answer.is(200, &format!(r#"{head}{{"available":[]}}}}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    for (asset, amount) in [
        ("USDC@base", 7),
        ("EUR", MAX),
        ("USDC@ethereum", 1),
        ("USD", 1050),
        ("JPY", 5),
        ("USD", 1),
    ] {
        world.post(world.external, main, asset, amount).await;
    }
    world.hold(main, world.external, "USD", 51).await;
    world.post(main, world.external, "USDC@ethereum", 1).await;
    let available = r#"{"asset":"USD","amount":"1000"},{"asset":"EUR","amount":"170141183460469231731687303715884105727"},{"asset":"USDC","network":"ethereum","amount":"0"},{"asset":"USDC","network":"base","amount":"7"}"#;
    let answer = get(&world, &world.key, &path(customer)).await;
    answer.is(200, &format!(r#"{head}{{"available":[{available}]}}}}"#));
    assert_eq!(answer.header("saldo-negative-balance"), None);
    assert!(answer.header("saldo-position").is_some());
    // The yen.
    assert_eq!(world.service.metrics.balances_left_out.get(), 1);
}

#[tokio::test]
async fn what_is_negative_is_shown_as_zero_and_named() {
    let world = World::new().await;
    let (customer, main) = customer_with_main(&world).await;
    for asset in ["USD", "USDC@base"] {
        world.force(main, world.external, asset, MAX).await;
    }
    let answer = get(&world, &world.key, &path(customer)).await;
    let available =
        r#""available":[{"asset":"USD","amount":"0"},{"asset":"USDC","network":"base","amount":"0"}]"#;
    assert!(answer.body.contains(available), "{}", answer.body);
    assert_eq!(answer.header("saldo-negative-balance"), Some("USD, USDC@base"));
    assert_eq!(world.service.metrics.balances_clamped.get(), 2);
}

#[tokio::test]
async fn every_error_of_the_card() {
    let world = World::new().await;
    let (customer, _) = customer_with_main(&world).await;
    let path = path(customer);
    let (key, secret) = (world.key.api_key(), world.key.api_secret());
    let both = [("x-api-key", key.as_str()), ("X-API-SECRET", secret.as_str())];

    let no_key = error("unauthorized", NO_KEY);
    let token = world.key.token();
    let wrong: [&[(&str, &str)]; 7] = [
        &[],
        &both[..1],
        &both[1..],
        &[("x-api-key", ""), ("x-api-secret", "")],
        &[("x-api-key", &key), ("x-api-secret", &key)],
        &[("x-api-key", &token), ("x-api-secret", &secret)],
        &[("authorization", &token)],
    ];
    for headers in wrong {
        world.get(&path, headers).await.is(401, &no_key);
        // Nobody learns without a key whether an id is well-formed, or a version known.
        world.get("/customers/x/account", headers).await.is(401, &no_key);
    }

    let bare = world
        .key(world.root, Scopes::POST.with(Scopes::CUSTOMER_ACCOUNT_READ))
        .await;
    let no_scope = error(
        "forbidden",
        "This key lacks the scope `read`; use one that has it.",
    );
    get(&world, &bare, &path).await.is(403, &no_scope);
    get(&world, &bare, "/customers/x/account")
        .await
        .is(403, &no_scope);

    for (version, status) in [("2024-12-01", 200), ("2025-01-01", 400), ("", 400)] {
        let headers = [both[0], both[1], ("Api-Version", version)];
        assert_eq!(world.get(&path, &headers).await.status, status);
    }

    let malformed = error("bad_request", "`id` must match ^cus_[a-zA-Z0-9]{27}$");
    let id = ksuid(Prefix::Customer, customer.0);
    let malformed_ids = [
        id[..30].to_owned(),
        format!("{}0", &*id),
        format!("{}%0A", &*id),
        format!("{}_", &id[..30]),
        id.to_uppercase(),
        ksuid(Prefix::Account, customer.0)[..].to_owned(),
        spelling::uuid(customer.0)[..].to_owned(),
        "%FF".to_owned(),
        "cus_".to_owned(),
    ];
    for id in malformed_ids {
        get(&world, &world.key, &format!("/customers/{id}/account"))
            .await
            .is(400, &malformed);
    }
    // Percent-encoding is a spelling of the same path.
    let encoded = format!("/customers/%63us_{}/account", &id[4..]);
    assert_eq!(get(&world, &world.key, &encoded).await.status, 200);

    let missing = error("not_found", NO_CUSTOMER);
    let impossible = [
        "z".repeat(27),
        "Z".repeat(27),
        "0".repeat(27),
        id[4..].chars().rev().collect(),
    ];
    for digits in impossible {
        get(&world, &world.key, &format!("/customers/cus_{digits}/account"))
            .await
            .is(404, &missing);
    }
    get(&world, &world.stranger().await, &path)
        .await
        .is(404, &missing);
    let penniless = world.customer("No account", None).await;
    let answer = get(&world, &world.key, &self::path(penniless)).await;
    answer.is(
        404,
        &error(
            "not_found",
            "This customer has no primary main account; open one.",
        ),
    );
}

#[tokio::test]
async fn methods_and_media_types() {
    let world = World::new().await;
    let (customer, _) = customer_with_main(&world).await;
    let (key, secret) = (world.key.api_key(), world.key.api_secret());
    let both = [("x-api-key", key.as_str()), ("x-api-secret", secret.as_str())];
    for path in [path(customer).as_str(), "/clients/accounts"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            // Before the key is looked at.
            let answer = world.ask(method, path, &[], "").await;
            answer.is(
                405,
                &error("method_not_allowed", "This path takes other methods: GET, HEAD."),
            );
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    let answer = world.ask("HEAD", &path(customer), &both, "").await;
    answer.is(200, "");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    world.ask("HEAD", &path(customer), &[], "").await.is(401, "");
    world
        .ask("HEAD", "/customers/x/account", &both, "")
        .await
        .is(400, "");

    for (media_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("", 415),
    ] {
        let headers = [both[0], both[1], ("content-type", media_type)];
        assert_eq!(
            world.ask("GET", &path(customer), &headers, "{}").await.status,
            status,
            "{media_type}"
        );
        // Without a body its type means nothing; and the page of the clients' accounts knows no 415.
        assert_eq!(world.ask("GET", &path(customer), &headers, "").await.status, 200);
        assert_eq!(
            world.ask("GET", "/clients/accounts", &headers, "{}").await.status,
            403
        );
    }
    world.ask("GET", &path(customer), &both, "{}").await.is(
        415,
        &error(
            "unsupported_media_type",
            "The body must be JSON, not compressed; say so in `Content-Type: application/json`.",
        ),
    );
    // The media type goes before the id.
    assert_eq!(
        world.ask("GET", "/customers/x/account", &both, "{}").await.status,
        415
    );
}

#[tokio::test]
async fn the_accounts_of_a_client_to_the_byte() {
    let world = World::new().await;
    let none = get(&world, &world.key, "/clients/accounts").await;
    none.is(
        403,
        &error(
            "forbidden",
            "This key's client has no primary main account of its own; open one.",
        ),
    );

    let main = world
        .account(Owner::Client(world.root), Purpose::Main, None)
        .await;
    let (first, second, without) = (
        world.subsidiary("First").await,
        world.subsidiary("Second").await,
        world.subsidiary("Without").await,
    );
    let mains = [
        world.account(Owner::Client(first), Purpose::Main, None).await,
        world.account(Owner::Client(second), Purpose::Main, None).await,
    ];
    // Accounts of other purposes and owners have no part in it.
    let wallet = world.account(Owner::Client(first), Purpose::Wallet, None).await;
    let (_, of_customer) = customer_with_main(&world).await;
    for other in [wallet, of_customer] {
        world.post(world.external, other, "USD", 1_000_000).await;
    }
    world.post(world.external, main, "USD", 100).await;
    world.post(world.external, mains[0], "USDT@tron", 5).await;
    world.force(mains[1], world.external, "USD", 30).await;

    let account = |id: AccountId| ksuid(Prefix::Account, id.0);
    let client = |id: ClientId| ksuid(Prefix::Client, id.0);
    let row = |id: ClientId, main: AccountId, name: &str, available: &str| {
        format!(
            r#"{{"id":"{}","accountId":"{}","businessLegalName":"{name}","balances":{{"available":[{available}]}}}}"#,
            client(id),
            account(main)
        )
    };
    let usd = |amount: u32| format!(r#"{{"asset":"USD","amount":"{amount}"}}"#);
    let usdt = r#"{"asset":"USDT","network":"tron","amount":"5"}"#;
    let acme = r#"Acme \"Pay\" GmbH"#;
    let data = [
        row(world.root, main, acme, &usd(100)),
        row(first, mains[0], "First", usdt),
        row(second, mains[1], "Second", &usd(0)),
    ];
    let expected = format!(
        r#"{{"id":"{}","clientId":"{}","businessLegalName":"{acme}","balances":{{"available":[{}]}},"data":[{}],"totalBalances":{{"available":[{},{usdt}]}}}}"#,
        account(main),
        client(world.root),
        usd(100),
        data.join(","),
        // The true sum: what is shown as zero still counts as -30.
        usd(70),
    );
    let answer = get(&world, &world.key, "/clients/accounts").await;
    answer.is(200, &expected);
    assert_eq!(answer.header("saldo-negative-balance"), Some("USD"));

    // Money that moves between them leaves the total alone.
    world.post(main, mains[1], "USD", 25).await;
    let answer = get(&world, &world.key, "/clients/accounts").await;
    assert!(answer.body.ends_with(&format!(
        r#""totalBalances":{{"available":[{},{usdt}]}}}}"#,
        usd(70)
    )));

    // A subsidiary sees itself, and nothing of its parent or siblings.
    let own = world.key(first, Scopes::READ).await;
    let expected = format!(
        r#"{{"id":"{}","clientId":"{}","businessLegalName":"First","balances":{{"available":[{usdt}]}},"data":[{}],"totalBalances":{{"available":[{usdt}]}}}}"#,
        account(mains[0]),
        client(first),
        data[1],
    );
    get(&world, &own, "/clients/accounts").await.is(200, &expected);
    let none = world.key(without, Scopes::READ).await;
    assert_eq!(get(&world, &none, "/clients/accounts").await.status, 403);
}

#[tokio::test]
async fn a_key_ends_when_it_is_revoked_and_counts_its_requests() {
    let world = World::with("[conduit]\nrate_limit_per_minute = 2").await;
    let (customer, _) = customer_with_main(&world).await;
    let (path, key) = (path(customer), world.key(world.root, Scopes::READ).await);
    assert_eq!(get(&world, &key, &path).await.status, 200);
    assert_eq!(get(&world, &key, "/customers/x/account").await.status, 400);
    let answer = get(&world, &key, &path).await;
    answer.is(
        429,
        &error(
            "rate_limited",
            "This key may ask 2 times a minute; ask again in 60 s.",
        ),
    );
    assert_eq!(answer.header("retry-after"), Some("60"));
    // Another key has its own count; and a minute later it begins anew.
    assert_eq!(get(&world, &world.key, &path).await.status, 200);
    world.clock.advance(59_999_999);
    assert_eq!(get(&world, &key, &path).await.header("retry-after"), Some("1"));
    world.clock.advance(1);
    assert_eq!(get(&world, &key, &path).await.status, 200);
    world.revoke(&key).await;
    get(&world, &key, &path)
        .await
        .is(401, &error("unauthorized", NO_KEY));
}

#[tokio::test]
async fn a_reader_can_ask_for_no_older_than() {
    let world = World::new().await;
    let (customer, main) = customer_with_main(&world).await;
    let done = world.post(world.external, main, "USD", 1).await;
    let position = done.record.position.0;
    let (key, secret) = (world.key.api_key(), world.key.api_secret());
    let ask = async |text: &str| {
        let headers = [
            ("x-api-key", key.as_str()),
            ("x-api-secret", secret.as_str()),
            ("Saldo-Min-Position", text),
        ];
        world.get(&path(customer), &headers).await
    };
    assert_eq!(
        ask(&position.to_string()).await.header("saldo-position"),
        Some(position.to_string().as_str())
    );
    let detail = format!("Position 1000 is not reached; the book is at {position}. Ask again in a moment.");
    ask("1000").await.is(503, &error("position_not_reached", &detail));
    assert_eq!(ask("soon").await.status, 400);
}
