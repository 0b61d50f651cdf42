//! What `cargo xtask count` counts the instructions of: `counted SUBJECT TIMES` does one thing so many times, each time in
//! [`here_it_counts`], where valgrind is told to look. All else, such as making the books, is left out.

use std::fmt::Debug;
use std::sync::Arc;

use dialects::spelling::{Prefix, ksuid, typeid, uuid};
use dialects::{Body, Config, Method, Request, Router};
use ledger::{
    AccountId, Action, Amount, AssetName, BookNo, Capture, ClientId, Command, Completeness, CustomerId,
    Decision, Fingerprint, HoldTerms, Key, Micros, NewAccount, NewClient, Notes, Owner, Posting, Postings,
    Purpose, State, Transaction, TransactionId, apply, decide, encode,
};
use service::{
    Caller, Clock, CreateAccount, CreateClient, CreateCustomer, CreateKey, Credentials, Idempotency,
    PostTransaction, Service,
};
use store_journal::{JournalStore, Options, create, folder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever went wrong, as it is written for programmers. It is not `Debug` itself, so that every other failure becomes one.
struct Failure(String);

impl<E: Debug> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(format!("{error:?}"))
    }
}

/// Accounts of the pure core's book.
const ACCOUNTS: u128 = 1_000;
/// Transactions of the batch.
const BATCH: u128 = 100;
/// 2026-11-20T10:39:00Z.
const START: Micros = Micros(1_795_171_140_000_000);
const ROOT: ClientId = ClientId(1);

/// The one function whose instructions are counted.
#[inline(never)]
fn here_it_counts(work: &mut dyn FnMut()) {
    work();
}

/// The pure core: a book in memory, decided on and applied to as a store does it.
struct Core {
    state: State,
    canonical: Vec<u8>,
    stamp: Micros,
    next: u128,
}

impl Core {
    fn new() -> Self {
        let mut core = Self {
            state: State::new(Completeness::Everything),
            canonical: Vec::new(),
            stamp: START,
            next: 1 << 64,
        };
        core.state.book_mut(BookNo::OPERATOR);
        core.take(
            BookNo::OPERATOR,
            None,
            7,
            Action::Initialise { rlusd_exponent: 6 },
        );
        let client = NewClient {
            id: ROOT,
            parent: None,
            legal_name: ledger::Text::new(*b"Counted"),
            time_zone: "UTC".into(),
            notes: Notes::default(),
        };
        core.take(BookNo::OPERATOR, None, ROOT.0, Action::CreateClient(client));
        for id in 1..=ACCOUNTS {
            let account = NewAccount {
                id: AccountId(id),
                owner: Owner::Client(ROOT),
                purpose: Purpose::External,
                label: ledger::Text::default(),
                currency: None,
                primary: false,
                limits: Vec::new(),
                notes: Notes::default(),
            };
            core.take(BookNo(1), Some(ROOT), id, Action::CreateAccount(account));
        }
        core
    }

    /// Decides a command, encodes its record and applies it.
    fn take(&mut self, book: BookNo, client: Option<ClientId>, id: u128, action: Action) {
        self.stamp = self.stamp.plus(10);
        let command = Command {
            book,
            client,
            key: Key::Id(id.into()),
            fingerprint: Fingerprint::default(),
            stamp: self.stamp,
            action,
        };
        let Decision::Decided(decided) = decide(&self.state, &command) else {
            panic!("{id} is not decided");
        };
        let record = Arc::new(decided.into_record(command));
        self.canonical.clear();
        encode(&record, &mut self.canonical);
        apply(&mut self.state, &record);
        assert!(record.outcome.is_ok(), "{:?}", record.outcome);
    }

    /// Posts, or holds, between two accounts; answers the id.
    fn post(&mut self, hold: Option<HoldTerms>) -> TransactionId {
        self.next += 1;
        let (id, nth) = (TransactionId(self.next), self.next % (ACCOUNTS - 1));
        let transaction = Transaction {
            id,
            postings: posting(AccountId(nth + 1), AccountId(nth + 2)),
            texts: None,
            effective_at: None,
            hold,
            force: false,
        };
        self.take(BookNo(1), Some(ROOT), id.0, Action::Post(transaction));
        id
    }

