//! Servers on one database, and a world in it to move money in.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Server, said, saldo};

/// How many servers there usually are.
pub(super) const SERVERS: usize = 4;
/// How many accounts money moves between.
const ACCOUNTS: usize = 12;
/// What each has at first.
const FUNDS: u64 = 1_000;

/// One heavy test at a time: the others would only make it slow.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What money moves between.
pub(super) struct World {
    pub(super) client: String,
    pub(super) external: String,
    pub(super) hot: String,
    pub(super) accounts: Vec<String>,
    /// What is on the accounts before any load, as the answers said.
    pub(super) funds: Vec<(String, i128)>,
    /// The book's position after all that.
    pub(super) position: u64,
}

/// Servers that run.
pub(super) struct Fleet {
    folder: TempDir,
    url: String,
    token: String,
    pub(super) world: World,
    /// One that was killed is `None`.
    servers: Mutex<Vec<Option<Server>>>,
    clients: RwLock<Vec<Client>>,
}

/// `saldo` on a database of tests.
pub(super) fn command(arguments: &[&str]) -> std::process::Command {
    let mut command = saldo(arguments);
    command.env("SALDO_UNSAFE_DATABASE", "1");
    command.env("SALDO_LOG", "info,store_postgres=debug");
    command
}

impl Fleet {
    /// Makes a store in a database, and starts so many servers on it.
    pub(super) fn start(url: &str, servers: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = command(&["init", "--store", url])
            .output()
            .expect("the binary starts");
        assert!(made.status.success(), "{}", said(&made));
        let operator = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let started: Vec<_> = (0..servers).map(|nth| serve(url, folder.path(), nth)).collect();
        let (token, world) = make_world(&started[0].url, &operator);
        let clients = started
            .iter()
            .map(|server| Client::to(&server.url).bearing(&token));
        Self {
            url: url.to_owned(),
            world,
            clients: RwLock::new(clients.collect()),
            servers: Mutex::new(started.into_iter().map(Some).collect()),
            token,
            folder,
        }
    }

    /// Who talks to a server, by its number, as often around as need be.
    pub(super) fn client(&self, nth: usize) -> Client {
        let clients = self.clients.read().expect("nobody failed here");
        clients[nth % clients.len()].clone()
    }

    pub(super) fn count(&self) -> usize {
        self.clients.read().expect("nobody failed here").len()
    }

    /// Kills a server as a crash does.
    pub(super) fn kill(&self, nth: usize) {
        let server = self.servers.lock().expect("nobody failed here")[nth].take();
        server.expect("it runs").kill();
    }

    /// Starts another one in the place of one that was killed.
    pub(super) fn replace(&self, nth: usize) {
        let server = serve(&self.url, self.folder.path(), nth);
        self.clients.write().expect("nobody failed here")[nth] = Client::to(&server.url).bearing(&self.token);
        self.servers.lock().expect("nobody failed here")[nth] = Some(server);
    }

    /// What the servers logged that contains this.
    pub(super) fn logged(&self, text: &str) -> Vec<String> {
        let servers = self.servers.lock().expect("nobody failed here");
        let logs = servers.iter().flatten().map(Server::log).collect::<Vec<_>>();
        let lines = logs.iter().flat_map(|log| log.lines());
        lines
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }

    /// The URL of the database.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops all, in order.
    pub(super) fn stop(self) {
        for server in self
            .servers
            .into_inner()
            .expect("nobody failed here")
            .into_iter()
            .flatten()
        {
            let (status, log) = server.stop();
            assert_eq!(status.code(), Some(0), "{log}");
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

fn serve(url: &str, folder: &Path, nth: usize) -> Server {
    Server::start_with(
        command(&["serve", "--store", url]),
        &folder.join(format!("server-{nth}")),
    )
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// A root client with its accounts; answers with a token for all that it may do.
fn make_world(url: &str, operator: &str) -> (String, World) {
    let operator = Client::to(url).bearing(operator);
    let client = operator
        .post("/api/v1/clients", &json!({"legalName": "Tidewater Ltd"}))
        .json(201);
    let client = text(&client["id"]);
    let key = json!({"label": "all", "scopes": ["read", "post", "admin"]});
    let key = operator
        .post(&format!("/api/v1/clients/{client}/keys"), &key)
        .json(201);
    let token = text(&key["token"]);
    let own = Client::to(url).bearing(&token);
    let open = |purpose: &str| {
        let account = json!({"ownerId": client, "purpose": purpose});
        text(&own.post("/api/v1/accounts", &account).json(201)["id"])
    };
    let (external, hot) = (open("external"), open("main"));
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| open("main")).collect();
    let mut position = 0;
    for account in &accounts {
        let posting = json!({"from": external, "to": account, "asset": "USD", "amount": FUNDS.to_string()});
        let answer = own.post("/api/v1/transactions", &json!({"postings": [posting]}));
        answer.json(201);
        position = answer.position.expect("a position");
    }
    let given = (ACCOUNTS as u64 * FUNDS) as i128;
    let funds = accounts
        .iter()
        .map(|account| (account.clone(), i128::from(FUNDS)));
    let world = World {
        funds: funds.chain([(external.clone(), -given)]).collect(),
        client,
        external,
        hot,
        accounts,
        position,
    };
    (token, world)
}
