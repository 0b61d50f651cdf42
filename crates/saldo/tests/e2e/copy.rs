//! `saldo copy`: both ways, killed on the way, and from servers in use.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Home, Random, Server, run, said, saldo, setting, settled, transaction};

/// Nothing else in the sandbox is counted in it.
const ASSET: &str = "CAD";
/// How many post while a store is moved.
const POSTERS: u64 = 4;

/// Every book with its position and digest, of a store that is well.
fn books(store: &str) -> Value {
    let output = run(&["verify", "--json", "--store", store]);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(report["ok"], true, "{report}");
    report["books"].clone()
}

fn spawn(from: &str, to: &str, more: &[&str]) -> Child {
    let mut copy = saldo(&["copy", "--json", "--from", from, "--to", to]);
    copy.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    copy.spawn().expect("the binary starts")
}

/// A sandbox in which some thousand transactions were posted; its server is stopped.
fn well_used() -> Home {
    let home = Home::in_a_folder();
    let sandbox = home.sandbox();
    let (external, main) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let native = sandbox.native();
    let mut random = Random(1);
    for _ in 0..20 {
        let all: Vec<_> = (0..500)
            .map(|_| transaction(&random.uuid(), &external, &main, ASSET, 1 + random.below(1_000)))
            .collect();
        let answer = native.post("/api/v1/transactions/batch", &json!({"transactions": all}));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    sandbox.server.stop();
    home
}

/// Copies, and kills it again and again.
fn copy_in_pieces(from: &str, to: &str, random: &mut Random) {
    let mut left_alone = 0;
    for _ in 0..setting("SALDO_TEST_KILLS", 20).div_ceil(4) {
        let mut copy = spawn(from, to, &[]);
        let (_alive, never) = channel::<()>();
        let moment = Duration::from_millis(random.below(700));
        assert_eq!(never.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
        copy.kill().expect("SIGKILL");
        let ended = copy.wait().expect("it ends");
        left_alone += usize::from(ended.success());
    }
    println!("{left_alone} copies were at their end before they were killed");
    let output = run(&["copy", "--from", from, "--to", to]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).starts_with("OK"), "{}", said(&output));
}

/// Kills a copy as soon as there is something of it, which is then not served.
fn is_not_served_by_half(from: &str, to: &Home) {
    let mut copy = spawn(from, &to.store(), &[]);
    while !to.path().join("store/mark").exists() {
        std::thread::yield_now();
    }
    copy.kill().expect("SIGKILL");
    copy.wait().expect("it ends");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--store", &to.store()]);
    assert!(!refused.status.success(), "it was served");
    assert!(said(&refused).contains("unfinished copy"), "{}", said(&refused));
}

#[test]
fn there_and_back_again_the_books_are_the_same() {
    let mut random = Random(setting("SALDO_TEST_SEED", 1));
    let (here, there, back) = (well_used(), Home::in_a_database(), Home::in_a_folder());
    let expected = books(&here.store());
    copy_in_pieces(&here.store(), &there.store(), &mut random);
    assert_eq!(books(&there.store()), expected);
    is_not_served_by_half(&there.store(), &back);
    copy_in_pieces(&there.store(), &back.store(), &mut random);
    assert_eq!(books(&back.store()), expected);
    // Another store is not mixed with it, and nothing is done to it.
    let other = Home::in_a_folder();
    other.sandbox().server.stop();
    let before = books(&other.store());
    let refused = run(&["copy", "--from", &here.store(), "--to", &other.store()]);
    assert!(
        !refused.status.success() && said(&refused).contains("not those"),
        "{}",
        said(&refused)
    );
    assert_eq!(books(&other.store()), before);
    drop(other.sandbox());
}

/// Copies a store whose server is stopped.
fn copy(from: &Home, to: &Home) {
    let copied = run(&["copy", "--from", &from.store(), "--to", &to.store()]);
    assert!(copied.status.success(), "{}", said(&copied));
}

#[test]
fn names_are_copied_with_their_keys_and_erased_with_them() {
    let (here, there, back) = (Home::in_a_folder(), Home::in_a_database(), Home::in_a_folder());
    let sandbox = here.sandbox();
    let path = format!("/api/v1/customers/{}", sandbox.on_card("/conduit/customerId"));
    let customer = sandbox.native().get(&path, &[]).json(200);
    sandbox.server.stop();
    let keys = format!(
        "select count(*) from saldo.vault where id = '{}'",
        customer["id"].as_str().expect("an id")
    );
    copy(&here, &there);
    assert_eq!(there.sql(&keys).trim(), "1");
    copy(&there, &back);
    let sandbox = back.sandbox();
    assert_eq!(sandbox.native().get(&path, &[]).json(200), customer);
    sandbox.server.stop();

    let sandbox = here.sandbox();
    sandbox
        .native()
        .post(&format!("{path}/erase"), &json!({}))
        .json(200);
    sandbox.server.stop();
    copy(&here, &there);
    assert_eq!(there.sql(&keys).trim(), "0");
    let erased = there.sandbox().native().get(&path, &[]).json(200);
    assert_eq!(erased["legalName"], "(erased)");
}

/// A transaction that was sent, and whether it was acknowledged.
type Sent = (Value, bool);

/// Posts until the server takes no more.
fn post(native: &Client, seed: u64, external: &str, main: &str) -> Vec<Sent> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    loop {
        let one = transaction(&random.uuid(), external, main, ASSET, 1 + random.below(1_000));
        match native.try_post("/api/v1/transactions", &[], &one.to_string()) {
            Some(answer) if answer.status == 201 => all.push((one, true)),
            Some(answer) if answer.status != 503 => panic!("{answer:?}"),
            _ => {
                all.push((one, false));
                return all;
            }
        }
    }
}

