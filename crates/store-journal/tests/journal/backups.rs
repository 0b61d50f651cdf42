//! Backups of a store in use: whole after every end of a run, and nothing else is taken for one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::Micros;
use store::Store;
use store::suite::{Random, now};
use store_journal::backup::{BackedUp, Backup, BackupError, back_up};
use store_journal::log::{Disk, RealDisk};
use store_journal::{JournalStore, Report, folder, verify};

use crate::common::{account, check, files, open, options, post, world};
use crate::stage::Stage;

fn disk(path: &Path) -> Arc<dyn Disk> {
    folder(path, true).expect("the folder is there")
}

fn save(store: &Path, to: &dyn Disk) -> Result<BackedUp, BackupError> {
    back_up(&RealDisk::new(store), "here", to, now(), |_| {})
}

/// Checks a backup to its last record; answers what is in it.
fn checked(to: &Path) -> Report {
    let backup = Backup::open(disk(to)).expect("there is one");
    backup.check_files(|_| {}).expect("its files are good");
    let files = backup.as_store(None).expect("they are opened");
    let report = verify(&files, &options(), "the backup", |_| {}).expect("its records are good");
    let recorded: Vec<_> = report.books.iter().filter(|book| book.1.0 > 0).copied().collect();
    assert_eq!(recorded, backup.manifest().books);
    report
}

async fn begin(store: &JournalStore) {
    let mut commands = world();
    commands.extend((0..20).map(account));
    assert!(store.submit(commands).await.iter().all(Result::is_ok));
}

