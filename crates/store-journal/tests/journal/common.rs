//! What the tests share: options for small files, and a small world in one book.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, ClientId, Command, Findable, Fingerprint, HoldTerms, Key,
    Lookup, Micros, NewAccount, NewClient, Notes, Owner, Posting, Purpose, Texts, Transaction, TransactionId,
    fingerprint,
};
use store::suite::{Random, now};
use store_journal::log::LogOptions;
use store_journal::{JournalStore, Options, Report, VerifyError, create, folder, verify};

pub(crate) const ROOT: ClientId = ClientId(1);
pub(crate) const BOOK: BookNo = BookNo(1);

pub(crate) fn options() -> Options {
    let mut options = Options::new(Arc::new(now));
    options.log = LogOptions::small();
    // Nearly always one under way.
    options.snapshot_every = Some(4 << 10);
    options
}

pub(crate) fn open(path: &Path) -> JournalStore {
    let disk = folder(path, true).expect("the folder is there");
    if !path.join("signing.key").exists() {
        create(&disk, &options(), "here").expect("a store is made");
    }
    JournalStore::open(disk, options(), "here").expect("the store opens")
}

pub(crate) fn check(path: &Path) -> Result<Report, VerifyError> {
    let disk = folder(path, false).expect("the folder is there");
    verify(&disk, &options(), "here", |_| {})
}

pub(crate) fn command(book: BookNo, client: Option<ClientId>, id: u128, action: Action) -> Command {
    Command {
        book,
        client,
        key: Key::Id(id.into()),
        fingerprint: Fingerprint::default(),
        stamp: now(),
        action,
    }
}

pub(crate) fn world() -> Vec<Command> {
    let client = NewClient {
        id: ROOT,
        parent: None,
        legal_name: ledger::Text::new(*b"Root"),
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

pub(crate) fn account(n: u64) -> Command {
    let id = 1000 + u128::from(n);
    let account = NewAccount {
        id: AccountId(id),
        owner: Owner::Client(ROOT),
        purpose: if n == 0 { Purpose::External } else { Purpose::Main },
        label: ledger::Text::new(*b"an account"),
        currency: None,
        primary: n.is_multiple_of(7),
        limits: Vec::new(),
        notes: Notes::default(),
    };
    command(BOOK, Some(ROOT), id, Action::CreateAccount(account))
}

pub(crate) fn post(random: &mut Random, accounts: u64) -> Command {
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
    let reference = random.percent(30).then(|| {
        Findable::new(
            Lookup([u8::try_from(random.below(5)).expect("small"); 16]),
            b"sealed",
        )
    });
    let transaction = Transaction {
        id: TransactionId(id),
        postings: [posting].into_iter().collect(),
        texts: Texts::new(None, reference, Notes::default()),
        effective_at: random
            .percent(20)
            .then(|| Micros(i64::try_from(random.below(1 << 50)).expect("small"))),
        hold: random.percent(20).then_some(HoldTerms { expires_at: None }),
        force: false,
    };
    let action = Action::Post(transaction);
    Command {
        fingerprint: fingerprint(&action, true, &[7; 32]),
        ..command(BOOK, Some(ROOT), id, action)
    }
}

pub(crate) fn files(path: &Path, ending: &str) -> Vec<PathBuf> {
    let names = std::fs::read_dir(path)
        .expect("the folder is there")
        .map(|file| file.expect("a file").path());
    let mut files: Vec<_> = names
        .filter(|file| file.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    files
}
