//! Opening again, after all sorts of ends: what was answered is there, and memory is what the journal gives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, ClientId, Command, Fingerprint, HoldTerms, Key, Micros,
    NewAccount, NewClient, Notes, Owner, Position, Posting, Purpose, Transaction, TransactionId, fingerprint,
};
use store::suite::{Random, now};
use store::{Outcome, Store};
use store_journal::log::LogOptions;
use store_journal::{JournalStore, Options, Report, VerifyError, create, folder, verify};

const ROOT: ClientId = ClientId(1);
const BOOK: BookNo = BookNo(1);
const ACCOUNTS: u64 = 50;

fn options() -> Options {
    let mut options = Options::new(Arc::new(now));
    options.log = LogOptions::small();
    // Nearly always one under way.
    options.snapshot_every = 4 << 10;
    options
}

fn open(path: &Path) -> JournalStore {
    let disk = folder(path, true).expect("the folder is there");
    if !path.join("signing.key").exists() {
        create(&disk, &options(), "here").expect("a store is made");
    }
    JournalStore::open(disk, options(), "here").expect("the store opens")
}

fn check(path: &Path) -> Result<Report, VerifyError> {
    let disk = folder(path, false).expect("the folder is there");
    verify(&disk, &options(), "here", |_| {})
}

fn command(book: BookNo, client: Option<ClientId>, id: u128, action: Action) -> Command {
    Command {
        book,
        client,
        key: Key::Id(id),
        fingerprint: Fingerprint::default(),
        stamp: now(),
        action,
    }
}

fn world() -> Vec<Command> {
    let client = NewClient {
        id: ROOT,
        parent: None,
        legal_name: "Root".into(),
        time_zone: "UTC".into(),
        notes: Notes::default(),
    };
    vec![
        command(
            BookNo::OPERATOR,
            None,
            7,
            Action::Initialise { rlusd_exponent: 6 },
        ),
        command(BookNo::OPERATOR, None, 1, Action::CreateClient(client)),
    ]
}

fn account(n: u64) -> Command {
    let id = 1000 + u128::from(n);
    let account = NewAccount {
        id: AccountId(id),
        owner: Owner::Client(ROOT),
        purpose: if n == 0 { Purpose::External } else { Purpose::Main },
        label: "an account".into(),
        currency: None,
        primary: n.is_multiple_of(7),
        limits: Vec::new(),
        notes: Notes::default(),
    };
    command(BOOK, Some(ROOT), id, Action::CreateAccount(account))
}

fn post(random: &mut Random, accounts: u64) -> Command {
    let id = random.wide();
    let from = if random.percent(50) {
        0
    } else {
        random.below(accounts)
    };
    let to = random.below(accounts);
    let asset = AssetName::new(if random.percent(80) { "USD" } else { "EUR" }, None).expect("an asset");
    let amount = Amount::new(u128::from(random.below(1_000))).expect("an amount");
    let posting = Posting {
        from: AccountId(1000 + u128::from(from)),
        to: AccountId(1000 + u128::from(to)),
        asset,
        amount,
    };
    let transaction = Transaction {
        id: TransactionId(id),
        postings: [posting].into_iter().collect(),
        reference: random
            .percent(30)
            .then(|| format!("reference {}", random.below(5)).into()),
        notes: Notes::default(),
        effective_at: random
            .percent(20)
            .then(|| Micros(i64::try_from(random.below(1 << 50)).expect("small"))),
        hold: random.percent(20).then_some(HoldTerms { expires_at: None }),
        force: false,
    };
    let action = Action::Post(transaction);
    Command {
        fingerprint: fingerprint(&action, true),
        ..command(BOOK, Some(ROOT), id, action)
    }
}

/// Fills a store with accounts and movements at once, in small batches; answers how many records it has.
async fn fill(store: &JournalStore, seed: u64, batches: u64) -> Position {
    let mut random = Random::new(seed);
    store
        .submit(world())
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    for batch in 0..batches {
        let accounts = (2 + batch).min(ACCOUNTS);
        let new = if batch == 0 { 0..2 } else { accounts - 1..accounts };
        let mut commands: Vec<_> = new
            .filter(|n| batch < ACCOUNTS - 2 || *n < 2)
            .map(account)
            .collect();
        commands.extend((0..20).map(|_| post(&mut random, accounts)));
        for answer in store.submit(commands).await {
            assert!(
                matches!(answer, Ok(Outcome::Recorded(_) | Outcome::Replayed(_))),
                "{answer:?}"
            );
        }
    }
    store.position(BOOK).await.expect("the book is there")
}

fn files(path: &Path, ending: &str) -> Vec<PathBuf> {
    let names = std::fs::read_dir(path)
        .expect("the folder is there")
        .map(|file| file.expect("a file").path());
    let mut files: Vec<_> = names
        .filter(|file| file.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_closing_loses_nothing() {
    for seed in 0..10 {
        let place = tempfile::tempdir().expect("a folder is made");
        let store = open(place.path());
        let position = fill(&store, seed, 60).await;
        let digest = store.digest(BOOK).await;
        drop(store);
        // What opening rebuilds from a snapshot taken in the middle is what the whole journal gives.
        let report = check(place.path()).expect("the store is good");
        assert_eq!(report.books[1].1, position);
        let store = open(place.path());
        assert_eq!(store.digest(BOOK).await, digest);
        assert_eq!(store.position(BOOK).await, Ok(position));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_runs_are_disposable() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    fill(&store, 1, 800).await;
    store.close().await.expect("it closes");
    drop(store);
    assert!(
        files(place.path(), "log").len() > 2,
        "the log has several segments"
    );
    assert!(!files(place.path(), "snap").is_empty(), "there is a snapshot");
    let good = check(place.path()).expect("the store is good");
    for ending in ["snap", "keys"] {
        for file in files(place.path(), ending) {
            let mut bytes = std::fs::read(&file).expect("it is read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&file, bytes).expect("it is written");
        }
        assert_eq!(check(place.path()).expect("damaged helpers are made again"), good);
        files(place.path(), ending)
            .iter()
            .for_each(|file| std::fs::remove_file(file).expect("it is removed"));
        assert_eq!(check(place.path()).expect("missing helpers are made again"), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_with_its_place() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    fill(&store, 2, 40).await;
    store.close().await.expect("it closes");
    drop(store);
    let log = &files(place.path(), "log")[0];
    let good = std::fs::read(log).expect("it is read");
    let end = good.iter().rposition(|byte| *byte != 0).expect("it has frames");
    let mut random = Random::new(3);
    for _ in 0..60 {
        // Not in the segment's unused tail, and not in the reserved zero bytes of its header, which are checked apart.
        let at = 64 + usize::try_from(random.below(end as u64 - 64)).expect("small");
        let mut bytes = good.clone();
        bytes[at] ^= 1 << random.below(8);
        std::fs::write(log, &bytes).expect("it is written");
        let found = check(place.path()).expect_err("the damage is found").to_string();
        assert!(
            found.contains("00000001.log") || found.contains("segment 1"),
            "byte {at}: {found}"
        );
    }
    std::fs::write(log, &good).expect("it is written");
    check(place.path()).expect("the store is good again");
}
