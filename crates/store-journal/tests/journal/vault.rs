//! The file with the keys of texts: what was forgotten is not in it any more, and losing it is no quiet matter.

use std::path::Path;

use ledger::Subject;
use store::suite::Random;
use store::{Store, TextKey};
use store_journal::{JournalStore, OpenError, folder};

use crate::common::{open, options};

fn key(random: &mut Random) -> TextKey {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&random.bits().to_le_bytes());
    }
    TextKey(key)
}

fn keys(seed: u64, count: u128) -> Vec<(Subject, TextKey)> {
    let mut random = Random::new(seed);
    (1..=count)
        .map(|no| (Subject(no << 64), key(&mut random)))
        .collect()
}

fn is_in_a_file(place: &Path, key: &TextKey) -> bool {
    let files = std::fs::read_dir(place).expect("the folder is there");
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it is read");
        bytes.windows(key.0.len()).any(|window| window == key.0)
    })
}

/// Opens a store that should not open; answers why.
fn refusal(place: &Path) -> String {
    let disk = folder(place, false).expect("the folder is there");
    match JournalStore::open(disk, options(), "here") {
        Ok(_) => panic!("it opened"),
        Err(OpenError::Vault(why)) => why,
        Err(other) => panic!("another reason: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_key_is_in_no_file() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let all = keys(1, 5_000);
    for some in all.chunks(700) {
        store.keep_text_keys(some.to_vec()).await.expect("they are kept");
    }
    let (subject, key) = all[1_234];
    assert!(is_in_a_file(place.path(), &key), "it would be found");
    store.forget_text_key(subject).await.expect("it is forgotten");
    assert!(!is_in_a_file(place.path(), &key));
    // What is kept afterwards stands behind what was written anew.
    let later = keys(2, 5_001);
    store
        .keep_text_keys(later[5_000..].to_vec())
        .await
        .expect("it is kept");
    drop(store);
    let store = open(place.path());
    assert!(!is_in_a_file(place.path(), &key));
    let mut expected: Vec<_> = all.into_iter().chain(later[5_000..].iter().copied()).collect();
    expected.retain(|(other, _)| *other != subject);
    assert_eq!(store.all_text_keys(None, 10_000).await, Ok(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_a_sync() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = std::sync::Arc::new(open(place.path()));
    let tasks: Vec<_> = keys(3, 300)
        .into_iter()
        .map(|one| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.keep_text_keys(vec![one]).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends").expect("it is kept");
    }
    let length = std::fs::metadata(place.path().join("texts.vault"))
        .expect("it is there")
        .len();
    // A head for each group of entries: one for each key would be 300.
    assert!(length < 32 + 300 * 48 + 8 * 300, "{length} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_a_foreign_or_a_damaged_vault_is_refused() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    for some in keys(4, 30).chunks(10) {
        store.keep_text_keys(some.to_vec()).await.expect("they are kept");
    }
    store.close().await.expect("it closes");
    drop(store);
    let file = place.path().join("texts.vault");
    let good = std::fs::read(&file).expect("it is read");

    std::fs::remove_file(&file).expect("it is removed");
    assert!(refusal(place.path()).contains("is not there"));
    assert!(!file.exists(), "no empty one takes its place");
    let elsewhere = tempfile::tempdir().expect("a folder is made");
    drop(open(elsewhere.path()));
    std::fs::copy(elsewhere.path().join("texts.vault"), &file).expect("it is copied");
    assert!(refusal(place.path()).contains("another store"));
    std::fs::write(&file, []).expect("it is written");
    assert!(refusal(place.path()).contains("damaged at its head"));
    for (at, why) in [
        (2, "damaged at its head"),
        (8, "version"),
        (40, "damaged between"),
        (100, "damaged between"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, &bad).expect("it is written");
        assert!(
            refusal(place.path()).contains(why),
            "byte {at}: {}",
            refusal(place.path())
        );
    }

    // Cut off in the last group, which nobody was told of: what came before is there, and the rest of it is gone.
    for length in [good.len() - 1, good.len() - 480, good.len() - 488] {
        std::fs::write(&file, &good[..length]).expect("it is written");
        let store = open(place.path());
        assert_eq!(
            store.all_text_keys(None, 100).await,
            Ok(keys(4, 20)),
            "{length} bytes"
        );
        drop(store);
        let left = std::fs::metadata(&file).expect("it is there").len();
        assert!(left <= good.len() as u64 - 488, "{left} bytes");
    }
    std::fs::write(&file, &good).expect("it is written");
    assert_eq!(open(place.path()).all_text_keys(None, 100).await, Ok(keys(4, 30)));
}
