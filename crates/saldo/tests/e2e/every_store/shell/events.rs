//! What was recorded, from the shell.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::Shell;

#[test]
fn events_are_followed_until_the_server_ends() {
    let shell = Shell::start();
    let client = shell.id(&["client", "create", "--name", "Acme"]);
    let arguments = ["events", "--book", &client, "--follow", "--json"];
    let mut following = shell
        .saldo(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("it goes on").expect("a line");
        serde_json::from_str(&line).expect("one event on each line")
    };
    for name in ["Ada", "Grace", "Emmy"] {
        let customer = shell.json(&["customer", "create", "--book", &client, "--name", name]);
        let event = next();
        assert_eq!(event["type"], "customer.created");
        assert_eq!(event["data"]["legalName"], name);
        assert_eq!(event["data"]["id"], customer["id"]);
    }
    let all = shell.run(&["events", "--book", &client]);
    let shown = super::stdout(&all);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(
        shown.lines().all(|line| line.contains("customer.created")),
        "{shown}"
    );
    let last = shell.json(&["events", "--book", &client, "--after", "1", "--limit", "1"]);
    assert_eq!(last["data"]["legalName"], "Grace");

    let (status, log) = shell.server.stop();
    assert!(status.success(), "{log}");
    let ended = following.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(4));
    let said = super::stderr(&ended);
    assert!(said.contains("--after 3 goes on"), "{said}");
}