    fn hold_and_capture(&mut self) {
        let hold = self.post(Some(HoldTerms::default()));
        self.next += 1;
        let capture = Capture {
            id: TransactionId(self.next),
            hold,
            parts: None,
            last: true,
            allow_over: false,
            force: false,
        };
        self.take(BookNo(1), Some(ROOT), self.next, Action::Capture(capture));
    }
}

fn posting(from: AccountId, to: AccountId) -> Postings {
    let asset = AssetName::new("USD", None).expect("USD is an asset");
    let amount = Amount::new(1_050).expect("it is small");
    Postings::from_buf([Posting {
        from,
        to,
        asset,
        amount,
    }])
}

/// A server without sockets, on the embedded store.
struct World {
    service: Arc<Service>,
    router: Router,
    key: Credentials,
    customer: CustomerId,
    external: AccountId,
    main: AccountId,
    card: AccountId,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Result<Self, Failure> {
        let place = tempfile::tempdir()?;
        let clock = Clock::manual(START);
        let now = clock.clone();
        let options = Options::new(Arc::new(move || now.now()));
        let disk = folder(place.path(), true)?;
        create(&disk, &options, "counted")?;
        let store = Arc::new(JournalStore::open(disk, options, "counted")?);
        let often = "rate_limit_per_minute = 1000000";
        let config = Config::from_toml(&format!("[magicline]\n{often}\n[light]\n{often}\n"))?;
        let service = Arc::new(Service::new(store, config.service.clone(), clock));
        service.initialise(6).await?;
        let operator = Caller::server();
        let none = Idempotency::default;
        let root = CreateClient {
            legal_name: "Counted".to_owned(),
            ..CreateClient::default()
        };
        let root = service.create_client(&operator, root, none()).await?.value.id;
        let key = CreateKey {
            client: Some(root),
            label: String::new(),
            scopes: service::auth::CLIENT_SCOPES,
            expires_at: None,
        };
        let key = service
            .create_key(&operator, key, none())
            .await?
            .value
            .credentials;
        let key = key.ok_or("a new key has a secret")?;
        let caller = service.authenticate_token(&key.token()).await?;
        let customer = CreateCustomer {
            legal_name: "Mia Member".to_owned(),
            number: Some(42),
            ..CreateCustomer::default()
        };
        let customer = service.create_customer(&caller, customer, none()).await?.value.id;
        let account = async |owner, purpose, currency: Option<&str>| {
            let input = CreateAccount {
                owner,
                purpose,
                label: String::new(),
                currency: currency.and_then(AssetName::parse),
                primary: false,
                limits: Vec::new(),
                notes: Notes::default(),
            };
            let made = service
                .create_account(&caller, input, Idempotency::default())
                .await?;
            Ok::<_, Failure>(made.value.id)
        };
        let external = account(Owner::Client(root), Purpose::External, None).await?;
        account(Owner::Client(root), Purpose::Main, None).await?;
        let main = account(Owner::Customer(customer), Purpose::Main, None).await?;
        account(Owner::Customer(customer), Purpose::Credit, Some("USD")).await?;
        let card = account(Owner::Customer(customer), Purpose::Card, Some("USD")).await?;
        for to in [main, card] {
            let input = PostTransaction {
                id: None,
                postings: posting(external, to),
                reference: None,
                effective_at: None,
                hold: None,
                force: false,
                notes: Notes::default(),
            };
            service.post(&caller, input, none()).await?;
        }
        let router = Router::new(config);
        Ok(Self {
            service,
            router,
            key,
            customer,
            external,
            main,
            card,
            _folder: place,
        })
    }

