//! Starting the binary, and talking to it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_postgres::{Cluster, Database};

/// `saldo` with these arguments, and nothing from the environment that would change them but that it may use the tests'
/// database, which does not sync.
pub(crate) fn saldo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saldo"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SALDO_")) {
        command.env_remove(name);
    }
    command.env("SALDO_UNSAFE_DATABASE", "1").args(arguments);
    command
}

/// Runs `saldo` to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    saldo(arguments).output().expect("the binary starts")
}

/// What a command wrote, both streams together.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server; it is ready when this returns.
    pub(crate) fn start(arguments: &[&str], folder: &Path) -> Self {
        Self::start_with(saldo(arguments), &folder.join("stderr"))
    }

    /// Starts a server that logs into a file; it is ready when this returns.
    pub(crate) fn start_with(mut command: Command, log: &Path) -> Self {
        let stderr = log.to_owned();
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).expect("a file for stderr"))
            .spawn()
            .expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let url = loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).expect("stdout is text") == 0 {
                panic!(
                    "no server: {}",
                    std::fs::read_to_string(&stderr).unwrap_or_default()
                );
            }
            if let Some(at) = line.find("http://").or(line.find("https://")) {
                let url: String = line[at..].chars().take_while(|c| !c.is_whitespace()).collect();
                break url;
            }
        };
        let server = Self {
            child,
            stdout,
            stderr,
            url,
        };
        // The tests' client speaks no TLS; those who do find it ready too.
        if server.url.starts_with("http://") {
            assert_eq!(Client::to(&server.url).get("/readyz", &[]).status, 200);
        }
        server
    }

    /// How many files it has open, connections among them.
    pub(crate) fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.expect("it runs").count()
    }

    /// How many bytes of memory it has.
    pub(crate) fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .expect("its memory");
        kibibytes.parse::<usize>().expect("a number") * 1024
    }

    /// The next lines of stdout that begin so.
    pub(crate) fn lines(&mut self, beginning: &str, count: usize) -> Vec<String> {
        let lines = self
            .stdout
            .by_ref()
            .lines()
            .map(|line| line.expect("stdout is text"));
        lines
            .filter(|line| line.starts_with(beginning))
            .take(count)
            .collect()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).expect("its log")
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it ends");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Stops it as an operator does; answers how it ended and what it logged.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// As the function of this name.
    pub(crate) fn freeze(&self, is: impl Fn(&Path) -> bool) -> bool {
        freeze(&self.child, is)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        (status, std::fs::read_to_string(&self.stderr).expect("its log"))
    }

    /// Waits until it takes no connections any more.
    pub(crate) fn wait_until_deaf(&self) {
        let address = self.url.strip_prefix("http://").expect("a URL");
        while std::net::TcpStream::connect(address).is_ok() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already after `kill` and `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!(
                "the server logged:\n{}",
                std::fs::read_to_string(&self.stderr).unwrap_or_default()
            );
        }
    }
}

/// Stops a process where it is while it has a file open that is looked for; false, and it goes on, where it has none.
pub(crate) fn freeze(child: &Child, is: impl Fn(&Path) -> bool) -> bool {
    let has_one = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", child.id()));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| std::fs::read_link(file.path()).is_ok_and(|path| is(&path)))
    };
    if !has_one() {
        return false;
    }
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::STOP).expect("a signal");
    // Its end, too, is left for who waits for it.
    let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let event = waitid(WaitId::Pid(pid), events).expect("a child");
    let stopped = event.is_some_and(|event| event.stopped());
    if stopped && !has_one() {
        thaw(child);
        return false;
    }
    stopped
}

/// Lets a process go on that was stopped.
pub(crate) fn thaw(child: &Child) {
    kill_process(Pid::from_child(child), Signal::CONT).expect("a signal");
}

/// A place for one store, and for a test's files. They go with it.
pub(crate) struct Home {
    folder: TempDir,
    /// Where the store is, when not in the folder.
    database: Option<Database>,
    /// What a sandbox finds in its environment.
    environment: &'static [(&'static str, &'static str)],
}

impl Home {
    /// With the store in a folder.
    pub(crate) fn in_a_folder() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            database: None,
            environment: &[],
        }
    }

    /// With this in the environment of its sandboxes.
    pub(crate) fn with(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { environment, ..self }
    }

    /// With the store in a database of its own.
    pub(crate) fn in_a_database() -> Self {
        Self {
            database: Some(Cluster::shared().empty()),
            ..Self::in_a_folder()
        }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What `--store` takes.
    pub(crate) fn store(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => text(&self.path().join("store")),
        }
    }

    /// Whether something of a store is there.
    pub(crate) fn has_store(&self) -> bool {
        match &self.database {
            Some(database) => {
                let found = database.try_sql("select 1 from pg_namespace where nspname = 'saldo'");
                !found.expect("the database answers").is_empty()
            }
            None => self.path().join("store").exists(),
        }
    }

    /// Runs a command in the database.
    pub(crate) fn sql(&self, command: &str) -> String {
        let database = self.database.as_ref().expect("it is in a database");
        database.try_sql(command).expect("the database does it")
    }

    /// Checks that none of these words is in a file of the store, or in a row of its tables.
    pub(crate) fn holds_none_of(&self, words: &[&str]) {
        match &self.database {
            Some(database) => holds_none(database, words),
            None => {
                for file in std::fs::read_dir(self.path().join("store")).expect("the store is there") {
                    let path = file.expect("a file").path();
                    let bytes = std::fs::read(&path).expect("it is read");
                    for word in words {
                        let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                        assert!(!found, "{word} is in {}", path.display());
                    }
                }
            }
        }
    }

    /// Starts a sandbox; the store may have one.
    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::on(&self.store(), self.path(), self.environment)
    }

    /// Checks that all of the store is well.
    pub(crate) fn verify(&self) {
        let verified = run(&["verify", "--store", &self.store()]);
        assert!(
            verified.status.success() && said(&verified).starts_with("OK"),
            "{}",
            said(&verified)
        );
    }
}

/// Checks that none of these words is in a row of a table, as text or as bytes.
fn holds_none(database: &Database, words: &[&str]) {
    let ask = |sql: &str| database.try_sql(sql).expect("the database answers");
    let tables = ask("select tablename from pg_tables where schemaname = 'saldo'");
    assert!(
        tables.contains("vault") && tables.contains("customers"),
        "{tables}"
    );
    for table in tables.split_whitespace() {
        for word in words {
            let bytes: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
            let found = ask(&format!(
                "select count(*) from saldo.{table} t where t::text like '%{word}%' or t::text like '%{bytes}%'"
            ));
            assert_eq!(found.trim(), "0", "{word} is in {table}");
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}

/// A sandbox that runs, with its card.
pub(crate) struct Sandbox {
    pub(crate) server: Server,
    pub(crate) card: Value,
}

impl Sandbox {
    /// Starts a sandbox in a folder, which may have one.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::on(&text(&folder.join("store")), folder, &[])
    }

    /// Starts a sandbox on a store, which may have one; its files are in a folder.
    pub(crate) fn on(store: &str, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let card = folder.join("card.json");
        let mut command = saldo(&["sandbox", "--store", store, "--card", &text(&card)]);
        command.envs(environment.iter().copied());
        let server = Server::start_with(command, &folder.join("stderr"));
        let card = std::fs::read(&card).expect("the card is there when the server is ready");
        let card: Value = serde_json::from_slice(&card).expect("the card is JSON");
        assert_eq!(card["baseUrl"], server.url.as_str());
        Self { server, card }
    }

    /// A text of the card, by its JSON pointer.
    pub(crate) fn on_card(&self, pointer: &str) -> String {
        match self.card.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => panic!("the card has no {pointer}"),
        }
    }

    /// Somebody who uses the native API with the card's token.
    pub(crate) fn native(&self) -> Client {
        Client::to(&self.server.url).bearing(&self.on_card("/native/token"))
    }

    /// Headers of Conduit's endpoints.
    pub(crate) fn conduit(&self) -> Client {
        let pair = [
            ("X-API-Key", "/conduit/apiKey"),
            ("X-API-Secret", "/conduit/apiSecret"),
        ];
        let headers = pair.map(|(name, pointer)| (name.to_owned(), self.on_card(pointer)));
        Client {
            headers: headers.to_vec(),
            ..Client::to(&self.server.url)
        }
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) position: Option<u64>,
    pub(crate) retry_after: Option<u32>,
    pub(crate) media_type: String,
    /// The id that it bears.
    pub(crate) request: String,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON, of an answer with this status.
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).expect("the body is JSON")
    }
}

impl Client {
    pub(crate) fn to(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bearing(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_get(path, headers).expect("an answer")
    }

    /// `None` when no answer came: the server is gone.
    pub(crate) fn try_get(&self, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in self.all(headers) {
            request = request.header(name, value);
        }
        answer(request.call())
    }

    /// Posts JSON. `None` when no answer came: the server is gone.
    pub(crate) fn try_post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in self.all(headers) {
            request = request.header(name, value);
        }
        answer(request.header("Content-Type", "application/json").send(body))
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        let mut request = self.agent.put(format!("{}{path}", self.url));
        for (name, value) in self.all(&[]) {
            request = request.header(name, value);
        }
        answer(request.header("Content-Type", "application/json").send(body)).expect("an answer")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        let mut request = self.agent.delete(format!("{}{path}", self.url));
        for (name, value) in self.all(&[]) {
            request = request.header(name, value);
        }
        answer(request.call()).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, &[], &body.to_string()).expect("an answer")
    }

    fn all<'a>(&'a self, more: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(more.iter().copied())
    }
}

fn answer(answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<Answer> {
    let mut answered = answered.ok()?;
    let header = |name| {
        answered
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let (replayed, media_type) = (
        header("idempotency-replayed") == "true",
        header("content-type").to_owned(),
    );
    let request = header("x-request-id").to_owned();
    let (position, retry_after) = (
        header("saldo-position").parse().ok(),
        header("retry-after").parse().ok(),
    );
    let status = answered.status().as_u16();
    let text = answered.body_mut().read_to_string().ok()?;
    Some(Answer {
        status,
        replayed,
        position,
        retry_after,
        media_type,
        request,
        text,
    })
}

/// A transaction of one posting, as the native API reads it.
pub(crate) fn transaction(id: &str, from: &str, to: &str, asset: &str, amount: u64) -> Value {
    let posting = json!({"from": from, "to": to, "asset": asset, "amount": amount.to_string()});
    json!({"id": id, "postings": [posting]})
}

/// What is settled on an account in an asset.
pub(crate) fn settled(client: &Client, account: &str, asset: &str) -> i128 {
    let answer = client
        .get(&format!("/api/v1/accounts/{account}/balances"), &[])
        .json(200);
    let balances = answer["balances"].as_array().expect("balances");
    let balance = balances.iter().find(|balance| balance["asset"] == asset);
    balance.map_or(0, |balance| {
        balance["settled"]
            .as_str()
            .expect("text")
            .parse()
            .expect("an integer")
    })
}

/// A number from the environment, which the long form of the tests sets.
pub(crate) fn setting(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number")),
        Err(_) => usual,
    }
}

/// SplitMix64, for tests that choose.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A UUID for a transaction.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}
