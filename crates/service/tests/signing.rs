//! The keys that sign tokens: rotated while tokens of the old ones go on, on several servers.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod world;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{BookNo, Scopes};
use service::{Caller, Config, Problem, Service, SigningKeyView};
use world::World;

const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// Another server over the same store, with the same clock.
fn another(world: &World) -> Service {
    let store = Arc::clone(&world.service.store);
    Service::new(store, Config::default(), world.service.clock.clone())
}

async fn token(world: &World, server: &Service) -> String {
    let key = &world.key;
    let issued = server.issue_token(&key.api_key(), &key.api_secret()).await;
    issued.unwrap().token
}

async fn works(server: &Service, token: &str) -> bool {
    match server.authenticate_jwt(token).await {
        Ok(_) => true,
        Err(Problem::Unauthorized) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn rotate(server: &Service, revoke_old: bool) -> Vec<SigningKeyView> {
    let rotated = server.rotate_signing_key(&Caller::server(), revoke_old).await;
    rotated.unwrap()
}

/// The key that a token says it was signed with.
fn kid(token: &str) -> String {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let head = String::from_utf8(head).unwrap();
    let (_, rest) = head.split_once(r#""kid":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_go_on_and_new_ones_are_signed_with_the_new_key() {
    let world = World::new().await;
    let (one, other) = (&world.service, another(&world));
    let before = token(&world, one).await;
    assert!(works(one, &before).await && works(&other, &before).await);
    let now = one.clock.now();
    let keys = rotate(one, false).await;
    let [old, new] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!(
        (&old.id, &new.id),
        (&kid(&before), &kid(&token(&world, one).await))
    );
    assert_eq!((new.made_at, new.ends_at), (now, None));
    // A day is the longest that a token may work, whatever this server's are.
    assert_eq!(old.ends_at, Some(now.plus(DAY + MINUTE)));
    // The other one has not heard of it, and is told by the first token that it does not know.
    let after = token(&world, one).await;
    assert!(works(&other, &after).await && works(&other, &before).await);
    assert_eq!(kid(&token(&world, &other).await), new.id);
    // So is one that just looked.
    let third = rotate(&other, false).await;
    let newest = token(&world, &other).await;
    assert_eq!(kid(&newest), third[2].id);
    for token in [&before, &after, &newest] {
        assert!(works(one, token).await);
    }
}

#[tokio::test]
async fn an_old_key_is_dropped_when_no_token_of_it_works_any_more() {
    let world = World::new().await;
    let service = &world.service;
    let day = Config {
        token_lifetime_seconds: 86_400,
        ..Config::default()
    };
    let patient = Service::new(Arc::clone(&service.store), day, service.clock.clone());
    let old = token(&world, &patient).await;
    rotate(service, false).await;
    service.clock.advance(DAY - 1);
    assert!(works(service, &old).await, "it was signed for a day");
    service.clock.advance(1);
    assert!(!works(service, &old).await);
    assert_eq!(
        rotate(service, false).await.len(),
        3,
        "for a minute more it is there"
    );
    service.clock.advance(MINUTE);
    assert_eq!(rotate(service, false).await.len(), 3, "the first one has gone");
}

#[tokio::test]
async fn all_tokens_end_when_the_old_keys_are_revoked() {
    let world = World::new().await;
    let (one, other) = (&world.service, another(&world));
    let first = token(&world, one).await;
    rotate(one, false).await;
    let second = token(&world, one).await;
    assert!(works(one, &first).await && works(one, &second).await && works(&other, &second).await);
    let keys = rotate(one, true).await;
    assert_eq!(keys.len(), 1);
    // At once, though they were verified before.
    assert!(!works(one, &first).await && !works(one, &second).await);
    let third = token(&world, one).await;
    assert!(works(one, &third).await && works(&other, &third).await);
    assert!(!works(&other, &second).await, "a server that has looked knows");
}

#[tokio::test]
async fn what_a_token_says_of_its_key_must_hold() {
    let world = World::new().await;
    let service = &world.service;
    let old = token(&world, service).await;
    rotate(service, false).await;
    let new = token(&world, service).await;
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (of_old, of_new) = (parts(&old), parts(&new));
    let head = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let upper = kid(&new).to_uppercase();
    for head in [
        of_old[0].clone(),
        head(r#"{"typ":"JWT","alg":"HS256"}"#),
        head(r#"{"typ":"JWT","alg":"HS256","kid":""}"#),
        head(r#"{"typ":"JWT","alg":"HS256","kid":"0123456789abcdef"}"#),
        head(r#"{"typ":"JWT","alg":"HS256","kid":"../signing.key"}"#),
        head(&format!(
            r#"{{"typ":"JWT","alg":"HS256","kid":"+{}"}}"#,
            &kid(&new)[1..]
        )),
        head(&format!(r#"{{"typ":"JWT","alg":"none","kid":"{}"}}"#, kid(&new))),
        head(&format!(r#"{{"typ":"JWT","alg":"HS512","kid":"{}"}}"#, kid(&new))),
        head(&format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{upper}x"}}"#)),
    ] {
        let forged = format!("{head}.{}.{}", of_new[1], of_new[2]);
        assert!(!works(service, &forged).await, "{forged}");
    }
    assert!(works(service, &new).await && works(service, &old).await);
}

#[tokio::test]
async fn an_operator_rotates_and_nobody_else() {
    let world = World::new().await;
    let service = &world.service;
    let in_book = service.in_book(Caller::server(), world.root).await.unwrap();
    let mut of_client = world.caller.clone();
    of_client.scopes = of_client.scopes.with(Scopes::OPERATOR);
    assert_eq!(in_book.viewer.book, BookNo(1));
    for caller in [&world.caller, &in_book, &of_client, &Caller::nobody()] {
        match service.rotate_signing_key(caller, false).await {
            Err(Problem::Forbidden { scope, .. }) => assert_eq!(scope, Some("operator")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(service.store.signing_keys().await.unwrap().all().len(), 1);
}

#[tokio::test]
async fn there_is_an_end_to_keys() {
    let world = World::new().await;
    let service = &world.service;
    for nth in 2..=16 {
        assert_eq!(rotate(service, false).await.len(), nth);
        service.clock.advance(MINUTE);
    }
    match service.rotate_signing_key(&Caller::server(), false).await {
        Err(Problem::BadRequest { field: None, detail }) => {
            assert!(detail.contains("16") && detail.contains("revokeOld"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let last = token(&world, service).await;
    assert!(works(service, &last).await);
    assert_eq!(rotate(service, true).await.len(), 1);
}