/// Moves a store while it is used; all that was acknowledged is there, and clients learn what became of the rest.
fn moved(from: &Home, to: &Home, stop: bool) {
    let sandbox = from.sandbox();
    let (external, main) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let native = sandbox.native();
    let before = settled(&native, &main, ASSET);
    let (sent, token) = std::thread::scope(|scope| {
        let posters: Vec<_> = (0..POSTERS)
            .map(|seed| {
                let (native, external, main) = (native.clone(), &external, &main);
                scope.spawn(move || post(&native, 100 + seed, external, main))
            })
            .collect();
        let mut copy = spawn(&from.store(), &to.store(), &["--switch"]);
        let mut lines = BufReader::new(copy.stdout.take().expect("it is piped")).lines();
        let mut next = || -> Option<Value> {
            let line = lines.next()?.expect("text");
            Some(serde_json::from_str(&line).expect("JSON"))
        };
        let token = sandbox.on_card("/native/token");
        let mut first = next();
        if stop {
            assert_eq!(first.as_ref().expect("it says so")["event"], "caughtUp");
            sandbox.server.signal(rustix::process::Signal::TERM);
            first = next();
        } else {
            // Who asks a server that still runs what there is gets an answer; who writes is told where to.
            assert_eq!(native.get("/api/v1/accounts", &[]).status, 200);
            let one = transaction(&Random(7).uuid(), &external, &main, ASSET, 1);
            let refused = native.post("/api/v1/transactions", &one);
            assert_eq!(refused.status, 503);
            assert!(refused.text.contains("moved"), "{}", refused.text);
        }
        let output = copy.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(first.expect("it says how it ended")["ok"], true);
        let sent: Vec<Sent> = posters
            .into_iter()
            .flat_map(|poster| poster.join().expect("a poster ends"))
            .collect();
        (sent, token)
    });
    drop(sandbox);
    assert_eq!(books(&from.store()), books(&to.store()));
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--store", &from.store()]);
    assert!(
        !refused.status.success() && said(&refused).contains("moved"),
        "{}",
        said(&refused)
    );
    let server = Server::start(&["serve", "--store", &to.store()], to.path());
    let native = Client::to(&server.url).bearing(&token);
    let mut sum = before;
    for (one, acknowledged) in &sent {
        let answer = native.post("/api/v1/transactions", one);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(
            answer.replayed || !acknowledged,
            "{one} was acknowledged and is lost"
        );
        let amount = one["postings"][0]["amount"].as_str().expect("text");
        sum += amount.parse::<i128>().expect("digits");
    }
    assert!(sent.len() as u64 > POSTERS, "nothing was posted");
    assert_eq!(settled(&native, &main, ASSET), sum);
    server.stop();
    let reopened = run(&["copy", "--reopen", &from.store()]);
    assert!(reopened.status.success(), "{}", said(&reopened));
    Server::start(&["serve", "--store", &from.store()], from.path()).stop();
}

#[test]
fn a_folder_in_use_is_moved_to_a_database() {
    moved(&Home::in_a_folder(), &Home::in_a_database(), true);
}

#[test]
fn a_database_in_use_is_moved_to_a_folder() {
    moved(&Home::in_a_database(), &Home::in_a_folder(), false);
}

#[test]
fn what_can_not_be_copied_is_refused() {
    let home = Home::in_a_folder();
    let store = home.store();
    let refused = run(&["copy", "--from", &store, "--to", &store]);
    assert!(said(&refused).contains("same store"), "{}", said(&refused));
    let other = home.path().join("other").display().to_string();
    let refused = run(&["copy", "--from", &store, "--to", &other]);
    assert!(said(&refused).contains("there is no store"), "{}", said(&refused));
    assert!(
        !home.path().join("other").exists(),
        "nothing was made for nothing"
    );
    assert_eq!(run(&["copy"]).status.code(), Some(2));
}
