//! The API from the shell: every operation by its command, what comes back, and how commands end.

mod endings;
mod events;
mod lists;
mod operations;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{home, metrics};
use crate::harness::{Client, Home, Server, run, said, saldo};

/// Pages are as long as this on the servers here, so that lists have several.
const PAGE: usize = 3;

/// A server, and a shell in which its URL and a token are set.
struct Shell {
    server: Server,
    metrics: Client,
    home: Home,
    operator: String,
    token: String,
}

impl Shell {
    fn start() -> Self {
        let home = home();
        let made = run(&["init", "--store", &home.store()]);
        assert!(made.status.success(), "{}", said(&made));
        let operator = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let config = home.path().join("config.toml");
        std::fs::write(&config, format!("[service]\npage_items = {PAGE}\n")).expect("a file");
        let (store, config) = (home.store(), config.to_str().expect("text").to_owned());
        let serve = [
            "serve",
            "--store",
            &store,
            "--config",
            &config,
            "--metrics",
            "127.0.0.1:0",
        ];
        let mut server = Server::start(&serve, home.path());
        let line = server
            .lines("metrics on ", 1)
            .pop()
            .expect("it says where metrics are");
        let line = line
            .trim_start_matches("metrics on ")
            .trim_end_matches("/metrics");
        Self {
            metrics: Client::to(line),
            token: operator.clone(),
            server,
            home,
            operator,
        }
    }

    fn saldo(&self, arguments: &[&str]) -> Command {
        let mut command = saldo(arguments);
        command
            .env("SALDO_URL", &self.server.url)
            .env("SALDO_TOKEN", &self.token);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.saldo(arguments).output().expect("the binary starts")
    }

    fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.saldo(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        pipe.write_all(stdin.as_bytes()).expect("it is read");
        drop(pipe);
        child.wait_with_output().expect("it ends")
    }

    /// What the command prints as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    fn id(&self, arguments: &[&str]) -> String {
        text(&self.json(arguments)["id"])
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}
