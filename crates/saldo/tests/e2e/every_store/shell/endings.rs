//! How commands end when something is wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::{Shell, stderr, text};
use crate::harness::{Client, said, settled};

/// A client with two accounts, an `external` one and `main`, and a token of its root client.
fn accounts(shell: &mut Shell, scopes: &str) -> (String, String) {
    let client = shell.id(&["client", "create", "--name", "Acme"]);
    let key = |scopes| {
        [
            "key", "create", "--client", &client, "--label", "k", "--scope", scopes,
        ]
        .map(str::to_owned)
    };
    let token = |shell: &Shell, scopes| {
        let key = key(scopes);
        text(&shell.json(&key.each_ref().map(String::as_str))["token"])
    };
    let (admin, wanted) = (token(shell, "read,post,admin"), token(shell, scopes));
    shell.token = admin;
    let open = |purpose| shell.id(&["account", "create", "--owner", &client, "--purpose", purpose]);
    let made = (open("external"), open("main"));
    shell.token = wanted;
    made
}

/// An id that names nothing.
const NOBODY: &str = "0199aaaa-0000-7000-8000-00000000dead";

#[test]
fn a_command_ends_as_it_is_written() {
    let mut shell = Shell::start();
    let (world, main) = accounts(&mut shell, "read,post,admin");
    let pay = post(&world, &main);
    refusals(&shell, &post(&main, &world), &world, &main);
    wrong_calls(&shell, &pay);
    credentials(&mut shell, &pay);
}

fn post<'a>(from: &'a str, to: &'a str) -> [&'a str; 9] {
    [
        "post", "--from", from, "--to", to, "--asset", "USD", "--amount", "10",
    ]
}

/// 1: the ledger says no, or the caller has to put something right.
fn refusals(shell: &Shell, spend: &[&str], world: &str, main: &str) {
    let refused = shell.run(spend);
    assert_eq!(refused.status.code(), Some(1));
    let why = stderr(&refused);
    let expected = [
        "saldo: Unprocessable Content: ",
        "credit it first",
        "code insufficient_funds",
        "posting 0",
        main,
    ];
    assert!(expected.iter().all(|words| why.contains(words)), "{why}");
    assert!(refused.stdout.is_empty());
    let refused = shell.run(&[spend, &["--json"]].concat());
    let problem: Value = serde_json::from_slice(&refused.stderr).expect("the problem as JSON");
    assert_eq!(
        (&problem["code"], refused.status.code()),
        (&json!("insufficient_funds"), Some(1))
    );
    let lost = shell.run(&["client", "get", NOBODY]);
    assert!(
        lost.status.code() == Some(1) && stderr(&lost).contains("code not_found"),
        "{}",
        said(&lost)
    );
    let decimal = shell.run(&[&spend[..8], &["12.50"]].concat());
    assert!(
        decimal.status.code() == Some(1) && stderr(&decimal).contains("minor units"),
        "{}",
        said(&decimal)
    );
    let posting = json!({"from": main, "to": world, "asset": "USD", "amount": "99"});
    let batch = json!({"id": NOBODY, "postings": [posting]}).to_string();
    let partly = shell.run_with(&["transaction", "batch", "-", "--json"], &batch);
    assert_eq!(partly.status.code(), Some(1));
    let results: Value = serde_json::from_slice(&partly.stdout).expect("JSON");
    assert_eq!(results["results"][0]["rejection"]["code"], "insufficient_funds");
    assert!(
        stderr(&partly).contains("1 of 1 transactions were refused"),
        "{}",
        said(&partly)
    );
    let torn = shell.run_with(&["transaction", "batch", "-"], "{}\n[]\n");
    assert!(
        torn.status.code() == Some(1) && stderr(&torn).contains("line 2"),
        "{}",
        said(&torn)
    );
}

