//! What a load needs: a client of its own with funded accounts, and a key for it. Made through the API, found again later.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use dialects::spelling::{self, Prefix};
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::wire::{Connection, Target, bearer, request};
use crate::failure::Failure;

/// By this external id the client of earlier runs is found again.
const CLIENT: &str = "saldo-bench";
/// What each account begins with, in minor units: no load empties it.
const FUNDS: &str = "1000000000000000";
/// How many accounts are made at once.
const MAKERS: usize = 64;
/// Of a page and of a batch.
const ITEMS: usize = 1_000;

/// A UUID as it stands in JSON.
pub(super) type Uuid = [u8; 36];

/// Where the load goes.
pub(super) struct World {
    /// The key for `accounts`; it ends with the run.
    pub(super) token: String,
    key: String,
    pub(super) accounts: Vec<Uuid>,
    /// The key's other spelling: a name and a secret.
    pub(super) pair: [String; 2],
    /// What Polygon's format takes in place of the key; empty where nothing is asked in it.
    pub(super) polygon_token: String,
    /// Customers, where some are asked for.
    pub(super) members: Vec<Member>,
    /// How far the book was before the load.
    pub(super) position: u64,
}

/// A customer in each vendor's spelling; with a `main` account, one for `credit` and a `card` account.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) ksuid: String,
    pub(super) typeid: String,
    /// Seven digits.
    pub(super) number: String,
    pub(super) card: Uuid,
}

/// How many customers are asked for at most.
const MEMBERS: usize = 1_000;
/// The number of the first of them.
const FIRST_NUMBER: usize = 1_000_000;

/// Somebody who asks one server.
struct Asker<'a> {
    target: &'a Target,
    token: &'a str,
    connection: Connection,
}

impl<'a> Asker<'a> {
    async fn new(target: &'a Target, token: &'a str) -> Result<Self, Failure> {
        let connection = Connection::open(target.address)
            .await
            .map_err(|error| Failure::while_doing(&format!("connecting to http://{}", target.host), error))?;
        Ok(Self {
            target,
            token,
            connection,
        })
    }

    /// Asks for something under `/api/v1`; anything but success is a failure.
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        self.ask_at(method, &format!("/api/v1{path}"), body).await
    }

    /// Makes something once, however often it is asked for under this key.
    async fn make(&mut self, key: &str, path: &str, body: Value) -> Result<Value, Failure> {
        let headers = format!("{}Idempotency-Key: {key}\r\n", bearer(self.token));
        self.ask_with("POST", &format!("/api/v1{path}"), &headers, Some(body))
            .await
    }

    async fn ask_at(&mut self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        self.ask_with(method, path, &bearer(self.token), body).await
    }

    async fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let asked = format!("{method} http://{}{path}", self.target.host);
        let failed = |error: &dyn fmt::Display| Failure::while_doing(&asked, error);
        let body = body.map_or(String::new(), |body| body.to_string());
        let bytes = request(method, path, &self.target.host, headers, &body);
        let answer = self
            .connection
            .exchange(&bytes)
            .await
            .map_err(|error| failed(&error))?;
        if !(200..300).contains(&answer.status) {
            let why = String::from_utf8_lossy(answer.body);
            return Err(failed(&format_args!("{} {why}", answer.status)));
        }
        match answer.body {
            b"" => Ok(Value::Null),
            body => serde_json::from_slice(body).map_err(|error| failed(&error)),
        }
    }

    /// All items of a list.
    async fn list(&mut self, path: &str) -> Result<Vec<Value>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let and = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut page = self
                .ask("GET", &format!("{path}{and}limit={ITEMS}{cursor}"), None)
                .await?;
            if let Some(more) = page["items"].as_array_mut() {
                items.append(more);
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }
}

fn text(value: &Value, name: &str) -> Result<String, Failure> {
    let found = value[name].as_str().map(str::to_owned);
    found.ok_or_else(|| Failure::new(format!("the server's answer has no {name}: is it Saldo? {value}")))
}

