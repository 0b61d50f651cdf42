//! What a load needs: a client of its own with funded accounts, and a key for it. Made through the API, found again later.

use std::cell::RefCell;
use std::fmt;

use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::wire::{Connection, Target, request};
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
    /// How far the book was before the load.
    pub(super) position: u64,
}

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
        let asked = format!("{method} http://{}/api/v1{path}", self.target.host);
        let failed = |error: &dyn fmt::Display| Failure::while_doing(&asked, error);
        let body = body.map_or(String::new(), |body| body.to_string());
        let bytes = request(
            method,
            &format!("/api/v1{path}"),
            &self.target.host,
            self.token,
            &body,
        );
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
        loop {
            let mut page = self
                .ask("GET", &format!("{path}&limit={ITEMS}{cursor}"), None)
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
    let key = json!({"label": "saldo bench", "scopes": ["read", "post", "admin"]});
    let key = admin
        .ask("POST", &format!("/clients/{client}/keys"), Some(key))
        .await?;
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
    })
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
