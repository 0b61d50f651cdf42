//! A service on the reference model, with one root client.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "every test file uses some of it, and a failure is a failed test"
)]

use std::sync::Arc;

use ledger::{
    AccountId, Amount, AssetName, ClientId, HoldTerms, Micros, Notes, Owner, Posting, Purpose, Scopes,
    TransactionId,
};
use service::auth::CLIENT_SCOPES;
use service::{
    Caller, Clock, Config, CreateAccount, CreateClient, CreateKey, Credentials, Idempotency, PostTransaction,
    Problem, Service, TransactionDone,
};
use store::model::Model;

/// 2026-11-20T10:39:00Z.
pub const START: Micros = Micros(1_795_171_140_000_000);

pub struct World {
    pub service: Service,
    pub root: ClientId,
    /// The root, with every scope.
    pub caller: Caller,
    pub key: Credentials,
    pub external: AccountId,
    pub main: AccountId,
}

pub fn named(text: &str) -> Idempotency {
    Idempotency {
        header_key: Some(text.to_owned()),
    }
}

pub fn unnamed() -> Idempotency {
    Idempotency::default()
}

impl World {
    pub async fn new() -> Self {
        let clock = Clock::manual(START);
        let time = clock.clone();
        let store = Arc::new(Model::new(move || time.now()));
        let config = Config {
            batch_items: 5,
            postings: 3,
            ..Config::default()
        };
        let service = Service::new(store, config, clock);
        service.initialise(6).await.unwrap();
        let root = root(&service, "Acme").await;
        let made = service
            .create_key(&Caller::server(), new_key(Some(root), CLIENT_SCOPES), unnamed())
            .await;
        let key = made.unwrap().value.credentials.unwrap();
        let caller = service.authenticate_token(&key.token()).await.unwrap();
        let mut world = Self {
            service,
            root,
            caller,
            key,
            external: AccountId(0),
            main: AccountId(0),
        };
        world.external = world.account(Purpose::External).await;
        world.main = world.account(Purpose::Main).await;
        world
    }

    pub async fn account(&self, purpose: Purpose) -> AccountId {
        let made = self
            .service
            .create_account(&self.caller, new_account(self.root, purpose), unnamed())
            .await;
        made.unwrap().value.id
    }

    /// A caller of the root with these scopes.
    pub async fn with(&self, scopes: Scopes) -> Caller {
        let made = self
            .service
            .create_key(&self.caller, new_key(Some(self.root), scopes), unnamed())
            .await;
        let key = made.unwrap().value.credentials.unwrap();
        self.service.authenticate_token(&key.token()).await.unwrap()
    }

    pub async fn post(&self, input: PostTransaction, key: Idempotency) -> Result<TransactionDone, Problem> {
        self.service.post(&self.caller, input, key).await
    }

    /// `amount` cents from outside to the main account.
    pub fn deposit(&self, amount: u128) -> PostTransaction {
        transaction(&[(self.external, self.main, amount)])
    }

    /// `amount` cents from the main account to outside.
    pub fn payout(&self, amount: u128) -> PostTransaction {
        transaction(&[(self.main, self.external, amount)])
    }

    pub async fn settled(&self) -> i128 {
        let found = self.service.account(&self.caller, self.main).await.unwrap().value;
        found
            .balances
            .first()
            .map_or(0, |balance| balance.counters.settled())
    }
}

pub async fn root(service: &Service, name: &str) -> ClientId {
    let made = service
        .create_client(&Caller::server(), new_client(name), unnamed())
        .await;
    made.unwrap().value.id
}

pub fn new_client(name: &str) -> CreateClient {
    CreateClient {
        legal_name: name.to_owned(),
        ..CreateClient::default()
    }
}

pub fn new_key(client: Option<ClientId>, scopes: Scopes) -> CreateKey {
    CreateKey {
        client,
        label: String::new(),
        scopes,
        expires_at: None,
    }
}

pub fn new_account(client: ClientId, purpose: Purpose) -> CreateAccount {
    CreateAccount {
        owner: Owner::Client(client),
        purpose,
        label: String::new(),
        currency: None,
        primary: false,
        limits: Vec::new(),
        notes: Notes::default(),
    }
}

/// Postings in US cents.
pub fn transaction(postings: &[(AccountId, AccountId, u128)]) -> PostTransaction {
    let posting = |(from, to, amount): &(AccountId, AccountId, u128)| Posting {
        from: *from,
        to: *to,
        asset: AssetName::parse("USD").unwrap(),
        amount: Amount::new(*amount).unwrap(),
    };
    PostTransaction {
        id: None,
        postings: postings.iter().map(posting).collect(),
        reference: None,
        effective_at: None,
        hold: None,
        force: false,
        notes: Notes::default(),
    }
}

pub fn with_id(input: PostTransaction, id: u128) -> PostTransaction {
    PostTransaction {
        id: Some(TransactionId(id)),
        ..input
    }
}

pub fn held(input: PostTransaction, expires_at: Option<Micros>) -> PostTransaction {
    PostTransaction {
        hold: Some(HoldTerms { expires_at }),
        ..input
    }
}

/// The code of a recorded refusal, and whether it is a replay, and whether it is about the subject.
pub fn refusal(problem: &Problem) -> (&'static str, bool, bool) {
    match problem {
        Problem::Rejected(refusal) => (
            refusal.rejection.code.as_str(),
            refusal.replayed,
            refusal.of_subject,
        ),
        other => panic!("this is no refusal: {other:?}"),
    }
}

/// The field of a bad request.
pub fn field(problem: &Problem) -> &str {
    match problem {
        Problem::BadRequest {
            field: Some(field), ..
        } => field,
        other => panic!("this is no bad field: {other:?}"),
    }
}