    /// A request of a subject: its method, path, headers and body.
    async fn request(&self, subject: &str) -> Result<Asked, Failure> {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let bearer = || header("authorization", format!("Bearer {}", self.key.token()));
        let conduit = || {
            vec![
                header("x-api-key", self.key.api_key()),
                header("x-api-secret", self.key.api_secret()),
            ]
        };
        let (path, headers) = match subject {
            "native" => (
                format!("/api/v1/accounts/{}/balances", uuid(self.main.0)),
                vec![bearer()],
            ),
            "conduit-customer" => (
                format!("/customers/{}/account", ksuid(Prefix::Customer, self.customer.0)),
                conduit(),
            ),
            "conduit-clients" => ("/clients/accounts".to_owned(), conduit()),
            "magicline" => (
                "/v1/customers/42/account/balances".to_owned(),
                vec![header("x-api-key", self.key.token())],
            ),
            "polygon" => (
                format!("/v0.9/customers/{}/balance", typeid(self.customer.0)),
                vec![header(
                    "authorization",
                    format!("Bearer {}", self.polygon_token().await?),
                )],
            ),
            "light" => (
                format!("/v1/card-balance-accounts/{}", uuid(self.card.0)),
                vec![header("authorization", format!("Basic {}", self.key.token()))],
            ),
            other => return Err(format!("{other} is no subject").into()),
        };
        Ok(Asked {
            method: "GET",
            path,
            headers,
            body: String::new(),
        })
    }

    async fn polygon_token(&self) -> Result<String, Failure> {
        let pair = format!(
            r#"{{"apiKey":"{}","apiSecret":"{}"}}"#,
            self.key.api_key(),
            self.key.api_secret()
        );
        let asked = Asked {
            method: "POST",
            path: "/v0.9/auth/token".to_owned(),
            headers: Vec::new(),
            body: pair,
        };
        let (_, body) = self.ask(&asked).await;
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(body["accessToken"].as_str().ok_or("no token")?.to_owned())
    }

    /// A batch of new transactions, the `nth`.
    fn batch(&self, nth: u128) -> Asked {
        let one = |id: u128| {
            format!(
                r#"{{"id":"{}","postings":[{{"from":"{}","to":"{}","asset":"USD","amount":"1050"}}]}}"#,
                uuid(id),
                uuid(self.external.0),
                uuid(self.main.0)
            )
        };
        let first = (1 << 64) + nth * BATCH;
        let all: Vec<_> = (first..first + BATCH).map(one).collect();
        Asked {
            method: "POST",
            path: "/api/v1/transactions/batch".to_owned(),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {}", self.key.token())),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: format!(r#"{{"transactions":[{}]}}"#, all.join(",")),
        }
    }

    async fn ask(&self, asked: &Asked) -> (u16, Vec<u8>) {
        let request = Request::new(
            Method::parse(asked.method),
            &asked.path,
            None,
            &asked.headers,
            Body::Whole(asked.body.as_bytes()),
        );
        let response = dialects::answer(&self.service, &self.router, "req-1", request, None).await;
        (response.status, response.body.into())
    }
}

struct Asked {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn main() {
    if let Err(Failure(why)) = run() {
        panic!("{why}");
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let subject = arguments.next().ok_or("what is to be counted?")?;
    let times: u32 = arguments.next().ok_or("how many times?")?.parse()?;
    match subject.as_str() {
        "ledger-post" => {
            let mut core = Core::new();
            (0..times).for_each(|_| {
                here_it_counts(&mut || {
                    core.post(None);
                });
            });
        }
        "ledger-hold-and-capture" => {
            let mut core = Core::new();
            (0..times).for_each(|_| here_it_counts(&mut || core.hold_and_capture()));
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let world = runtime.block_on(World::new())?;
            for nth in 0..times {
                let asked = match subject.as_str() {
                    "batch" => world.batch(nth.into()),
                    read => runtime.block_on(world.request(read))?,
                };
                let mut answer = (0, Vec::new());
                here_it_counts(&mut || answer = runtime.block_on(world.ask(&asked)));
                let text = String::from_utf8_lossy(&answer.1);
                assert_eq!(answer.0, 200, "{text}");
            }
            runtime.block_on(world.service.store.close())?;
        }
    }
    Ok(())
}
