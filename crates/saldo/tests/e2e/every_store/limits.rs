//! Everything has a limit, and the message says which.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::home;
use crate::harness::{Client, Sandbox};

#[test]
fn large_bodies_are_refused_in_the_words_of_the_path() {
    let home = home();
    let sandbox = home.sandbox();
    let native = sandbox.native();
    let two_mebibytes = json!({"reference": "x".repeat(2 << 20), "postings": [], "transactions": []});
    let refused = native.post("/api/v1/transactions", &two_mebibytes);
    assert_eq!(refused.json(413)["code"], "too_large");
    assert!(
        refused.media_type.starts_with("application/problem+json"),
        "{}",
        refused.media_type
    );
    assert!(refused.text.contains("1048576"), "{}", refused.text);
    // A batch may be as large as that; what is wrong with this one is something else.
    assert_eq!(
        native.post("/api/v1/transactions/batch", &two_mebibytes).status,
        400
    );
    let anybody = Client::to(&sandbox.server.url);
    let refused = anybody.post("/v0.9/auth/token", &two_mebibytes).json(413);
    assert!(refused["error"].is_string(), "{refused}");
}

/// Sends these bytes; answers with the first line of what comes back.
fn raw(sandbox: &Sandbox, request: &str) -> String {
    let address = sandbox.server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // A server that refuses a head may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// As `nc -N` does: everything is sent, and the way there is closed, before the answer comes.
#[test]
fn who_has_sent_everything_and_closes_is_answered() {
    let home = home();
    let sandbox = home.sandbox();
    let amount = |from: &str, to: &str| json!({"from": sandbox.on_card(from), "to": sandbox.on_card(to), "asset": "USD", "amount": "1"});
    let body = json!({"postings": [amount("/accounts/external", "/accounts/main")]}).to_string();
    let request = format!(
        "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        sandbox.on_card("/native/token"),
        body.len()
    );
    let address = sandbox.server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("closed");
    let mut answer = String::new();
    // To its end: the server closes too when it has answered.
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
}

#[test]
fn heads_have_a_limit_above_eight_kibibytes_each() {
    let home = home();
    let sandbox = home.sandbox();
    let get = |path: &str, header: &str| {
        raw(
            &sandbox,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {header}\r\n\r\n"),
        )
    };
    let long = "y".repeat(8_000);
    assert_eq!(get("/healthz", ""), "HTTP/1.1 200 OK");
    assert_eq!(get(&format!("/{long}"), &long), "HTTP/1.1 404 Not Found");
    assert_eq!(
        get("/", &"y".repeat(100_000)),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    assert_eq!(raw(&sandbox, "nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
}
