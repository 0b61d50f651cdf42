//! Who may do what: credentials, scopes, the operator, what input is refused.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod world;

use ledger::{
    AccountChange, Amount, AssetKind, AssetName, ClientChange, ClientId, CreditChange, LimitChange, Purpose,
    Scopes,
};
use service::auth::CLIENT_SCOPES;
use service::{
    Caller, CreateCustomer, CreateKey, Credentials, FindTransactions, OVERLAP_MAX, Problem, RegisterAsset,
    RotateKey,
};
use store::{HoldFilter, Page};
use world::{START, World, field, named, new_account, new_client, new_key, refusal, root, unnamed};

const PAGE: Page = Page {
    limit: 10,
    after: None,
};

#[test]
fn texts_of_credentials() {
    for text in ["", "saldo_", "saldo_pk_", "saldo_sk_", "saldo_AAAA", "x"] {
        assert!(Credentials::from_token(text).is_none() && Credentials::from_pair(text, text).is_none());
    }
}

#[tokio::test]
async fn each_way_in_opens_the_same_key_and_no_other_does() {
    let world = World::new().await;
    let service = &world.service;
    let (key, other) = (
        &world.key,
        world
            .service
            .create_key(&world.caller, new_key(Some(world.root), Scopes::READ), unnamed())
            .await,
    );
    let other = other.unwrap().value.credentials.unwrap();
    let id = |caller: Caller| caller.key.unwrap().id;
    let by_token = service.authenticate_token(&key.token()).await.unwrap();
    let by_pair = service
        .authenticate_pair(&key.api_key(), &key.api_secret())
        .await
        .unwrap();
    let signed = service
        .issue_token(&key.api_key(), &key.api_secret())
        .await
        .unwrap()
        .token;
    let by_jwt = service.authenticate_jwt(&signed).await.unwrap();
    assert_eq!(
        (by_token.scopes, by_token.viewer.client, by_token.root),
        (CLIENT_SCOPES, Some(world.root), Some(world.root))
    );
    let ids = [id(by_token), id(by_pair), id(by_jwt)];
    assert!(ids.iter().all(|one| *one == ids[0]));

    let unauthorized =
        |answer: Result<Caller, Problem>| assert_eq!(answer.unwrap_err(), Problem::Unauthorized);
    unauthorized(
        service
            .authenticate_pair(&key.api_key(), &other.api_secret())
            .await,
    );
    unauthorized(service.authenticate_pair(&key.api_secret(), &key.api_key()).await);
    unauthorized(service.authenticate_token(&key.api_key()).await);
    unauthorized(service.authenticate_token(&format!("{}=", key.token())).await);
    unauthorized(service.authenticate_token(&format!("{}A", key.token())).await);
    unauthorized(service.authenticate_token(&key.token().to_lowercase()).await);
    unauthorized(service.authenticate_jwt(&key.token()).await);
    unauthorized(service.authenticate_jwt("").await);
    // A book or key that is not there.
    let token = key.token();
    for at in [6, 9, 12, 20] {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'B' { b'C' } else { b'B' };
        unauthorized(
            service
                .authenticate_token(std::str::from_utf8(&bytes).unwrap())
                .await,
        );
    }
    assert!(!format!("{key:?}").contains(&key.api_secret()[9..]));

    service
        .revoke_key(&world.caller, ids[0], unnamed())
        .await
        .unwrap();
    unauthorized(service.authenticate_token(&key.token()).await);
    unauthorized(service.authenticate_pair(&key.api_key(), &key.api_secret()).await);
    unauthorized(service.authenticate_jwt(&signed).await);
    assert!(
        service
            .issue_token(&key.api_key(), &key.api_secret())
            .await
            .is_err()
    );
}

