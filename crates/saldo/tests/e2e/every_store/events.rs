//! Events as they happen: over a connection that stays, until the reader, the key or the server ends it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::home;
use crate::harness::{Sandbox, transaction};

/// A connection on which events come.
struct Following(BufReader<TcpStream>);

impl Following {
    /// Asks for events, and reads the head of the answer.
    fn begin(sandbox: &Sandbox, token: &str, query: &str, headers: &str) -> Self {
        let address = sandbox.server.url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("a connection");
        // Nothing is awaited for so long.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time-out");
        let request = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut following = Self(BufReader::new(stream));
        let status = following.line();
        assert_eq!(status, "HTTP/1.1 200 OK");
        while !following.line().is_empty() {}
        following
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it goes on");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// The next line that begins so, without that.
    fn next(&mut self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// What is left, to the end of the connection or of the answer.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        while !rest.ends_with("0\r\n\r\n") && self.0.read_line(&mut rest).expect("it ends") > 0 {}
        rest
    }
}

fn post(sandbox: &Sandbox, nth: u64) -> u64 {
    let (from, to) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let id = format!("0199aaaa-0000-7000-8000-{nth:012}");
    let posted = sandbox
        .native()
        .post("/api/v1/transactions", &transaction(&id, &from, &to, "USD", nth));
    posted.json(201)["position"].as_u64().expect("a position")
}

#[test]
fn events_come_as_they_happen_and_go_on_where_they_were_left() {
    let home = home();
    let sandbox = home.sandbox();
    let token = sandbox.on_card("/native/token");
    let begun = post(&sandbox, 1);
    let accept = "Accept: text/event-stream\r\n";
    let mut following = Following::begin(&sandbox, &token, &format!("?after={}", begun - 1), accept);
    assert_eq!(following.next("id: "), begun.to_string());
    for nth in 2..5 {
        let position = post(&sandbox, nth);
        assert_eq!(following.next("id: "), position.to_string());
        assert_eq!(following.next("event: "), "transaction.posted");
        let event: Value = serde_json::from_str(&following.next("data: ")).expect("JSON");
        assert_eq!(event["position"], position);
        assert_eq!(event["data"]["postings"][0]["amount"], nth.to_string());
    }
    drop(following);
    // As a browser does that lost its connection.
    let (missed, next) = (post(&sandbox, 5), post(&sandbox, 6));
    let again = format!("{accept}Last-Event-ID: {}\r\n", missed - 1);
    let mut following = Following::begin(&sandbox, &token, "?after=1", &again);
    assert_eq!(following.next("id: "), missed.to_string());
    assert_eq!(following.next("id: "), next.to_string());
}

#[test]
fn lines_end_where_the_book_stands_or_follow_it() {
    let home = home();
    let sandbox = home.sandbox();
    let token = sandbox.on_card("/native/token");
    let last = post(&sandbox, 1);
    let all = sandbox.native().get("/api/v1/events", &[]);
    assert_eq!((all.status, all.position), (200, Some(last)), "{}", all.text);
    assert_eq!(all.media_type, "application/x-ndjson");
    let positions: Vec<u64> = all
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|event| event["position"].as_u64().expect("a position"))
        .collect();
    assert!(
        positions.is_sorted_by(|a, b| a < b) && positions.last() == Some(&last),
        "{positions:?}"
    );
    let mut following = Following::begin(&sandbox, &token, &format!("?after={last}&wait=300&limit=1"), "");
    let next = post(&sandbox, 2);
    let event: Value = serde_json::from_str(&format!("{{{}", following.next("{"))).expect("JSON");
    assert_eq!(event["position"], next);
    assert!(following.rest().ends_with("0\r\n\r\n"), "one was asked for");
    let nothing = Following::begin(&sandbox, &token, &format!("?after={next}&wait=1"), "");
    assert_eq!(nothing.rest(), "0\r\n\r\n");
}

#[test]
fn a_stream_ends_with_its_key() {
    let home = home();
    let sandbox = home.sandbox();
    let native = sandbox.native();
    let clients = native.get("/api/v1/clients", &[]).json(200);
    let root = clients["items"][0]["id"].as_str().expect("an id");
    let key = json!({"label": "follower", "scopes": ["read"]});
    let key = native
        .post(&format!("/api/v1/clients/{root}/keys"), &key)
        .json(201);
    let token = key["token"].as_str().expect("a token");
    let accept = "Accept: text/event-stream\r\n";
    let following = Following::begin(&sandbox, token, "?after=100000", accept);
    let path = format!("/api/v1/keys/{}", key["id"].as_str().expect("an id"));
    assert_eq!(native.delete(&path).status, 204);
    assert!(following.rest().ends_with("0\r\n\r\n"));
}

#[test]
fn streams_end_when_the_server_stops() {
    let home = home();
    let sandbox = home.sandbox();
    let token = sandbox.on_card("/native/token");
    let accept = "Accept: text/event-stream\r\n";
    let following = [
        Following::begin(&sandbox, &token, "?after=100000", accept),
        Following::begin(&sandbox, &token, "?after=100000&wait=300", ""),
    ];
    let (status, log) = sandbox.server.stop();
    assert!(status.success(), "{log}");
    for one in following {
        assert_eq!(one.rest(), "0\r\n\r\n");
    }
}

/// Who does not read is not written for: what waits for one reader is bounded, however much there is.
#[test]
fn a_reader_who_does_not_read_costs_little() {
    let home = home();
    let sandbox = home.sandbox();
    let token = sandbox.on_card("/native/token");
    let native = sandbox.native();
    let (from, to) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    for batch in 0..20_u64 {
        let items: Vec<_> = (0..500)
            .map(|nth| {
                let id = format!("0199bbbb-0000-7000-8000-{:012}", batch * 500 + nth);
                let mut one = transaction(&id, &from, &to, "USD", 1);
                one["metadata"] = json!({"filler": "x".repeat(1_000)});
                one
            })
            .collect();
        let body = json!({"transactions": items});
        native.post("/api/v1/transactions/batch", &body).json(200);
    }
    let before = sandbox.server.resident();
    let streams: Vec<_> = (0..20)
        .map(|_| Following::begin(&sandbox, &token, "", "Accept: text/event-stream\r\n"))
        .collect();
    // Each has begun; the others are served meanwhile.
    let all = native.get("/api/v1/events?limit=3000", &[]);
    assert_eq!(all.text.lines().count(), 3_000);
    let grown = sandbox.server.resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes for what would be 400 MB");
    drop(streams);
}
