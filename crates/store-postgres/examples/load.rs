//! Loads transfers into a new store and says how fast: `cargo run --release -p store-postgres --example load -- URL CLIENTS
//! BATCH SECONDS ACCOUNTS`. Each client sends a batch, waits for the answer, and sends the next; with 2 accounts both are hot.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, ClientId, Command, Fingerprint, Key, Micros, NewAccount,
    NewClient, Notes, Owner, Posting, Purpose, Transaction, TransactionId,
};
use store::{Outcome, Store};
use store_postgres::{Options, PostgresStore, Url, create};

type Failure = Box<dyn Error + Send + Sync>;

const ROOT: ClientId = ClientId(1);
const BOOK: BookNo = BookNo(1);

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
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

fn account(no: u64) -> AccountId {
    AccountId(1_000 + u128::from(no))
}

fn transfer(id: u128, accounts: u64) -> Command {
    // Spread by a hash, so that it is random enough.
    let hash = blake3::hash(&id.to_be_bytes());
    let pick = |at: usize| u64::from_le_bytes(hash.as_bytes()[at..at + 8].try_into().expect("eight bytes"));
    let from = pick(0) % accounts;
    let posting = Posting {
        from: account(from),
        to: account((from + 1 + pick(8) % (accounts - 1)) % accounts),
        asset: AssetName::parse("USD").expect("a currency"),
        amount: Amount::new(1).expect("one"),
    };
    let transaction = Transaction {
        id: TransactionId(u128::from_le_bytes(hash.as_bytes()[16..].try_into().expect("sixteen bytes")) >> 1),
        postings: [posting].into_iter().collect(),
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    };
    command(BOOK, Some(ROOT), transaction.id.0, Action::Post(transaction))
}

async fn make(store: &PostgresStore, accounts: u64) -> Result<(), Failure> {
    let client = NewClient {
        id: ROOT,
        parent: None,
        legal_name: ledger::Text::new(*b"Load"),
        time_zone: "UTC".into(),
        notes: Notes::default(),
    };
    let initialise = command(
        BookNo::OPERATOR,
        None,
        9,
        Action::Initialise { rlusd_exponent: 6 },
    );
    let root = command(BookNo::OPERATOR, None, ROOT.0, Action::CreateClient(client));
    let open = |no| {
        let new = NewAccount {
            id: account(no),
            owner: Owner::Client(ROOT),
            // No floor: every transfer is accepted.
            purpose: Purpose::External,
            label: ledger::Text::new(*b""),
            currency: None,
            primary: false,
            limits: Vec::new(),
            notes: Notes::default(),
        };
        command(BOOK, Some(ROOT), account(no).0, Action::CreateAccount(new))
    };
    let opens: Vec<_> = (0..accounts).map(open).collect();
    let mut batches = vec![vec![initialise, root]];
    batches.extend(opens.chunks(500).map(<[Command]>::to_vec));
    for batch in batches {
        for outcome in store.submit(batch).await {
            outcome?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = Url::parse(&arguments.next().ok_or("name a database")?)?;
    let mut number = |otherwise: u64| arguments.next().map_or(Ok(otherwise), |text| text.parse());
    let (clients, batch, seconds, accounts) = (number(256)?, number(1)?, number(10)?, number(10_000)?);
    let options = Options::new(Arc::new(now));
    create(&url, &options).await?;
    let store = Arc::new(PostgresStore::open(&url, options).await?);
    make(&store, accounts).await?;
    let (next, done) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let tasks = (0..clients).map(|_| {
        let (store, next, done) = (Arc::clone(&store), Arc::clone(&next), Arc::clone(&done));
        tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while Instant::now() < end {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                let commands = (first..first + batch)
                    .map(|id| transfer(u128::from(id), accounts))
                    .collect();
                let asked = Instant::now();
                for outcome in store.submit(commands).await {
                    assert!(matches!(outcome, Ok(Outcome::Recorded(_))), "{outcome:?}");
                }
                slowest = slowest.max(asked.elapsed());
                done.fetch_add(batch, Ordering::Relaxed);
            }
            slowest
        })
    });
    let mut slowest = Duration::ZERO;
    for task in tasks.collect::<Vec<_>>() {
        slowest = slowest.max(task.await?);
    }
    let done = u128::from(done.load(Ordering::Relaxed));
    let rate = done * 1_000 / begun.elapsed().as_millis().max(1);
    println!(
        "{clients} clients, batches of {batch}, {accounts} accounts: {done} transfers, {rate}/s, slowest {slowest:?}"
    );
    store.close().await?;
    Ok(())
}
