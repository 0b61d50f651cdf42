//! Sealing, and erasing, as several servers on one store see it.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod world;

use std::sync::Arc;

use ledger::{Action, BookNo, Bytes, Command, CustomerId, Fingerprint, Key, Owner, Plain, Purpose, Subject};
use service::{Config, CreateCustomer, Service};
use store::{CustomerRef, Page};
use world::{World, named, new_account, transaction, unnamed};

const PAGE: Page = Page {
    limit: 100,
    after: None,
};

fn another_server(world: &World) -> Service {
    Service::new(
        Arc::clone(&world.service.store),
        Config::default(),
        world.service.clock.clone(),
    )
}

async fn wilhelmina(world: &World) -> CustomerId {
    let input = CreateCustomer {
        legal_name: "Wilhelmina".to_owned(),
        ..CreateCustomer::default()
    };
    let made = world
        .service
        .create_customer(&world.caller, input, unnamed())
        .await;
    made.unwrap().value.id
}

async fn name_on(service: &Service, world: &World, id: CustomerId) -> Box<str> {
    let found = service.customer(&world.caller, CustomerRef::Id(id)).await;
    found.unwrap().value.legal_name
}

#[tokio::test]
async fn no_plain_text_reaches_the_store() {
    let world = World::new().await;
    let mut input = transaction(&[(world.external, world.main, 5)]);
    input.reference = Some("Wilhelmina".to_owned());
    input.notes.metadata = Some("{\"a\":\"Wilhelmina\"}".into());
    world.post(input, unnamed()).await.unwrap();
    wilhelmina(&world).await;
    for book in [0, 1] {
        for record in world
            .service
            .store
            .records(BookNo(book), ledger::Position(0), 100)
            .await
            .unwrap()
        {
            let mut bytes = Vec::new();
            ledger::encode(&record, &mut bytes);
            for word in [&b"Wilhelmina"[..], b"Acme"] {
                assert!(
                    !bytes.windows(word.len()).any(|window| window == word),
                    "{record:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn another_server_sees_an_erasure_within_five_seconds() {
    let world = World::new().await;
    let other = another_server(&world);
    let id = wilhelmina(&world).await;
    // The label is looked up with the owner's key alone, which the other server still has for a while.
    let label = {
        let mut input = new_account(world.root, Purpose::Main);
        (input.owner, input.label) = (Owner::Customer(id), "purse".to_owned());
        world
            .service
            .create_account(&world.caller, input, unnamed())
            .await
            .unwrap()
            .value
            .id
    };
    let label_on = async |service: &Service| {
        let found = service.account(&world.caller, label).await.unwrap().value;
        service.account_label(&found.account).await.unwrap()
    };
    for service in [&world.service, &other] {
        assert_eq!(
            (&*label_on(service).await, &*name_on(service, &world, id).await),
            ("purse", "Wilhelmina")
        );
    }
    world
        .service
        .erase_customer(&world.caller, id, unnamed())
        .await
        .unwrap();
    assert_eq!(
        &*label_on(&world.service).await,
        "(erased)",
        "at once where it was erased"
    );
    assert_eq!(
        &*name_on(&other, &world, id).await,
        "(erased)",
        "the row says it at once"
    );
    assert_eq!(&*label_on(&other).await, "purse", "the key is remembered");
    world.service.clock.advance(4_999_999);
    assert_eq!(&*label_on(&other).await, "purse");
    world.service.clock.advance(1);
    assert_eq!(&*label_on(&other).await, "(erased)");
}

#[tokio::test]
async fn another_server_sees_a_new_name_at_once() {
    let world = World::new().await;
    let other = another_server(&world);
    let id = wilhelmina(&world).await;
    assert_eq!(&*name_on(&other, &world, id).await, "Wilhelmina");
    let change = ledger::CustomerChange {
        id,
        legal_name: Some("Ana".into()),
        external_id: None,
        metadata: None,
    };
    let changed = world
        .service
        .update_customer(&world.caller, change, unnamed())
        .await;
    assert_eq!(&*changed.unwrap().value.legal_name, "Ana");
    for _ in 0..2 {
        assert_eq!(&*name_on(&other, &world, id).await, "Ana");
    }
}

#[tokio::test]
async fn an_erasure_that_was_cut_off_is_finished_when_it_comes_again() {
    for with_key in [false, true] {
        let world = World::new().await;
        let id = wilhelmina(&world).await;
        let key = named("erase");
        let first = if with_key { key.clone() } else { unnamed() };
        // The command was recorded, and the server died before it deleted the key.
        world
            .service
            .erase_customer(&world.caller, id, first)
            .await
            .unwrap();
        let left = vec![(Subject::from(id), store::TextKey([9; 32]))];
        world.service.store.keep_text_keys(left).await.unwrap();
        let done = world
            .service
            .erase_customer(&world.caller, id, key)
            .await
            .unwrap();
        assert_eq!(done.replayed, with_key);
        assert_eq!(
            world.service.store.text_keys(vec![id.into()]).await,
            Ok(vec![None])
        );
        assert_eq!(&*done.value.legal_name, "(erased)");
    }
}

#[tokio::test]
async fn the_same_request_is_sealed_anew_and_known_again() {
    let world = World::new().await;
    let post = || {
        let mut input = transaction(&[(world.external, world.main, 5)]);
        input.reference = Some("rent".to_owned());
        input.notes.metadata = Some("{}".into());
        input
    };
    let one = world.post(post(), named("one")).await.unwrap();
    let again = world.post(post(), named("one")).await.unwrap();
    assert!(again.replayed && again.record == one.record && again.texts == one.texts);
    let two = world.post(post(), named("two")).await.unwrap();
    let metadata = |done: &service::TransactionDone| {
        let texts = done.record.transaction(0).unwrap().texts.clone().unwrap();
        texts.notes.metadata.unwrap().bytes().to_vec()
    };
    assert_ne!(metadata(&one), metadata(&two));
    assert_eq!(metadata(&one).len(), 2 + 40, "bytes beyond the text");
    let reference = one.record.transaction(0).unwrap().reference().cloned().unwrap();
    assert_eq!(reference.bytes().len(), 4 + 32);
    assert_eq!(one.record.fingerprint, two.record.fingerprint);
    // Who has the journal and not the key of the book can't try what was asked.
    let action = Action::<Plain>::EraseCustomer { id: CustomerId(1) };
    let keyed = |key| ledger::fingerprint(&action, false, &[key; 32]);
    assert_ne!(keyed(1), keyed(2));
}

#[tokio::test]
async fn books_without_their_keys_are_refused() {
    let world = World::new().await;
    world.service.check_vault().await.unwrap();
    for book in [BookNo(0), BookNo(1)] {
        world
            .service
            .store
            .forget_text_key(Subject::book(book))
            .await
            .unwrap();
    }
    let restarted = Service::new(
        Arc::clone(&world.service.store),
        Config::default(),
        world.service.clock.clone(),
    );
    let why = restarted.check_vault().await.unwrap_err();
    assert!(format!("{why:?}").contains("restore them"), "{why:?}");
    assert!(
        restarted
            .customers(&world.caller, Some("x".to_owned()), PAGE)
            .await
            .is_err()
    );
    assert!(
        restarted
            .post(&world.caller, world.deposit(5), unnamed())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_text_that_was_moved_or_damaged_is_not_shown() {
    let world = World::new().await;
    let (one, other) = (wilhelmina(&world).await, wilhelmina(&world).await);
    let row = world
        .service
        .store
        .customer(world.caller.viewer, CustomerRef::Id(one))
        .await
        .unwrap();
    let stolen = row.unwrap().value.legal_name.clone();
    // Somebody who may write commands puts the sealed name of one customer in the place of another's.
    let change = ledger::CustomerChange {
        id: other,
        legal_name: Some(stolen),
        external_id: None,
        metadata: None,
    };
    let command = Command {
        book: world.caller.viewer.book,
        client: world.caller.viewer.client,
        key: Key::Id(77.into()),
        fingerprint: Fingerprint::default(),
        stamp: world.service.clock.now(),
        action: Action::UpdateCustomer(change),
    };
    world.service.store.submit(vec![command]).await.remove(0).unwrap();
    assert!(
        world
            .service
            .customer(&world.caller, CustomerRef::Id(other))
            .await
            .is_err()
    );
    assert_eq!(&*name_on(&world.service, &world, one).await, "Wilhelmina");
}
