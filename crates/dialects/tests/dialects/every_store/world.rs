//! A server without sockets: requests go through the same checks and wire formats as real ones.

use std::any::Any;
use std::sync::Arc;

use dialects::{Body, Config, Method, Request, Router};
use ledger::{
    AccountId, Amount, AssetName, ClientId, CustomerId, Decimal, HoldTerms, LimitChange, Micros, Notes,
    Owner, Posting, Postings, Purpose, Rate, Scopes, TransactionId,
};
use service::{
    Caller, Clock, CreateAccount, CreateClient, CreateCustomer, CreateKey, Credentials, Idempotency,
    PostTransaction, Service, TransactionDone,
};

use super::open;

/// 2026-11-20T10:39:00Z.
pub(crate) const START: Micros = Micros(1_795_171_140_000_000);

pub(crate) struct World {
    pub(crate) service: Arc<Service>,
    pub(crate) router: Router,
    pub(crate) clock: Clock,
    pub(crate) root: ClientId,
    /// The root's caller and key, with every scope.
    pub(crate) caller: Caller,
    pub(crate) key: Credentials,
    pub(crate) external: AccountId,
    _place: Box<dyn Any>,
}

/// An answer with its body as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Checks status and body at once, so that a failure shows both.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &str) -> &Self {
        assert_eq!(
            (self.status, self.body.as_str()),
            (status, body),
            "{:?}",
            self.headers
        );
        self
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With this configuration.
    pub(crate) async fn with(config: &str) -> Self {
        let config = Config::from_toml(config).unwrap();
        let clock = Clock::manual(START);
        let (store, place) = open(clock.clone()).await;
        let service = Arc::new(Service::new(store, config.service.clone(), clock.clone()));
        service.initialise(6).await.unwrap();
        let router = Router::new(config);
        let operator = Caller::server();
        let root = create_client(&service, &operator, None, "Acme \"Pay\" GmbH").await;
        let key = create_key(&service, &operator, root, service::auth::CLIENT_SCOPES).await;
        let caller = service.authenticate_token(&key.token()).await.unwrap();
        let mut world = Self {
            service,
            router,
            clock,
            root,
            caller,
            key,
            external: AccountId(0),
            _place: place,
        };
        world.external = world.account(Owner::Client(root), Purpose::External, None).await;
        world
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let request = Request::new(
            Method::parse(method),
            path,
            query,
            &headers,
            Body::Whole(body.as_bytes()),
        );
        let mut response = dialects::answer(&self.service, &self.router, "req-1", request, None).await;
        let mut sent = Vec::from(response.body);
        if let Some(rest) = &mut response.rest {
            while let Some(part) = rest.next().await.unwrap() {
                sent.extend(part);
            }
        }
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let answer = Answer {
            status: response.status,
            headers: headers.collect(),
            body: String::from_utf8(sent).unwrap(),
        };
        // What every answer has, whatever it is about.
        assert_eq!(answer.header("x-request-id"), Some("req-1"));
        assert_eq!(answer.status == 401, answer.header("www-authenticate").is_some());
        assert_eq!(answer.status == 405, answer.header("allow").is_some());
        assert!(![429, 503].contains(&answer.status) || answer.header("retry-after").is_some());
        super::contract::check(&self.router, method, path, body, &answer);
        answer
    }

    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", target, headers, "").await
    }

    pub(crate) async fn subsidiary(&self, name: &str) -> ClientId {
        create_client(&self.service, &self.caller, None, name).await
    }

    /// Another root client with its own book, and a key for it with every scope.
    pub(crate) async fn stranger(&self) -> Credentials {
        let operator = Caller::server();
        let root = create_client(&self.service, &operator, None, "Stranger").await;
        create_key(&self.service, &operator, root, service::auth::CLIENT_SCOPES).await
    }

    pub(crate) async fn key(&self, client: ClientId, scopes: Scopes) -> Credentials {
        create_key(&self.service, &self.caller, client, scopes).await
    }

    pub(crate) async fn revoke(&self, key: &Credentials) {
        let caller = self.service.authenticate_token(&key.token()).await.unwrap();
        let id = caller.key.unwrap().id;
        self.service
            .revoke_key(&self.caller, id, Idempotency::default())
            .await
            .unwrap();
    }

    pub(crate) async fn customer(&self, name: &str, number: Option<i64>) -> CustomerId {
        let input = CreateCustomer {
            legal_name: name.to_owned(),
            number,
            ..CreateCustomer::default()
        };
        let made = self
            .service
            .create_customer(&self.caller, input, Idempotency::default())
            .await;
        made.unwrap().value.id
    }

    pub(crate) async fn account(&self, owner: Owner, purpose: Purpose, currency: Option<&str>) -> AccountId {
        self.account_with(owner, purpose, currency, Vec::new()).await
    }

    pub(crate) async fn account_with(
        &self,
        owner: Owner,
        purpose: Purpose,
        currency: Option<&str>,
        limits: Vec<LimitChange>,
    ) -> AccountId {
        let input = CreateAccount {
            owner,
            purpose,
            label: String::new(),
            currency: currency.map(asset),
            primary: false,
            limits,
            notes: Notes::default(),
        };
        let made = self
            .service
            .create_account(&self.caller, input, Idempotency::default())
            .await;
        made.unwrap().value.id
    }

    pub(crate) async fn post(
        &self,
        from: AccountId,
        to: AccountId,
        name: &str,
        amount: u128,
    ) -> TransactionDone {
        self.send(transaction(from, to, name, amount)).await
    }

    pub(crate) async fn force(
        &self,
        from: AccountId,
        to: AccountId,
        name: &str,
        amount: u128,
    ) -> TransactionDone {
        let mut input = transaction(from, to, name, amount);
        input.force = true;
        self.send(input).await
    }

    pub(crate) async fn hold(
        &self,
        from: AccountId,
        to: AccountId,
        name: &str,
        amount: u128,
    ) -> TransactionId {
        let mut input = transaction(from, to, name, amount);
        input.hold = Some(HoldTerms::default());
        self.send(input).await.booked().unwrap().id
    }

    async fn send(&self, input: PostTransaction) -> TransactionDone {
        self.service
            .post(&self.caller, input, Idempotency::default())
            .await
            .unwrap()
    }

    /// Puts a rate of this book: `1.0832` units of the quote for one of the base, as of the start.
    pub(crate) async fn rate(&self, base: &str, quote: &str, rate: &str) {
        let scale = rate.split_once('.').map_or(0, |(_, places)| places.len());
        let rate = Rate {
            base: asset(base),
            quote: asset(quote),
            rate: Decimal {
                digits: rate.replace('.', "").parse().unwrap(),
                scale: scale as u8,
            },
            as_of: START,
            source: "test".into(),
        };
        self.service
            .put_rates(&self.caller, vec![rate], Idempotency::default())
            .await
            .unwrap();
    }
}

pub(crate) fn asset(name: &str) -> AssetName {
    AssetName::parse(name).unwrap()
}

pub(crate) fn transaction(from: AccountId, to: AccountId, name: &str, amount: u128) -> PostTransaction {
    PostTransaction {
        id: None,
        postings: Postings::from_buf([Posting {
            from,
            to,
            asset: asset(name),
            amount: Amount::new(amount).unwrap(),
        }]),
        reference: None,
        effective_at: None,
        hold: None,
        force: false,
        notes: Notes::default(),
    }
}

async fn create_client(service: &Service, caller: &Caller, parent: Option<ClientId>, name: &str) -> ClientId {
    let input = CreateClient {
        parent,
        legal_name: name.to_owned(),
        ..CreateClient::default()
    };
    let made = service.create_client(caller, input, Idempotency::default()).await;
    made.unwrap().value.id
}

async fn create_key(service: &Service, caller: &Caller, client: ClientId, scopes: Scopes) -> Credentials {
    let input = CreateKey {
        client: Some(client),
        label: String::new(),
        scopes,
        expires_at: None,
    };
    let made = service.create_key(caller, input, Idempotency::default()).await;
    made.unwrap().value.credentials.unwrap()
}
