//! What a store promises about the keys of texts, and about who was erased.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{
    AccountChange, AccountId, Action, ClientId, Code, CustomerChange, CustomerId, Findable, Key, Lookup,
    NewAccount, NewCustomer, Notes, Owner, Purpose, Subject, Text,
};

use super::scene::{Scene, code};
use super::{Backend, Random};
use crate::{CustomerRef, Store, TextKey};

fn key(random: &mut Random) -> TextKey {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&random.bits().to_le_bytes());
    }
    TextKey(key)
}

async fn all(store: &dyn Store, limit: usize) -> Vec<(Subject, TextKey)> {
    let mut all: Vec<(Subject, TextKey)> = Vec::new();
    loop {
        let after = all.last().map(|(subject, _)| *subject);
        let more = store.all_text_keys(after, limit).await.expect("they are read");
        if more.is_empty() {
            return all;
        }
        assert!(more.len() <= limit, "no more than were asked for");
        all.extend(more);
    }
}

/// Keys are there until they are forgotten, also after the store was opened again; the first one of a subject stays.
pub async fn keys_of_texts_are_kept_until_they_are_forgotten<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let mut scene = Scene::new(backend.open(&place).await).await;
    let mut random = Random::new(5);
    let mut model: BTreeMap<Subject, TextKey> = BTreeMap::new();
    let subjects: Vec<_> = (0..40)
        .map(|no| Subject(1 << 100 | u128::from(random.bits()) | no))
        .collect();
    for round in 0..60 {
        match random.below(10) {
            0..6 => {
                let new: Vec<_> = (0..random.below(6))
                    .map(|_| (random.pick(&subjects), key(&mut random)))
                    .collect();
                let expected: Vec<_> = new
                    .iter()
                    .map(|(subject, key)| *model.entry(*subject).or_insert(*key))
                    .collect();
                assert_eq!(
                    scene.store.keep_text_keys(new).await,
                    Ok(expected),
                    "round {round}"
                );
            }
            6..9 => {
                let subject = random.pick(&subjects);
                model.remove(&subject);
                assert_eq!(
                    scene.store.forget_text_key(subject).await,
                    Ok(()),
                    "round {round}"
                );
            }
            _ => {
                scene.store.close().await.expect("it closes");
                scene.store = backend.open(&place).await;
            }
        }
        let expected = subjects
            .iter()
            .map(|subject| model.get(subject).copied())
            .collect();
        assert_eq!(
            scene.store.text_keys(subjects.clone()).await,
            Ok(expected),
            "round {round}"
        );
        let expected: Vec<_> = model.iter().map(|(subject, key)| (*subject, *key)).collect();
        assert_eq!(
            all(&*scene.store, 1 + random.below(9) as usize).await,
            expected,
            "round {round}"
        );
    }
}

/// Whoever wants to keep a key of the same subject at the same time is told of the same one.
pub async fn one_key_is_kept_for_one_subject<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = Scene::new(backend.open(&place).await).await;
    let mut random = Random::new(6);
    for subject in (1..=5).map(|no| Subject(1 << 90 | no)) {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (store, key) = (Arc::clone(&scene.store), key(&mut random));
                tokio::spawn(async move { store.keep_text_keys(vec![(subject, key)]).await })
            })
            .collect();
        let mut kept = Vec::new();
        for task in tasks {
            kept.extend(task.await.expect("it ends").expect("it is kept"));
        }
        assert!(kept.iter().all(|key| *key == kept[0]), "one of them counts");
        assert_eq!(
            scene.store.text_keys(vec![subject]).await,
            Ok(vec![Some(kept[0])])
        );
    }
}

fn notes() -> Notes {
    Notes {
        external_id: Some(Findable::new(Lookup([3; 16]), b"sealed")),
        metadata: None,
    }
}

