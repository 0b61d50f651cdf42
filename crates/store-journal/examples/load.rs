//! Loads transfers into a store and says what they cost: `cargo run --release -p store-journal --example load -- FOLDER
//! TRANSFERS ACCOUNTS`. On a folder with a store it opens it, and says how long that took and what a balance at a random
//! past time costs.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, ClientId, Command, Fingerprint, Key, Micros, NewAccount,
    NewClient, Notes, Owner, Position, Posting, Postings, Purpose, Transaction, TransactionId, fingerprint,
};
use store::{AsOf, Store, Viewer};
use store_journal::{JournalStore, Options, create, folder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

const BATCH: usize = 8_000;
const ROOT: ClientId = ClientId(1);
const BOOK: BookNo = BookNo(1);

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// SplitMix64: random enough for ids and choices.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn command(book: BookNo, client: Option<ClientId>, id: u128, action: Action) -> Command {
    Command {
        book,
        client,
        key: Key::Id(id.into()),
        fingerprint: Fingerprint::default(),
        stamp: now(),
        action,
    }
}

fn transfer(random: &mut Random, accounts: u64) -> Command {
    let id = u128::from(random.next()) << 64 | u128::from(random.next());
    let from = random.below(accounts);
    let to = (from + 1 + random.below(accounts - 1)) % accounts;
    let account = |n: u64| AccountId(1000 + u128::from(n));
    let amount = Amount::new(1 + u128::from(random.below(10_000))).unwrap_or_default();
    let asset = AssetName::new("USD", None).expect("USD is an asset");
    let postings: Postings = [Posting {
        from: account(from),
        to: account(to),
        asset,
        amount,
    }]
    .into_iter()
    .collect();
    let transaction = Transaction {
        id: TransactionId(id),
        postings,
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    };
    let action = Action::Post(transaction);
    Command {
        fingerprint: fingerprint(&action, true, &[7; 32]),
        ..command(BOOK, Some(ROOT), id, action)
    }
}

async fn make_world(store: &JournalStore, accounts: u64) -> Result<(), Failure> {
    let client = NewClient {
        id: ROOT,
        parent: None,
        legal_name: ledger::Text::new(*b"Load"),
        time_zone: "UTC".into(),
        notes: Notes::default(),
    };
    let first = vec![
        command(
            BookNo::OPERATOR,
            None,
            7,
            Action::Initialise { rlusd_exponent: 6 },
        ),
        command(BookNo::OPERATOR, None, 1, Action::CreateClient(client)),
    ];
    store
        .submit(first)
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    for start in (0..accounts).step_by(BATCH) {
        let commands = (start..accounts.min(start + BATCH as u64)).map(|n| {
            let id = 1000 + u128::from(n);
            let account = NewAccount {
                id: AccountId(id),
                owner: Owner::Client(ROOT),
                purpose: Purpose::External,
                label: ledger::Text::new(*b""),
                currency: None,
                primary: false,
                limits: Vec::new(),
                notes: Notes::default(),
            };
            command(BOOK, Some(ROOT), id, Action::CreateAccount(account))
        });
        store
            .submit(commands.collect())
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
    }
    Ok(())
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn disk_bytes(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

async fn load(store: Arc<JournalStore>, transfers: u64, accounts: u64) -> Result<(), Failure> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let feeders = 4;
    for feeder in 0..feeders {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut random = Random(now().0.unsigned_abs() ^ (feeder << 56));
            let mut slowest = Duration::ZERO;
            for _ in 0..transfers / feeders / BATCH as u64 {
                let commands = (0..BATCH).map(|_| transfer(&mut random, accounts)).collect();
                let sent = Instant::now();
                store
                    .submit(commands)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()?;
                slowest = slowest.max(sent.elapsed());
            }
            Ok::<_, store::StoreError>(slowest)
        });
    }
    let mut slowest = Duration::ZERO;
    while let Some(done) = tasks.join_next().await {
        slowest = slowest.max(done??);
    }
    let rate = transfers * 1000 / u64::try_from(start.elapsed().as_millis())?.max(1);
    println!(
        "{transfers} transfers in {:.1?}: {rate} a second; slowest batch {slowest:.1?}",
        start.elapsed()
    );
    Ok(())
}

async fn ask_the_past(store: &JournalStore, accounts: u64) -> Result<(), Failure> {
    let viewer = Viewer {
        book: BOOK,
        client: Some(ROOT),
    };
    let mut random = Random(42);
    let last = store.position(BOOK).await?;
    let mut questions = Vec::new();
    for _ in 0..20_000 {
        let account = AccountId(1000 + u128::from(random.below(accounts)));
        // Whenever some record was made: between two loads there may be hours.
        let before = Position(random.below(last.0));
        let record = store.records(BOOK, before, 1).await?.pop().ok_or("no record")?;
        questions.push((account, record.recorded_at));
    }
    // The second time all that is asked for is in the page cache.
    for round in ["as it comes", "in page cache"] {
        let mut times = Vec::new();
        for (account, at) in &questions {
            let as_of = AsOf {
                recorded_at: Some(*at),
                ..AsOf::NOW
            };
            let asked = Instant::now();
            store.account(viewer, *account, as_of).await?;
            times.push(asked.elapsed());
        }
        times.sort_unstable();
        let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("a balance at a random past time, {round}: median {median:.1?}, p99 {p99:.1?}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which folder?")?;
    let path = Path::new(&path);
    let transfers: u64 = arguments.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let accounts: u64 = arguments.next().map_or(Ok(100_000), |n| n.parse())?;
    let options = Options::new(Arc::new(now));
    let place = path.display().to_string();
    let fresh = !path.join("signing.key").exists();
    let disk = folder(path, true)?;
    if fresh {
        create(&disk, &options, &place)?;
    }
    let start = Instant::now();
    let store = Arc::new(JournalStore::open(disk, options, &place)?);
    println!("opened in {:.2?} ({:?})", start.elapsed(), store.recovery());
    if fresh {
        make_world(&store, accounts).await?;
        println!("{accounts} accounts: {} KiB of memory", memory_kib());
    }
    let before = memory_kib();
    if transfers > 0 {
        load(Arc::clone(&store), transfers, accounts).await?;
    }
    println!(
        "memory {} KiB (before {before}), disk {} MiB",
        memory_kib(),
        disk_bytes(path) >> 20
    );
    ask_the_past(&store, accounts).await?;
    if arguments.next().as_deref() == Some("kill") {
        std::process::abort();
    }
    let start = Instant::now();
    store.close().await?;
    println!(
        "closed in {:.2?}, disk {} MiB",
        start.elapsed(),
        disk_bytes(path) >> 20
    );
    Ok(())
}
