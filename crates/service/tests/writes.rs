//! Writing once: keys, replays, conflicts, batches, holds.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod world;

use ledger::{Amount, Code, Position, Purpose, Scopes, TransactionId};
use service::{CaptureHold, Portion, Problem, ReleaseHold, ReverseTransaction};
use world::{START, World, field, held, named, new_client, new_key, refusal, transaction, unnamed, with_id};

fn is_conflict(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Conflict {
            code: "idempotency_conflict",
            ..
        }
    )
}

#[tokio::test]
async fn the_same_under_the_same_key_happens_once() {
    let world = World::new().await;
    let first = world.post(world.deposit(100), named("a")).await.unwrap();
    let again = world.post(world.deposit(100), named("a")).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.record.position, again.record.position);
    assert_eq!(first.booked().unwrap().id, again.booked().unwrap().id);
    assert!(is_conflict(
        &world.post(world.deposit(101), named("a")).await.unwrap_err()
    ));
    assert_eq!(world.settled().await, 100);
    // Without a key or an id each is a new one.
    for _ in 0..2 {
        assert!(!world.post(world.deposit(1), unnamed()).await.unwrap().replayed);
    }
    assert_eq!(world.settled().await, 102);
}

#[tokio::test]
async fn an_id_is_a_key() {
    let world = World::new().await;
    let input = || with_id(world.deposit(100), 7);
    assert!(!world.post(input(), unnamed()).await.unwrap().replayed);
    assert!(world.post(input(), unnamed()).await.unwrap().replayed);
    let other = with_id(world.deposit(1), 7);
    assert!(is_conflict(&world.post(other, unnamed()).await.unwrap_err()));
    // Under another key the id is taken; and that is recorded under that key.
    for replayed in [false, true] {
        let problem = world.post(input(), named("b")).await.unwrap_err();
        assert_eq!(refusal(&problem), ("id_taken", replayed, false));
    }
    assert_eq!(
        field(
            &world
                .post(with_id(world.deposit(1), 0), unnamed())
                .await
                .unwrap_err()
        ),
        "id"
    );
}

#[tokio::test]
async fn a_refusal_is_recorded_and_replayed() {
    let world = World::new().await;
    let before = world.service.position(&world.caller).await.unwrap();
    for replayed in [false, true] {
        let problem = world.post(world.payout(1), named("a")).await.unwrap_err();
        assert_eq!(refusal(&problem), ("insufficient_funds", replayed, false));
    }
    world.post(world.deposit(1), unnamed()).await.unwrap();
    // Also when it would pass now.
    let problem = world.post(world.payout(1), named("a")).await.unwrap_err();
    assert_eq!(refusal(&problem), ("insufficient_funds", true, false));
    let after = world.service.position(&world.caller).await.unwrap();
    assert_eq!(after, Position(before.0 + 2));
}

#[tokio::test]
async fn a_replayed_key_comes_without_its_secret() {
    let world = World::new().await;
    let input = || new_key(Some(world.root), Scopes::READ);
    let first = world
        .service
        .create_key(&world.caller, input(), named("k"))
        .await
        .unwrap();
    let again = world
        .service
        .create_key(&world.caller, input(), named("k"))
        .await
        .unwrap();
    assert_eq!(first.value.id, again.value.id);
    assert!(first.value.credentials.is_some() && again.value.credentials.is_none() && again.replayed);
    // A replayed client is the one that was made first.
    let first = world
        .service
        .create_client(&world.caller, new_client("Sub"), named("c"))
        .await
        .unwrap();
    let again = world
        .service
        .create_client(&world.caller, new_client("Sub"), named("c"))
        .await
        .unwrap();
    assert_eq!((first.value, true), (again.value, again.replayed));
    let other = world
        .service
        .create_client(&world.caller, new_client("Other"), named("c"))
        .await;
    assert!(is_conflict(&other.unwrap_err()));
}