fn rotation() -> RotateKey {
    RotateKey {
        old: ledger::ApiKeyId(1),
        overlap: 60,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_overlap_with_its_tokens() {
    let world = World::new().await;
    let service = &world.service;
    let input = CreateKey {
        label: "till".to_owned(),
        ..new_key(Some(world.root), Scopes::READ)
    };
    let made = service
        .create_key(&world.caller, input, unnamed())
        .await
        .unwrap()
        .value;
    let old = made.credentials.unwrap();
    let signed = service
        .issue_token(&old.api_key(), &old.api_secret())
        .await
        .unwrap();
    let input = RotateKey {
        old: made.id,
        ..rotation()
    };
    let rotated = service.rotate_key(&world.caller, input, unnamed()).await;
    let rotated = rotated.unwrap().value;
    let new = rotated.credentials.unwrap();
    assert_eq!(
        (&*rotated.new.label, rotated.new.key.scopes),
        ("till", Scopes::READ)
    );
    let left = rotated.old_ends_at.0 - service.clock.now().0;
    service.clock.advance(left - 1);
    assert!(service.authenticate_token(&old.token()).await.is_ok());
    assert!(service.authenticate_jwt(&signed.token).await.is_ok());
    // One that is signed now says when it ends.
    let late = service
        .issue_token(&old.api_key(), &old.api_secret())
        .await
        .unwrap();
    assert_eq!(late.expires_in, 1);
    service.clock.advance(1);
    assert_eq!(
        service.authenticate_token(&old.token()).await.unwrap_err(),
        Problem::Unauthorized
    );
    for token in [&signed.token, &late.token] {
        assert_eq!(
            service.authenticate_jwt(token).await.unwrap_err(),
            Problem::Unauthorized
        );
    }
    assert!(service.authenticate_token(&new.token()).await.is_ok());
    let too_long = RotateKey {
        overlap: OVERLAP_MAX + 1,
        ..rotation()
    };
    let refused = service.rotate_key(&world.caller, too_long, unnamed()).await;
    assert_eq!(field(&refused.unwrap_err()), "overlapSeconds");
}

#[tokio::test]
async fn keys_and_tokens_end() {
    let world = World::new().await;
    let end = START.plus(1_000);
    let input = CreateKey {
        expires_at: Some(end),
        ..new_key(Some(world.root), Scopes::READ)
    };
    let key = world
        .service
        .create_key(&world.caller, input.clone(), unnamed())
        .await
        .unwrap()
        .value
        .credentials
        .unwrap();
    assert!(world.service.authenticate_token(&key.token()).await.is_ok());
    world.service.clock.advance(999);
    assert!(world.service.authenticate_token(&key.token()).await.is_ok());
    world.service.clock.advance(1);
    assert_eq!(
        world.service.authenticate_token(&key.token()).await.unwrap_err(),
        Problem::Unauthorized
    );
    assert_eq!(
        field(
            &world
                .service
                .create_key(&world.caller, input, unnamed())
                .await
                .unwrap_err()
        ),
        "expiresAt"
    );
}

/// Checks that each operation refuses a caller without its scope, and names that.
macro_rules! needs {
    ($scope:literal, $caller:ident, $($call:expr),* $(,)?) => {$(
        match $call.await {
            Err(Problem::Forbidden { scope, .. }) => assert_eq!(scope, Some($scope), stringify!($call)),
            _ => panic!("{} was not forbidden", stringify!($call)),
        }
    )*};
}

#[tokio::test]
async fn every_operation_needs_its_scope() {
    let world = World::new().await;
    let service = &world.service;
    let change = || ClientChange {
        id: world.root,
        legal_name: None,
        time_zone: None,
        external_id: None,
        metadata: None,
    };
    let none = &Caller::nobody();
    needs!(
        "read",
        none,
        service.client(none, world.root),
        service.clients(none, None, PAGE),
        service.customers(none, None, PAGE),
        service.account(none, world.main),
        service.accounts(none, None, None, PAGE),
        service.client_accounts(none),
        service.entries(none, world.main, None, None, PAGE),
        service.transactions(none, FindTransactions::default(), PAGE),
        service.holds(none, HoldFilter::default(), PAGE),
        service.assets(none),
        service.rates(none, PAGE),
        service.keys(none, PAGE),
    );
    let poster = &world.with(CLIENT_SCOPES_WITHOUT_ADMIN).await;
    needs!(
        "admin",
        poster,
        service.create_client(poster, new_client("x"), unnamed()),
        service.update_client(poster, change(), unnamed()),
        service.create_customer(poster, CreateCustomer::default(), unnamed()),
        service.create_account(poster, new_account(world.root, Purpose::Main), unnamed()),
        service.create_key(poster, new_key(Some(world.root), Scopes::READ), unnamed()),
        service.revoke_key(poster, ledger::ApiKeyId(1), unnamed()),
        service.rotate_key(poster, rotation(), unnamed()),
        service.register_asset(poster, points(), unnamed()),
    );
    needs!(
        "operator",
        poster,
        service.create_key(poster, new_key(None, Scopes::READ), unnamed())
    );
    let reader = &world.with(Scopes::READ).await;
    needs!(
        "post",
        reader,
        service.post(reader, world.deposit(1), unnamed()),
        service.post_each(reader, vec![])
    );
    needs!("rates", reader, service.put_rates(reader, vec![], unnamed()));
    needs!(
        "CUSTOMER_ACCOUNT_READ",
        reader,
        service.dues(reader, store::CustomerRef::Number(1))
    );
    let plain = &world.with(Scopes::POST).await;
    let mut forced = world.payout(1);
    forced.force = true;
    needs!(
        "ledger:force",
        plain,
        service.post(plain, forced.clone(), unnamed()),
        service.post_each(plain, vec![world::with_id(forced.clone(), 1)])
    );
    let done = world.post(forced, unnamed()).await.unwrap();
    assert!(done.balances_after()[0].entry.is_overdrawn());
}

const CLIENT_SCOPES_WITHOUT_ADMIN: Scopes = Scopes(CLIENT_SCOPES.0 & !Scopes::ADMIN.0);

fn points() -> RegisterAsset {
    RegisterAsset {
        name: AssetName::parse("POINTS").unwrap(),
        exponent: 0,
        kind: AssetKind::Custom,
    }
}

#[tokio::test]
async fn the_operator_acts_from_book_0_on_root_clients() {
    let world = World::new().await;
    let operator = Caller::server();
    let made = world
        .service
        .create_key(&operator, new_key(None, Scopes::OPERATOR), unnamed())
        .await
        .unwrap();
    let operator = made.value.credentials.unwrap().token();
    let operator = world.service.authenticate_token(&operator).await.unwrap();
    assert!(operator.is_operator() && !world.caller.is_operator());

    let client = world.service.client(&operator, world.root).await.unwrap();
    assert_eq!(&*client.value.legal_name, "Acme");
    let change = ClientChange {
        id: world.root,
        legal_name: Some("Acme Ltd".into()),
        time_zone: None,
        external_id: None,
        metadata: None,
    };
    let changed = world
        .service
        .update_client(&operator, change, named("u"))
        .await
        .unwrap();
    assert_eq!(&*changed.value.legal_name, "Acme Ltd");
    // A subsidiary, an account and a customer of a root go to its book.
    let mut input = new_client("Sub");
    input.parent = Some(world.root);
    let sub = world
        .service
        .create_client(&operator, input, unnamed())
        .await
        .unwrap()
        .value;
    assert_eq!(sub.parent, Some(world.root));
    let made = world
        .service
        .create_account(&operator, new_account(world.root, Purpose::Wallet), unnamed())
        .await;
    assert_eq!(made.unwrap().value.client, world.root);
    let input = CreateCustomer {
        client: Some(world.root),
        legal_name: "Berta".to_owned(),
        ..CreateCustomer::default()
    };
    assert_eq!(
        world
            .service
            .create_customer(&operator, input, unnamed())
            .await
            .unwrap()
            .value
            .number,
        1
    );

    let inside = world.service.in_book(operator.clone(), world.root).await.unwrap();
    assert!(world.service.account(&inside, world.main).await.is_ok());
    assert!(world.service.account(&operator, world.main).await.is_err());
    let missing = world.service.in_book(operator, ClientId(1)).await.unwrap_err();
    assert!(matches!(missing, Problem::NotFound { what: "book", .. }));
    let stranger = root(&world.service, "Stranger").await;
    let forbidden = world
        .service
        .in_book(world.caller.clone(), stranger)
        .await
        .unwrap_err();
    assert!(matches!(
        forbidden,
        Problem::Forbidden {
            scope: Some("operator"),
            ..
        }
    ));
}

#[tokio::test]
async fn subsidiaries_stay_among_themselves() {
    let world = World::new().await;
    let sub = world
        .service
        .create_client(&world.caller, new_client("Sub"), unnamed())
        .await
        .unwrap()
        .value;
    assert_eq!(sub.parent, Some(world.root));
    let key = world
        .service
        .create_key(&world.caller, new_key(Some(sub.id), CLIENT_SCOPES), unnamed())
        .await;
    let key = key.unwrap().value.credentials.unwrap();
    let caller = world.service.authenticate_token(&key.token()).await.unwrap();
    assert!(world.service.client(&caller, sub.id).await.is_ok());
    assert!(world.service.client(&caller, world.root).await.is_err());
    assert!(world.service.account(&caller, world.main).await.is_err());
    // It can't have subsidiaries, nor keys for its parent.
    let problem = world
        .service
        .create_client(&caller, new_client("x"), unnamed())
        .await
        .unwrap_err();
    assert_eq!(refusal(&problem), ("parent_not_root", false, false));
    let problem = world
        .service
        .create_key(&caller, new_key(Some(world.root), Scopes::READ), unnamed())
        .await;
    assert_eq!(refusal(&problem.unwrap_err()), ("client_not_found", false, true));
}

#[tokio::test]
async fn input_that_is_refused_at_once() {
    let world = World::new().await;
    let service = &world.service;
    let before = service.position(&world.caller).await.unwrap();
    let mut zoned = new_client("Sub");
    for zone in ["", "Mars/Base", "Europe/Berlin "] {
        zoned.time_zone = Some(zone.to_owned());
        let problem = service
            .create_client(&world.caller, zoned.clone(), unnamed())
            .await
            .unwrap_err();
        assert_eq!(field(&problem), "timeZone");
    }
    for name in [String::new(), "x".repeat(201)] {
        let problem = service
            .create_client(&world.caller, new_client(&name), unnamed())
            .await
            .unwrap_err();
        assert_eq!(field(&problem), "legalName");
    }
    let customer = |number| CreateCustomer {
        legal_name: "x".to_owned(),
        number,
        ..CreateCustomer::default()
    };
    for number in [0, -1] {
        let problem = service
            .create_customer(&world.caller, customer(Some(number)), unnamed())
            .await
            .unwrap_err();
        assert_eq!(field(&problem), "number");
    }
    for scopes in [Scopes::default(), Scopes::READ.with(Scopes::OPERATOR)] {
        let problem = service
            .create_key(&world.caller, new_key(Some(world.root), scopes), unnamed())
            .await;
        assert_eq!(field(&problem.unwrap_err()), "scopes");
    }
    let mut noted = new_client("Sub");
    noted.notes.metadata = Some("x".repeat(4097).into());
    assert_eq!(
        field(
            &service
                .create_client(&world.caller, noted, unnamed())
                .await
                .unwrap_err()
        ),
        "metadata"
    );
    let mut too_fine = points();
    too_fine.exponent = 31;
    assert_eq!(
        field(
            &service
                .register_asset(&world.caller, too_fine, unnamed())
                .await
                .unwrap_err()
        ),
        "exponent"
    );
    assert_eq!(service.position(&world.caller).await.unwrap(), before);
    zoned.time_zone = Some("Europe/Berlin".to_owned());
    assert!(
        service
            .create_client(&world.caller, zoned, unnamed())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn credit_without_end_is_for_internal_accounts() {
    let world = World::new().await;
    let limit = |credit| LimitChange {
        asset: AssetName::parse("USD").unwrap(),
        credit: Some(credit),
        max_balance: None,
    };
    for purpose in Purpose::ALL {
        let mut input = new_account(world.root, purpose);
        input.currency = Some(AssetName::parse("USD").unwrap());
        input.limits = vec![limit(CreditChange::Unlimited)];
        let made = world
            .service
            .create_account(&world.caller, input, unnamed())
            .await;
        if purpose == Purpose::Internal {
            assert_eq!(made.unwrap().value.limits[0].credit, ledger::Credit::Unlimited);
        } else {
            assert_eq!(field(&made.unwrap_err()), "limits[0].credit");
        }
    }
    let change = |limits| AccountChange {
        id: world.main,
        label: None,
        status: None,
        limits,
        primary: false,
        external_id: None,
        metadata: None,
    };
    let unlimited = change(vec![limit(CreditChange::Unlimited)]);
    let problem = world
        .service
        .update_account(&world.caller, unlimited.clone(), unnamed())
        .await
        .unwrap_err();
    assert_eq!(field(&problem), "limits[0].credit");
    let some = limit(CreditChange::Limit(Amount::new(5).unwrap()));
    let problem = world
        .service
        .update_account(&world.caller, change(vec![some, some]), unnamed())
        .await
        .unwrap_err();
    assert_eq!(field(&problem), "limits[1].asset");
    // An asset that the account has not touched is shown by its name.
    let changed = world
        .service
        .update_account(&world.caller, change(vec![some]), unnamed())
        .await
        .unwrap();
    assert_eq!(changed.value.limits[0].asset.as_str(), "USD");
    // An account that is not there is the ledger's to refuse.
    let stray = AccountChange {
        id: ledger::AccountId(9),
        ..unlimited
    };
    let problem = world
        .service
        .update_account(&world.caller, stray, unnamed())
        .await
        .unwrap_err();
    assert_eq!(refusal(&problem), ("account_not_found", false, true));
}

#[tokio::test]
async fn a_store_is_made_once() {
    let world = World::new().await;
    assert!(world.service.initialise(6).await.unwrap().replayed);
    assert!(matches!(
        world.service.initialise(15).await.unwrap_err(),
        Problem::Conflict { .. }
    ));
    assert_eq!(
        field(&world.service.initialise(31).await.unwrap_err()),
        "rlusd-exponent"
    );
}
