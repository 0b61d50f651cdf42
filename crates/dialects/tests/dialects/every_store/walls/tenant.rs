//! Somebody with something of every kind, and how they ask.

use dialects::spelling::{Prefix, ksuid, typeid, uuid};
use ledger::ClientId;
use serde_json::{Value, json};
use service::{Caller, Credentials};

use super::super::world::{Answer, World};

/// A client with something of every kind.
pub(super) struct Tenant {
    pub(super) name: &'static str,
    key: Credentials,
    signed: String,
    pub(super) caller: Caller,
    /// Each id and its kind.
    pub(super) ids: Vec<(&'static str, u128)>,
    /// The number of its customer.
    pub(super) number: i64,
    /// What is in all its names, labels and notes; its reference and foreign id begin so too.
    pub(super) word: String,
    pub(super) main: String,
}

impl Tenant {
    /// A client of this key, which gets something of every kind.
    pub(super) async fn new(
        world: &World,
        name: &'static str,
        client: ClientId,
        key: Credentials,
        number: i64,
    ) -> Self {
        let caller = world.service.authenticate_token(&key.token()).await.unwrap();
        let signed = world.service.issue_token(&key.api_key(), &key.api_secret()).await;
        let mut tenant = Self {
            name,
            signed: signed.unwrap().token,
            ids: vec![("client", client.0), ("key", caller.key.as_ref().unwrap().id.0)],
            number,
            word: format!("{name}-only"),
            main: String::new(),
            caller,
            key,
        };
        tenant.fill(world, client).await;
        tenant
    }

    async fn fill(&mut self, world: &World, client: ClientId) {
        let word = self.word.clone();
        let client = client.to_string();
        let named = json!({"legalName": word, "externalId": word, "metadata": {"of": word}});
        self.make(world, "PATCH", &format!("/clients/{client}"), named.clone())
            .await;
        let mut customer = named;
        customer["number"] = json!(self.number);
        let customer = self.make(world, "POST", "/customers", customer).await;
        self.keep("customer", &customer);
        let account = |owner: &str, purpose: &str| {
            json!({"ownerId": owner, "purpose": purpose, "label": word, "externalId": word,
                   "currency": if purpose == "card" { json!("USD") } else { Value::Null }})
        };
        let mut opened = Vec::new();
        for (owner, purpose) in [
            (&client, "main"),
            (&client, "external"),
            (&client, "card"),
            (&customer, "main"),
            (&customer, "receivable"),
        ] {
            let mut body = account(owner, purpose);
            body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            opened.push(self.make(world, "POST", "/accounts", body).await);
            self.keep("account", opened.last().unwrap());
        }
        let posting = |from: usize, to: usize, amount: &str| json!({"from": opened[from], "to": opened[to], "asset": "USD", "amount": amount});
        let texts = |mut body: Value| {
            for text in ["reference", "externalId"] {
                body[text] = json!(word);
            }
            body
        };
        let posted =
            texts(json!({"postings": [posting(1, 0, "900"), posting(1, 3, "50"), posting(1, 4, "7")]}));
        let posted = self.make(world, "POST", "/transactions", posted).await;
        self.keep("transaction", &posted);
        for held in [
            vec![posting(0, 3, "5")],
            vec![posting(0, 3, "5"), posting(0, 2, "6")],
        ] {
            let held = texts(json!({"postings": held, "hold": {}}));
            let held = self.make(world, "POST", "/transactions", held).await;
            self.keep("hold", &held);
        }
        self.main = opened.swap_remove(0);
    }

    fn keep(&mut self, kind: &'static str, id: &str) {
        let id = dialects::spelling::parse_uuid(id).unwrap();
        self.ids.push((kind, id));
    }

    /// Makes something by Saldo's own API; answers with its id.
    async fn make(&self, world: &World, method: &str, path: &str, body: Value) -> String {
        let target = format!("/api/v1{path}");
        let answer = self
            .ask(world, "native", method, &target, &body.to_string())
            .await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.body);
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Asks in a wire format, with its own credentials in the form that it takes.
    pub(super) async fn ask(
        &self,
        world: &World,
        dialect: &str,
        method: &str,
        target: &str,
        body: &str,
    ) -> Answer {
        self.ask_with(world, dialect, method, target, &[], body).await
    }

    pub(super) async fn ask_with(
        &self,
        world: &World,
        dialect: &str,
        method: &str,
        target: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let token = self.key.token();
        let mut headers = match dialect {
            "native" => vec![("Authorization", format!("Bearer {token}"))],
            "conduit" => vec![
                ("X-API-Key", self.key.api_key()),
                ("X-API-Secret", self.key.api_secret()),
            ],
            "magicline" => vec![("X-API-Key", token)],
            "polygon" => vec![("Authorization", format!("Bearer {}", self.signed))],
            "light" => vec![("Authorization", format!("Basic {token}"))],
            other => panic!("how does one authenticate with {other}?"),
        };
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        let own = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = own.chain(more.iter().copied()).collect();
        world.ask(method, target, &headers, body).await
    }

    /// The public half of its key.
    pub(super) fn api_key(&self) -> String {
        self.key.api_key()
    }

    /// Whatever would give away that it is there: its ids in every spelling, and its word.
    pub(super) fn traces(&self) -> Vec<String> {
        let spelled = self.ids.iter().flat_map(|(_, id)| spellings(*id));
        spelled.chain([self.word.clone()]).collect()
    }
}

/// An id in every spelling.
pub(super) fn spellings(id: u128) -> [String; 5] {
    let of = |prefix| ksuid(prefix, id).to_string();
    [
        uuid(id).to_string(),
        of(Prefix::Customer),
        of(Prefix::Account),
        of(Prefix::Client),
        typeid(id).to_string(),
    ]
}

/// An id as a wire format takes it; a customer's number where that takes numbers.
pub(super) fn spelled(dialect: &str, id: u128) -> Vec<String> {
    let [uuid, customer, account, client, typeid] = spellings(id);
    match dialect {
        "native" => vec![uuid, account, typeid],
        "conduit" => vec![customer, client],
        "polygon" => vec![typeid],
        "light" => vec![uuid],
        other => panic!("how does {other} spell ids?"),
    }
}