/// Makes the world as far as it is not there yet. `token` is an operator's, or an administrator's of a root client.
pub(super) async fn make(
    target: &Target,
    token: &str,
    accounts: usize,
    has_members: bool,
    bar: &ProgressBar,
) -> Result<World, Failure> {
    let mut admin = Asker::new(target, token).await?;
    let mut found = admin.list(&format!("/clients?externalId={CLIENT}")).await?;
    let client = match found.pop() {
        Some(client) => client,
        None => {
            let client = json!({"legalName": "Load test", "externalId": CLIENT});
            admin.ask("POST", "/clients", Some(client)).await?
        }
    };
    let client = text(&client, "id")?;
    let key = json!({"label": "saldo bench", "scopes": ["read", "post", "admin", "CUSTOMER_ACCOUNT_READ"]});
    let key = admin
        .ask("POST", &format!("/clients/{client}/keys"), Some(key))
        .await?;
    let pair = [text(&key, "apiKey")?, text(&key, "apiSecret")?];
    let (token, key) = (text(&key, "token")?, text(&key, "id")?);

    let mut asker = Asker::new(target, &token).await?;
    let (mut external, mut mains) = (None, Vec::new());
    for account in asker.list(&format!("/accounts?ownerId={client}")).await? {
        let id = text(&account, "id")?;
        match account["purpose"].as_str() {
            Some("external") => external = Some(id),
            _ => mains.push(id),
        }
    }
    let external = match external {
        Some(id) => id,
        None => {
            let external = json!({"ownerId": client, "purpose": "external"});
            text(&asker.ask("POST", "/accounts", Some(external)).await?, "id")?
        }
    };
    mains.truncate(accounts);
    bar.set_length(accounts as u64);
    bar.set_position(mains.len() as u64);
    mains.append(&mut open(target, &token, &client, accounts - mains.len(), bar).await?);
    for some in mains.chunks(ITEMS) {
        fund(&mut asker, &external, some).await?;
    }
    let (mut members, mut polygon_token) = (Vec::new(), String::new());
    if has_members {
        members = make_members(target, &mut asker, &external, accounts.min(MEMBERS), bar).await?;
        let pair = json!({"apiKey": pair[0], "apiSecret": pair[1]});
        let made = asker.ask_at("POST", "/v0.9/auth/token", Some(pair)).await?;
        polygon_token = text(&made, "accessToken")?;
    }
    let balances = asker
        .ask("GET", &format!("/accounts/{external}/balances"), None)
        .await?;
    let ids = mains.iter().map(|id| id.as_bytes().try_into().ok());
    Ok(World {
        position: balances["position"].as_u64().unwrap_or(1),
        accounts: ids
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::new("the server's ids are no UUIDs: is it Saldo?"))?,
        token,
        key,
        pair,
        polygon_token,
        members,
    })
}

/// The card accounts among these.
fn cards(accounts: &[Value]) -> impl Iterator<Item = &Value> {
    accounts.iter().filter(|account| account["purpose"] == "card")
}

