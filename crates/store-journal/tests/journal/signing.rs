//! The file with the keys that sign tokens: damage is said, and only a file that is not there is made anew.

use std::path::Path;

use store::Store;
use store_journal::{JournalStore, OpenError, folder, signing_keys};

use crate::common::{check, open, options};

/// Opens a store that should not open; answers why.
fn refusal(place: &Path) -> String {
    let disk = folder(place, false).expect("the folder is there");
    match JournalStore::open(disk, options(), "here") {
        Ok(_) => panic!("it opened"),
        Err(OpenError::SigningKeys(why)) => why,
        Err(other) => panic!("another reason: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_keys_are_refused_and_lost_ones_are_made_anew() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let keys = store.signing_keys().await.expect("they are read");
    store.close().await.expect("it closes");
    drop(store);
    let file = place.path().join("signing.key");
    let good = std::fs::read(&file).expect("it is read");
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    // The secret, the head, the sum; nothing; a bare secret; cut off; of a later program.
    for (bytes, why) in [
        (flipped(30), "damaged"),
        (flipped(1), "damaged"),
        (flipped(good.len() - 1), "damaged"),
        (Vec::new(), "damaged"),
        (vec![7; 32], "damaged"),
        (good[..good.len() - 1].to_vec(), "damaged"),
        (flipped(8), "version"),
    ] {
        std::fs::write(&file, &bytes).expect("it is written");
        let said = refusal(place.path());
        assert!(said.contains(why) && said.contains("signing.key"), "{said}");
        assert!(said.contains("remove the file"), "it says what to do: {said}");
        let found = check(place.path()).expect_err("verify finds it").to_string();
        assert!(found.contains("signing.key"), "{found}");
        assert_eq!(
            std::fs::read(&file).expect("it is read"),
            bytes,
            "it is left as it is"
        );
    }
    std::fs::write(&file, &good).expect("it is written");
    // What a replacement that was cut off leaves beside it counts for nothing.
    std::fs::write(place.path().join("signing.key.new"), &good[..20]).expect("it is written");
    let store = open(place.path());
    assert_eq!(store.signing_keys().await, Ok(keys.clone()));
    drop(store);

    std::fs::remove_file(&file).expect("it is removed");
    let disk = folder(place.path(), false).expect("the folder is there");
    let copied = signing_keys(&*disk)
        .expect_err("there is nothing to copy")
        .to_string();
    assert!(copied.contains("is not there"), "{copied}");
    let store = JournalStore::open(disk, options(), "here").expect("the store opens");
    let new = store.signing_keys().await.expect("they are read");
    assert_ne!(new, keys);
    drop(store);
    assert_eq!(open(place.path()).signing_keys().await, Ok(new));
}
