//! Stopping with work in flight.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::home;
use crate::harness::{Home, Sandbox, saldo, transaction};

const ID: &str = "0199aaaa-0000-7000-8000-000000000003";

/// A request whose body is still to come: the server has read its head, and waits.
struct InFlight {
    stream: TcpStream,
    body: String,
}

impl InFlight {
    fn begin(sandbox: &Sandbox) -> Self {
        let address = sandbox.server.url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let (external, main) = (
            sandbox.on_card("/accounts/external"),
            sandbox.on_card("/accounts/main"),
        );
        let body = transaction(ID, &external, &main, "USD", 77).to_string();
        let head = format!(
            "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\n\r\n",
            sandbox.on_card("/native/token"),
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut line = String::new();
        BufReader::new(&stream)
            .read_line(&mut line)
            .expect("an interim answer");
        assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
        Self { stream, body }
    }

    /// Sends the body; answers with what comes back.
    fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).expect("sent");
        let mut answer = String::new();
        self.stream
            .read_to_string(&mut answer)
            .expect("an answer, then the end");
        answer
    }
}

#[test]
fn a_request_in_flight_is_finished_before_the_server_stops() {
    let home = home();
    let sandbox = home.sandbox();
    let request = InFlight::begin(&sandbox);
    sandbox.server.signal(Signal::TERM);
    // Nobody new is let in.
    sandbox.server.wait_until_deaf();
    let answer = request.finish();
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    let (status, _) = sandbox.server.wait();
    assert_eq!(status.code(), Some(0));

    let again = home.sandbox();
    let found = again.native().get(&format!("/api/v1/transactions/{ID}"), &[]);
    assert_eq!(found.json(200)["id"], ID);
}

#[test]
fn a_second_signal_ends_at_once() {
    let home = home();
    let sandbox = home.sandbox();
    let request = InFlight::begin(&sandbox);
    sandbox.server.signal(Signal::TERM);
    sandbox.server.signal(Signal::INT);
    let (status, _) = sandbox.server.wait();
    assert!(matches!(status.code(), Some(130 | 143)), "{status}");
    drop(request);
    let again = home.sandbox();
    assert_eq!(
        again
            .native()
            .get(&format!("/api/v1/transactions/{ID}"), &[])
            .status,
        404
    );
}

/// Starts a sandbox and kills it a moment after its store is there: later by what `pauses` other processes take.
fn kill_in_the_making(home: &Home, pauses: usize) {
    let mut child = saldo(&["sandbox", "--listen", "127.0.0.1:0", "--store", &home.store()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    while !home.has_store() {
        std::thread::yield_now();
    }
    for _ in 0..pauses {
        Command::new("true").status().expect("true");
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
}

#[test]
fn a_making_that_was_killed_goes_on() {
    for pauses in 0..6 {
        let home = home();
        kill_in_the_making(&home, pauses);
        let sandbox = home.sandbox();
        let clients = sandbox.conduit().get("/clients/accounts", &[]).json(200);
        assert_eq!(
            clients["data"].as_array().map(Vec::len),
            Some(2),
            "killed after {pauses} pauses"
        );
        let customers = sandbox.native().get("/api/v1/customers", &[]).json(200);
        assert_eq!(
            customers["items"].as_array().map(Vec::len),
            Some(12),
            "killed after {pauses} pauses"
        );
    }
}