#[tokio::test]
async fn each_item_of_a_batch_is_a_command_of_its_own() {
    let world = World::new().await;
    let items = || {
        vec![
            with_id(world.deposit(10), 1),
            with_id(world.payout(11), 2),
            with_id(world.payout(4), 3),
            with_id(world.deposit(10), 1),
            with_id(world.deposit(9), 1),
        ]
    };
    let done = world.service.post_each(&world.caller, items()).await.unwrap();
    assert_eq!(
        done.items.iter().map(|item| item.id.0).collect::<Vec<_>>(),
        [1, 2, 3, 1, 1]
    );
    assert!(!done.items[0].result.as_ref().unwrap().replayed);
    assert_eq!(
        refusal(done.items[1].result.as_ref().unwrap_err()).0,
        "insufficient_funds"
    );
    assert!(done.items[3].result.as_ref().unwrap().replayed);
    assert!(is_conflict(done.items[4].result.as_ref().unwrap_err()));
    assert_eq!(
        done.position,
        world.service.position(&world.caller).await.unwrap()
    );
    assert_eq!(world.settled().await, 6);
    let again = world.service.post_each(&world.caller, items()).await.unwrap();
    assert!(again.items[2].result.as_ref().unwrap().replayed);
    assert_eq!((again.position, world.settled().await), (done.position, 6));

    // Conflicts alone: then the book says where it stands.
    let conflict = world
        .service
        .post_each(&world.caller, vec![with_id(world.deposit(9), 1)])
        .await
        .unwrap();
    assert_eq!(conflict.position, done.position);
}

