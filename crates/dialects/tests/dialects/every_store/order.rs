//! What all wire formats share: paths, prefixes, switches, the operator in a book, sizes.

use super::world::World;
use dialects::spelling::{Prefix, ksuid, uuid};
use dialects::{Body, Config, Method, Request, Router};
use ledger::{Owner, Purpose, Scopes};
use proptest::prelude::*;
use service::{Caller, CreateKey, Idempotency};

#[tokio::test]
async fn a_path_that_nobody_has() {
    let world = World::new().await;
    let body = r#"{"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"There is no such path here."}"#;
    for path in [
        "/",
        "",
        "/customers",
        "/customers//account",
        "/clients/accounts/",
        "//clients/accounts",
        "/v1",
        "/%2Fclients/accounts",
        "clients/accounts",
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = world.ask(method, path, &[], "").await;
            answer.is(404, if method == "HEAD" { "" } else { body });
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[tokio::test]
async fn each_format_can_be_moved_and_switched_off() {
    let config =
        "[conduit]\nprefix = \"/partner/conduit\"\n[light]\nenabled = false\n[magicline]\nprefix = \"\"";
    let world = World::with(config).await;
    for (path, status) in [
        ("/clients/accounts", 404),
        ("/partner/conduit/clients/accounts", 401),
        ("/v1/card-balance-accounts/x", 404),
        ("/customers/7/account/balances", 401),
        ("/v1/customers/7/account/balances", 404),
        ("/v0.9/customers/x/balance", 401),
    ] {
        assert_eq!(world.get(path, &[]).await.status, status, "{path}");
    }
    let wrong = ["v1", "/v1/", "/", "//v1", "/{x}", "/v 1", "/v1?x"];
    for prefix in wrong {
        let error = Config::from_toml(&format!("[conduit]\nprefix = \"{prefix}\""))
            .unwrap_err()
            .to_string();
        assert!(error.contains("prefix") && error.contains("/v1"), "{error}");
    }
}

#[test]
fn a_wrong_configuration_is_named() {
    for (text, named) in [
        ("[conduit]\nprefx = \"\"", "prefx"),
        ("[conduits]", "conduits"),
        ("[light]\nrate_limit_per_minute = -1", "rate_limit_per_minute"),
        ("[polygon]\npurposes = [\"main\", \"mian\"]", "mian"),
        ("[service]\ntoken_lifetime_seconds = 0", "token_lifetime_seconds"),
        ("[service]\nbatch_items = 0", "batch_items"),
        (
            "[magicline]\nnegate_account_balance = 1",
            "negate_account_balance",
        ),
    ] {
        let error = Config::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

#[tokio::test]
async fn the_operator_names_a_book() {
    let world = World::new().await;
    let customer = world.customer("Berta", Some(7)).await;
    let main = world
        .account(Owner::Customer(customer), Purpose::Main, None)
        .await;
    world.post(world.external, main, "USD", 5).await;
    let input = CreateKey {
        client: None,
        label: "operator".to_owned(),
        scopes: Scopes::OPERATOR,
        expires_at: None,
    };
    let made = world
        .service
        .create_key(&Caller::server(), input, Idempotency::default())
        .await
        .unwrap();
    let operator = made.value.credentials.unwrap();
    let path = format!("/customers/{}/account", ksuid(Prefix::Customer, customer.0));
    let (key, secret) = (operator.api_key(), operator.api_secret());
    let ask = async |book: Option<&str>| {
        let mut headers = vec![("x-api-key", key.as_str()), ("x-api-secret", secret.as_str())];
        headers.extend(book.map(|book| ("Saldo-Book", book)));
        world.get(&path, &headers).await
    };
    assert_eq!(ask(None).await.status, 404);
    for spelled in [uuid(world.root.0), ksuid(Prefix::Client, world.root.0)] {
        let answer = ask(Some(&spelled)).await;
        assert!(
            answer.status == 200 && answer.body.contains(r#""amount":"5""#),
            "{}",
            answer.body
        );
    }
    assert_eq!(ask(Some("x")).await.status, 400);
    assert_eq!(ask(Some(&uuid(1))).await.status, 404);
    assert_eq!(ask(Some(&uuid(customer.0))).await.status, 404);

    // A client's key may name its own book, and no other.
    let (key, secret) = (world.key.api_key(), world.key.api_secret());
    let own = uuid(world.root.0);
    let both = [("x-api-key", key.as_str()), ("x-api-secret", secret.as_str())];
    assert_eq!(
        world
            .get(&path, &[both[0], both[1], ("saldo-book", &own)])
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .get(&path, &[both[0], both[1], ("saldo-book", &uuid(1))])
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_body_that_was_too_large() {
    let world = World::new().await;
    let ask = async |path: &str| {
        let headers: Vec<(String, String)> = Vec::new();
        let request = Request::new(Method::Post, path, None, &headers, Body::TooLarge);
        dialects::answer(&world.service, &world.router, "1", request, None).await
    };
    let answer = ask("/v0.9/auth/token").await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.body,
        &br#"{"error":"At most 16384 bytes of body are taken at once; send less."}"#[..]
    );
    // Whether the path takes it comes first.
    assert_eq!(ask("/clients/accounts").await.status, 405);
}

/// A body that remembers whether it was asked for, and how large it might be.
#[derive(Default)]
struct Waiting(Option<usize>);

impl dialects::Arriving for Waiting {
    fn read(&mut self, limit: usize) -> dialects::Boxed<'_, Result<Option<bytes::Bytes>, service::Problem>> {
        assert_eq!(self.0.replace(limit), None, "a body is read once");
        Box::pin(async { Ok(Some(bytes::Bytes::from_static(b"{}"))) })
    }
}

#[tokio::test]
async fn a_body_is_read_once_it_is_known_who_sends_it() {
    let world = World::new().await;
    let reader = world.key(world.root, Scopes::READ).await.token();
    let all = world.key.token();
    let post = "/api/v1/transactions";
    let batch = "/api/v1/transactions/batch";
    for (path, token, status, read) in [
        ("/nowhere", &*all, 404, None),
        ("/clients/accounts", &*all, 405, None),
        (post, "", 401, None),
        (post, "saldo_x", 401, None),
        (post, &*reader, 403, None),
        (post, &*all, 400, Some(1 << 20)),
        (batch, &*reader, 403, None),
        (batch, &*all, 400, Some(16 << 20)),
        ("/v0.9/auth/token", "", 400, Some(16 << 10)),
    ] {
        let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        let request = Request::new(Method::Post, path, None, &headers, Body::Whole(b""));
        let mut body = Waiting::default();
        let answer = dialects::answer(&world.service, &world.router, "1", request, Some(&mut body)).await;
        assert_eq!((answer.status, body.0), (status, read), "{path} {token}");
    }
}

#[test]
fn the_paths_of_the_cards() {
    let router = Router::new(Config::default());
    let paths: Vec<_> = router
        .routes()
        .filter(|(dialect, ..)| dialect.name != "native")
        .map(|(dialect, path, route)| format!("{} {} {path}", dialect.name, route.method.as_str()))
        .collect();
    assert_eq!(
        paths,
        [
            "conduit GET /customers/{id}/account",
            "conduit GET /clients/accounts",
            "magicline GET /v1/customers/{customerId}/account/balances",
            "polygon POST /v0.9/auth/token",
            "polygon GET /v0.9/customers/{id}/balance",
            "light GET /v1/card-balance-accounts/{accountId}",
        ]
    );
}

/// Something that stands where an id should: any bytes, or an id with one character changed.
fn near_ids(spelled: String) -> impl Strategy<Value = String> {
    let changed = (0..spelled.len(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = spelled.clone().into_bytes();
        bytes[at] = byte;
        bytes
    });
    let bytes = prop_oneof![changed, proptest::collection::vec(any::<u8>(), 1..40)];
    bytes.prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect())
}

fn any_id() -> impl Strategy<Value = (usize, String)> {
    (0..4usize, any::<u128>()).prop_flat_map(|(endpoint, id)| {
        let spelled = match endpoint {
            0 => ksuid(Prefix::Customer, id).to_string(),
            1 => (id as i64).to_string(),
            2 => dialects::spelling::typeid(id).to_string(),
            _ => uuid(id).to_string(),
        };
        (Just(endpoint), near_ids(spelled))
    })
}

#[test]
fn no_text_in_the_place_of_an_id_breaks_anything() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (world, signed) = runtime.block_on(async {
        let unlimited = "[magicline]\nrate_limit_per_minute = 0\n[light]\nrate_limit_per_minute = 0";
        let world = World::with(unlimited).await;
        let issued = world
            .service
            .issue_token(&world.key.api_key(), &world.key.api_secret())
            .await
            .unwrap();
        (world, format!("Bearer {}", issued.token))
    });
    let (key, secret, token) = (world.key.api_key(), world.key.api_secret(), world.key.token());
    proptest!(|((endpoint, id) in any_id())| {
        let conduit = [("x-api-key", key.as_str()), ("x-api-secret", secret.as_str())];
        let (path, headers): (_, &[(&str, &str)]) = match endpoint {
            0 => (format!("/customers/{id}/account"), &conduit),
            1 => (format!("/v1/customers/{id}/account/balances"), &[("x-api-key", &token)]),
            2 => (format!("/v0.9/customers/{id}/balance"), &[("authorization", &signed)]),
            _ => (format!("/v1/card-balance-accounts/{id}"), &[("authorization", &signed)]),
        };
        let answer = runtime.block_on(world.get(&path, headers));
        prop_assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
    });
}