/// Makes customers with accounts, as far as they are not there yet.
async fn make_members(
    target: &Target,
    asker: &mut Asker<'_>,
    external: &str,
    count: usize,
    bar: &ProgressBar,
) -> Result<Vec<Member>, Failure> {
    let there = cards(&asker.list("/accounts").await?).count();
    // A run that was interrupted may have left any of them half made: each is asked for under a key of its own.
    let missing = if there < count { 0..count } else { 0..0 };
    let (left, token) = (RefCell::new(missing), asker.token);
    bar.set_length(count as u64);
    bar.set_position(0);
    let makers = (0..MAKERS).map(|_| async {
        let mut asker = Asker::new(target, token).await?;
        while let Some(nth) = { left.borrow_mut().next() } {
            let customer = json!({"legalName": format!("Member {nth}"), "number": FIRST_NUMBER + nth});
            let made = asker
                .make(&format!("saldo-bench-{nth}"), "/customers", customer)
                .await?;
            let customer = text(&made, "id")?;
            for purpose in ["main", "credit", "card"] {
                let account = json!({"ownerId": customer, "purpose": purpose, "currency": "USD"});
                asker
                    .make(&format!("saldo-bench-{nth}-{purpose}"), "/accounts", account)
                    .await?;
            }
            bar.inc(1);
        }
        Ok::<_, Failure>(())
    });
    try_join_all(makers).await?;
    let (customers, accounts) = (asker.list("/customers").await?, asker.list("/accounts").await?);
    let number_of: HashMap<_, _> = customers
        .iter()
        .map(|one| (one["id"].as_str(), &one["number"]))
        .collect();
    let (mut members, mut funded) = (Vec::new(), Vec::new());
    for account in cards(&accounts).take(count) {
        let (owner, card) = (text(account, "ownerId")?, text(account, "id")?);
        let no_uuid = || Failure::new(format!("the server's ids are no UUIDs: is it Saldo? {account}"));
        let id = spelling::parse_uuid(&owner).map_err(|_| no_uuid())?;
        let number = number_of.get(&Some(&*owner)).and_then(|number| number.as_i64());
        members.push(Member {
            ksuid: spelling::ksuid(Prefix::Customer, id).to_string(),
            typeid: spelling::typeid(id).to_string(),
            number: format!("{:07}", number.unwrap_or_default()),
            card: card.as_bytes().try_into().map_err(|_| no_uuid())?,
        });
    }
    for account in &accounts {
        if number_of.contains_key(&account["ownerId"].as_str()) {
            funded.push(text(account, "id")?);
        }
    }
    for some in funded.chunks(ITEMS) {
        fund(asker, external, some).await?;
    }
    Ok(members)
}

/// Opens accounts, many at once.
async fn open(
    target: &Target,
    token: &str,
    client: &str,
    count: usize,
    bar: &ProgressBar,
) -> Result<Vec<String>, Failure> {
    let (left, made) = (RefCell::new(0..count), RefCell::new(Vec::with_capacity(count)));
    let makers = (0..MAKERS.min(count)).map(|_| async {
        let mut asker = Asker::new(target, token).await?;
        // The borrow ends with the line: nobody holds it across an await.
        while let Some(_one) = { left.borrow_mut().next() } {
            let account = json!({"ownerId": client, "purpose": "main"});
            let account = asker.ask("POST", "/accounts", Some(account)).await?;
            made.borrow_mut().push(text(&account, "id")?);
            bar.inc(1);
        }
        Ok::<_, Failure>(())
    });
    try_join_all(makers).await?;
    Ok(made.into_inner())
}

/// Gives each account its funds, once: the transaction's id follows from the account's.
async fn fund(asker: &mut Asker<'_>, external: &str, accounts: &[String]) -> Result<(), Failure> {
    let one = |account: &String| {
        // Ids of accounts are UUIDv7; as a version 8 it is another id, and always the same.
        let mut id = account.clone();
        id.replace_range(14..15, "8");
        let posting = json!({"from": external, "to": account, "asset": "USD", "amount": FUNDS});
        json!({"id": id, "postings": [posting]})
    };
    let transactions: Vec<_> = accounts.iter().map(one).collect();
    let batch = json!({"transactions": transactions});
    let answer = asker.ask("POST", "/transactions/batch", Some(batch)).await?;
    let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
    match results.iter().find(|result| result["status"] != "posted") {
        None => Ok(()),
        Some(refused) => Err(Failure::new(format!("an account could not be funded: {refused}"))),
    }
}

impl World {
    /// A world that is nowhere.
    #[cfg(test)]
    pub(super) fn of(token: &str, accounts: Vec<Uuid>, position: u64) -> Self {
        Self {
            token: token.to_owned(),
            key: String::new(),
            accounts,
            pair: ["key".to_owned(), "secret".to_owned()],
            polygon_token: "jwt".to_owned(),
            members: vec![Member {
                ksuid: format!("cus_{:027}", 7),
                typeid: format!("cst_{:026}", 7),
                number: "1000007".to_owned(),
                card: [b'c'; 36],
            }],
            position,
        }
    }

    /// Ends the key, with itself.
    pub(super) async fn leave(&self, target: &Target) -> Result<(), Failure> {
        let mut asker = Asker::new(target, &self.token).await?;
        let ended = asker.ask("DELETE", &format!("/keys/{}", self.key), None).await;
        ended.map(drop)
    }
}