#[tokio::test]
async fn an_atomic_batch_is_one_command() {
    let world = World::new().await;
    let good = || vec![with_id(world.deposit(10), 1), with_id(world.payout(10), 2)];
    let done = world
        .service
        .post_all(&world.caller, good(), named("a"))
        .await
        .unwrap();
    assert!(
        done.items
            .iter()
            .all(|item| item.result.as_ref().unwrap().position == done.position)
    );
    let again = world
        .service
        .post_all(&world.caller, good(), named("a"))
        .await
        .unwrap();
    assert!(again.replayed && !done.replayed && again.position == done.position);

    let bad = vec![
        with_id(world.deposit(10), 3),
        with_id(world.payout(11), 4),
        with_id(world.deposit(10), 5),
    ];
    for replayed in [false, true] {
        let refused = world
            .service
            .post_all(&world.caller, bad.clone(), named("b"))
            .await
            .unwrap();
        assert_eq!((refused.items.len(), refused.items[0].id.0), (1, 4));
        assert_eq!(
            refusal(refused.items[0].result.as_ref().unwrap_err()),
            ("insufficient_funds", replayed, false)
        );
    }
    assert_eq!(world.settled().await, 0);
    // Without a key the server makes one; the ids then are taken.
    let taken = world
        .service
        .post_all(&world.caller, good(), unnamed())
        .await
        .unwrap();
    assert_eq!(refusal(taken.items[0].result.as_ref().unwrap_err()).0, "id_taken");
    let conflict = world.service.post_all(&world.caller, good(), named("b")).await;
    assert!(is_conflict(&conflict.unwrap_err()));
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_said_before_anything_is_done() {
    let world = World::new().await;
    let before = world.service.position(&world.caller).await.unwrap();
    let many = (1..=6).map(|id| with_id(world.deposit(1), id)).collect();
    let cases = [
        (vec![], "transactions"),
        (
            vec![with_id(world.deposit(1), 1), world.deposit(1)],
            "transactions[1].id",
        ),
        (vec![with_id(transaction(&[]), 1)], "transactions[0].postings"),
        (
            vec![with_id(world.deposit(1), 1), with_id(world.deposit(1), 0)],
            "transactions[1].id",
        ),
    ];
    for (items, named) in cases {
        let problem = world
            .service
            .post_each(&world.caller, items.clone())
            .await
            .unwrap_err();
        assert_eq!(field(&problem), named);
        let problem = world
            .service
            .post_all(&world.caller, items, unnamed())
            .await
            .unwrap_err();
        assert_eq!(field(&problem), named);
    }
    let problem = world.service.post_each(&world.caller, many).await.unwrap_err();
    assert_eq!(
        problem,
        Problem::TooLarge {
            what: "transactions",
            limit: 5
        }
    );
    let four = transaction(&[(world.external, world.main, 1); 4]);
    assert_eq!(field(&world.post(four, unnamed()).await.unwrap_err()), "postings");
    assert_eq!(world.service.position(&world.caller).await.unwrap(), before);
}

fn capture(hold: TransactionId, portion: Portion) -> CaptureHold {
    CaptureHold {
        hold,
        portion,
        last: None,
        allow_over: false,
        force: false,
    }
}

fn cents(amount: u128) -> Amount {
    Amount::new(amount).unwrap()
}

#[tokio::test]
async fn an_amount_is_for_holds_of_one_posting() {
    let world = World::new().await;
    world.post(world.deposit(100), unnamed()).await.unwrap();
    let one = world
        .post(held(world.payout(10), None), unnamed())
        .await
        .unwrap()
        .booked()
        .unwrap()
        .id;
    let two = held(
        transaction(&[(world.main, world.external, 10), (world.main, world.external, 20)]),
        None,
    );
    let two = world.post(two, unnamed()).await.unwrap().booked().unwrap().id;

    let problem = world
        .service
        .capture(&world.caller, capture(two, Portion::Amount(cents(5))), unnamed())
        .await;
    assert_eq!(field(&problem.unwrap_err()), "amount");
    let release = ReleaseHold {
        hold: two,
        portion: Portion::Amount(cents(5)),
    };
    assert_eq!(
        field(
            &world
                .service
                .release(&world.caller, release, unnamed())
                .await
                .unwrap_err()
        ),
        "amount"
    );
    let nothing = capture(two, Portion::Parts([].into_iter().collect()));
    assert_eq!(
        field(
            &world
                .service
                .capture(&world.caller, nothing, unnamed())
                .await
                .unwrap_err()
        ),
        "postings"
    );

    // A named amount leaves the rest held, all takes it; twice under one key is once.
    for _ in 0..2 {
        let done = world
            .service
            .capture(&world.caller, capture(one, Portion::Amount(cents(4))), named("c"))
            .await;
        let after = done.unwrap().balances_after();
        assert_eq!(
            (
                after[0].entry.counters.settled(),
                after[0].entry.counters.reserved()
            ),
            (96, 36)
        );
    }
    let done = world
        .service
        .capture(&world.caller, capture(one, Portion::All), unnamed())
        .await
        .unwrap();
    assert_eq!(done.balances_after()[0].entry.counters.reserved(), 30);
    let parts = Portion::Parts([(1, cents(15))].into_iter().collect());
    let release = ReleaseHold {
        hold: two,
        portion: parts,
    };
    let done = world
        .service
        .release(&world.caller, release, unnamed())
        .await
        .unwrap();
    assert_eq!(done.balances_after()[0].entry.counters.reserved(), 15);

    // What the request is addressed to is missing, or is not: that differs.
    let stray = TransactionId(99);
    for portion in [Portion::All, Portion::Amount(cents(1))] {
        let problem = world
            .service
            .capture(&world.caller, capture(stray, portion), unnamed())
            .await
            .unwrap_err();
        assert_eq!(refusal(&problem), (Code::HoldNotFound.as_str(), false, true));
    }
    let problem = world
        .service
        .capture(&world.caller, capture(one, Portion::All), unnamed())
        .await
        .unwrap_err();
    assert_eq!(refusal(&problem), ("hold_resolved", false, false));
    let reverse = |transaction| ReverseTransaction {
        transaction,
        parts: None,
        force: false,
    };
    let problem = world
        .service
        .reverse(&world.caller, reverse(stray), unnamed())
        .await
        .unwrap_err();
    assert_eq!(refusal(&problem), ("transaction_not_found", false, true));
    let problem = world
        .service
        .reverse(&world.caller, reverse(two), unnamed())
        .await
        .unwrap_err();
    assert_eq!(refusal(&problem), ("not_posted", false, false));
}

#[tokio::test]
async fn holds_whose_time_is_over_are_expired() {
    let world = World::new().await;
    world.post(world.deposit(100), unnamed()).await.unwrap();
    let end = START.plus(1_000_000);
    for amount in [10, 20] {
        world
            .post(held(world.payout(amount), Some(end)), unnamed())
            .await
            .unwrap();
    }
    world.post(held(world.payout(30), None), unnamed()).await.unwrap();
    assert_eq!(world.service.expire_due().await, Ok(0));
    world.service.clock.advance(1_000_000);
    assert_eq!(world.service.expire_due().await, Ok(2));
    assert_eq!(world.service.expire_due().await, Ok(0));
    assert_eq!(world.service.metrics.holds_expired.get(), 2);
    let found = world.service.account(&world.caller, world.main).await.unwrap();
    assert_eq!(found.value.balances[0].counters.reserved(), 30);
}

#[tokio::test]
async fn balances_after_a_transaction_are_the_last_of_each_account() {
    let world = World::new().await;
    let other = world.account(Purpose::Internal).await;
    let input = transaction(&[(world.external, world.main, 10), (world.main, other, 4)]);
    let done = world.post(input, unnamed()).await.unwrap();
    let after: Vec<_> = done
        .balances_after()
        .iter()
        .map(|it| (it.account, it.entry.counters.settled()))
        .collect();
    assert_eq!(after, [(world.external, -10), (world.main, 6), (other, 4)]);
}