/// 2: the command line.
fn wrong_calls(shell: &Shell, pay: &[&str]) {
    for wrong in [
        &["client", "list", "--colour"][..],
        &["client"],
        &["customer", "erase", NOBODY],
        &["balance"],
        &["hold", "list", "--status", "gone"],
        &["client", "list", "--url", "saldo.example"],
        &["client", "create", "--name", "x", "--metadata", "[]"],
        &["rate", "put", "--base", "EUR"],
        &[pay, &["--amount", "1", "--amount", "2", "--to", "x"]].concat(),
    ] {
        let refused = shell.run(wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}: {}", said(&refused));
        assert!(refused.stdout.is_empty());
    }
}

/// 3: who asks.
fn credentials(shell: &mut Shell, pay: &[&str]) {
    let token = std::mem::take(&mut shell.token);
    let without = shell.run(&["client", "list"]);
    assert!(
        without.status.code() == Some(3) && stderr(&without).contains("SALDO_TOKEN"),
        "{}",
        said(&without)
    );
    shell.token = token;
    let wrong = shell.run(&["client", "list", "--token", "saldo_wrong"]);
    assert!(
        wrong.status.code() == Some(3) && stderr(&wrong).contains("code unauthorized"),
        "{}",
        said(&wrong)
    );
    let done = shell.run(pay);
    assert!(done.status.success(), "{}", said(&done));
    accounts(shell, "read");
    let forbidden = shell.run(pay);
    assert_eq!(forbidden.status.code(), Some(3));
    assert!(stderr(&forbidden).contains("scope post"), "{}", said(&forbidden));
}

#[test]
fn what_is_not_answered_may_be_tried_again() {
    let mut shell = Shell::start();
    let (world, main) = accounts(&mut shell, "read,post");
    let late = shell.run(&["balance", &main, "--min-position", "999999"]);
    assert!(
        late.status.code() == Some(4) && stderr(&late).contains("code position_not_reached"),
        "{}",
        said(&late)
    );

    let pay = post(&world, &main);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let real = shell.server.url.trim_start_matches("http://").to_owned();
    let cut = std::thread::spawn(move || {
        // Whoever asks here reaches the server, and never hears of it.
        let (client, _) = listener.accept().expect("a connection");
        forward_and_forget(client, &real);
        // Nor is there an answer here, but the connection stays.
        listener.accept().expect("a connection").0
    });
    let cut_off = shell.run(&[&pay[..], &["--url", &url]].concat());
    assert_eq!(cut_off.status.code(), Some(4), "{}", said(&cut_off));
    let why = stderr(&cut_off);
    assert!(why.contains("whether it was done is not known"), "{why}");
    let key = why
        .split("--key ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a key");
    let again = shell.run(&[&pay[..], &["--key", key]].concat());
    assert!(
        again.status.success() && stderr(&again).contains("done before"),
        "{}",
        said(&again)
    );
    let api = Client::to(&shell.server.url).bearing(&shell.token);
    assert_eq!(settled(&api, &main, "USD"), 10, "it was done once");

    let unheard = shell.run(&["balance", &main, "--url", &url, "--timeout", "1"]);
    assert!(
        unheard.status.code() == Some(4) && stderr(&unheard).contains("in time"),
        "{}",
        said(&unheard)
    );
    drop(cut.join().expect("it ends"));
    // Nobody listens there any more.
    let refused = shell.run(&[&pay[..], &["--url", &url]].concat());
    assert!(
        refused.status.code() == Some(4) && stderr(&refused).contains("Nothing was sent"),
        "{}",
        said(&refused)
    );
}

/// Hands a request to a server, waits for its answer, and says nothing.
fn forward_and_forget(mut client: TcpStream, server: &str) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = client.read(&mut buffer).expect("the request");
        assert!(read > 0, "the request is whole");
        request.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        if length.is_some_and(|length| length.trim().parse() == Ok(body.len())) {
            break;
        }
    }
    let mut server = TcpStream::connect(server).expect("the server");
    server.write_all(&request).expect("sent");
    assert!(server.read(&mut buffer).expect("an answer") > 0);
}