/// An account of the customer, with texts or without.
fn account(scene: &Scene, customer: CustomerId, label: &[u8], notes: Notes) -> Action {
    Action::CreateAccount(NewAccount {
        id: AccountId(scene.id()),
        owner: Owner::Customer(customer),
        purpose: Purpose::Main,
        label: Text::new(label),
        currency: None,
        primary: false,
        limits: Vec::new(),
        notes,
    })
}

fn change(id: AccountId, label: Option<&[u8]>) -> AccountChange {
    AccountChange {
        id,
        label: label.map(Text::new),
        status: None,
        limits: Vec::new(),
        primary: true,
        external_id: Some(None),
        metadata: Some(None),
    }
}

fn rename(id: CustomerId, name: Option<&[u8]>, clear: bool) -> Action {
    Action::UpdateCustomer(CustomerChange {
        id,
        legal_name: name.map(Text::new),
        external_id: clear.then_some(None),
        metadata: clear.then_some(None),
    })
}

fn dun(customer: CustomerId, label: Option<&[u8]>) -> Action {
    Action::SetDunning {
        customer,
        label: label.map(Text::new),
        in_debt_collection: true,
    }
}

async fn code_of(scene: &Scene, actor: ClientId, action: Action) -> Option<Code> {
    let key = Key::Id(scene.id().into());
    let record = scene
        .recorded(scene.command_under(key, Some(actor), action))
        .await;
    code(&record)
}

/// Erasing is for who sees the customer, can be done again, and leaves everything usable but its texts.
pub async fn who_was_erased_is_written_about_no_more<B: Backend>(backend: Arc<B>) {
    let place = backend.place().await;
    let scene = Scene::new(backend.open(&place).await).await;
    let (root, subsidiary) = (scene.root, scene.subsidiary().await);
    let id = CustomerId(scene.id());
    let new = Action::CreateCustomer(NewCustomer {
        id,
        client: root,
        legal_name: Text::new(*b"sealed"),
        number: None,
        notes: notes(),
    });
    assert_eq!(code_of(&scene, root, new).await, None);
    let main = account(&scene, id, b"sealed", notes());
    let Action::CreateAccount(opened) = &main else {
        return;
    };
    let opened = opened.id;
    assert_eq!(code_of(&scene, root, main).await, None);

    let erase = || Action::EraseCustomer { id };
    assert_eq!(
        code_of(&scene, subsidiary, erase()).await,
        Some(Code::CustomerNotFound)
    );
    assert_eq!(code_of(&scene, root, erase()).await, None);
    let viewer = scene.viewer(root);
    let row = scene
        .store
        .customer(viewer, CustomerRef::Id(id))
        .await
        .expect("it is read");
    let first = row.expect("it is there").value;
    assert_eq!(first.erased_at, Some(first.updated_at));
    assert_eq!(code_of(&scene, root, erase()).await, None, "again is no error");
    let row = scene
        .store
        .customer(viewer, CustomerRef::Id(id))
        .await
        .expect("it is read");
    assert_eq!(
        row.expect("it is there").value.erased_at,
        first.erased_at,
        "the first time counts"
    );

    let rename = |name, clear| rename(id, name, clear);
    let dun = |label| dun(id, label);
    let refused = Some(Code::CustomerErased);
    let cases = [
        (rename(Some(&b"new"[..]), false), refused),
        (rename(None, true), None),
        (dun(Some(&b"new"[..])), refused),
        (dun(None), None),
        (account(&scene, id, b"new", Notes::default()), refused),
        (account(&scene, id, b"", notes()), refused),
        (account(&scene, id, b"", Notes::default()), None),
        (Action::UpdateAccount(change(opened, Some(b"new"))), refused),
        (Action::UpdateAccount(change(opened, None)), None),
        (Action::UpdateAccount(change(opened, Some(b""))), None),
    ];
    for (nth, (action, expected)) in cases.into_iter().enumerate() {
        assert_eq!(code_of(&scene, root, action).await, expected, "case {nth}");
    }
    let world = scene.account(root, Purpose::External).await;
    scene.done(scene.post(world, opened, 5)).await;
}