async fn some(store: &JournalStore, random: &mut Random, batches: usize) {
    for _ in 0..batches {
        let posts = (0..200).map(|_| post(random, 20)).collect();
        assert!(store.submit(posts).await.iter().all(Result::is_ok));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_is_copied() {
    let (place, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let store = open(place.path());
    begin(&store).await;
    let mut random = Random::new(21);
    let to_disk = disk(to.path());
    let first = save(place.path(), &*to_disk).expect("it is backed up");
    assert_eq!(first.records, 22);
    let again = save(place.path(), &*to_disk).expect("it is backed up");
    assert_eq!((again.records, again.bytes), (0, 0));
    while files(place.path(), "log").len() < 5 {
        some(&store, &mut random, 10).await;
    }
    let second = save(place.path(), &*to_disk).expect("it is backed up");
    some(&store, &mut random, 2).await;
    let third = save(place.path(), &*to_disk).expect("it is backed up");
    assert!(third.records == 400 && third.bytes < 1 << 20, "{third:?}");
    let full = |done: &BackedUp| done.manifest.files.len() - 1;
    assert_eq!(
        second.manifest.files[..full(&second)],
        third.manifest.files[..full(&second)]
    );
    assert_eq!(
        files(to.path(), "part").len(),
        1,
        "what no manifest names is removed"
    );
    store.close().await.expect("it closes");
    drop(store);
    let last = save(place.path(), &*to_disk).expect("it is backed up");
    assert_eq!(last.records, 0);
    let (kept, here) = (checked(to.path()), check(place.path()).expect("it is good"));
    assert_eq!((kept.books, kept.frames), (here.books, here.frames));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_written_every_run_leaves_a_whole_one() {
    let (place, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let store = Arc::new(open(place.path()));
    begin(&store).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut random = Random::new(22);
            while !stop.load(Ordering::Acquire) {
                some(&store, &mut random, 1).await;
            }
        })
    };
    let (from, into) = (place.path().to_owned(), to.path().to_owned());
    let backing_up = tokio::task::spawn_blocking(move || {
        let mut runs = 0;
        while files(&into, "full").len() < 3 || runs < 10 {
            save(&from, &*disk(&into)).expect("it is backed up");
            checked(&into);
            runs += 1;
        }
    });
    backing_up.await.expect("it ends");
    stop.store(true, Ordering::Release);
    writing.await.expect("it ends");
    store.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_last_one_and_the_next_run_goes_on() {
    let (place, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let store = open(place.path());
    begin(&store).await;
    let mut random = Random::new(23);
    some(&store, &mut random, 3).await;
    let stage = Stage::new(disk(to.path()));
    save(place.path(), &*stage.disk()).expect("it is backed up");
    let before = checked(to.path());
    while files(place.path(), "log").len() < 4 {
        some(&store, &mut random, 10).await;
    }
    for names in ["full", "part", "manifest"] {
        stage.refuse(names);
        let refused = save(place.path(), &*stage.disk())
            .expect_err("there is no space")
            .to_string();
        assert!(
            refused.contains("no space") && refused.contains("still good"),
            "{refused}"
        );
        assert_eq!(checked(to.path()), before, "{names}");
    }
    stage.be_full(false);
    save(place.path(), &*stage.disk()).expect("it is backed up");
    store.close().await.expect("it closes");
    drop(store);
    save(place.path(), &*stage.disk()).expect("it is backed up");
    assert_eq!(
        checked(to.path()).books,
        check(place.path()).expect("it is good").books
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_refused_with_the_files_name() {
    let (place, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let store = open(place.path());
    begin(&store).await;
    let mut random = Random::new(24);
    while files(place.path(), "log").len() < 4 {
        some(&store, &mut random, 10).await;
    }
    save(place.path(), &*disk(to.path())).expect("it is backed up");
    let broken = || -> String {
        let opened = Backup::open(disk(to.path())).and_then(|backup| backup.check_files(|_| {}));
        opened.expect_err("it is damaged").to_string()
    };
    for file in ["full", "part", "manifest"]
        .into_iter()
        .flat_map(|ending| files(to.path(), ending))
    {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let whole = std::fs::read(&file).expect("it is read");
        for _ in 0..5 {
            let mut bad = whole.clone();
            let at = usize::try_from(random.below(bad.len() as u64)).expect("small");
            bad[at] ^= 1 << random.below(8);
            std::fs::write(&file, &bad).expect("it is written");
            assert!(broken().contains(&name), "byte {at} of {name}: {}", broken());
            std::fs::write(&file, &whole[..at]).expect("it is written");
            assert!(broken().contains(&name), "cut at {at}, {name}: {}", broken());
        }
        std::fs::remove_file(&file).expect("it is removed");
        assert!(broken().contains(&name), "{name} is missing: {}", broken());
        std::fs::write(&file, &whole).expect("it is written");
    }
    checked(to.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_taken_for_a_backup_of_this_store() {
    let (place, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let store = open(place.path());
    begin(&store).await;
    // Nothing is done to a folder of other things, and least of all to a store.
    let own = save(place.path(), &RealDisk::new(place.path()));
    assert!(matches!(own, Err(BackupError::OtherThings(_))), "{own:?}");
    save(place.path(), &*disk(to.path())).expect("it is backed up");
    let other = tempfile::tempdir().expect("a folder");
    let another = open(other.path());
    begin(&another).await;
    let mixed = save(other.path(), &*disk(to.path()));
    assert!(matches!(mixed, Err(BackupError::OtherStore)), "{mixed:?}");
    // A copy of the files that went another way than the backup.
    let copy = tempfile::tempdir().expect("a folder");
    store.close().await.expect("it closes");
    drop(store);
    for ending in ["log", "key", "vault"] {
        for file in files(place.path(), ending) {
            std::fs::copy(&file, copy.path().join(file.file_name().expect("a name"))).expect("it is copied");
        }
    }
    let mut random = Random::new(25);
    for path in [place.path(), copy.path()] {
        let store = open(path);
        some(&store, &mut random, 1).await;
        store.close().await.expect("it closes");
    }
    save(place.path(), &*disk(to.path())).expect("it is backed up");
    let before = checked(to.path());
    let mixed = save(copy.path(), &*disk(to.path()));
    assert!(
        matches!(mixed, Err(BackupError::OtherHistory { .. })),
        "{mixed:?}"
    );
    assert_eq!(checked(to.path()), before);
    // Two at once.
    let held = disk(to.path()).lock("backup.lock").expect("nobody has it");
    let busy = save(place.path(), &*disk(to.path()));
    assert!(matches!(busy, Err(BackupError::Busy(_))), "{busy:?}");
    drop(held);
    assert!(
        Micros(0)
            < Backup::open(disk(to.path()))
                .expect("it is there")
                .manifest()
                .taken_at
    );
}
