//! `saldo verify` finds a byte that was changed, and says where.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use test_postgres::Cluster;

use crate::harness::{Sandbox, run, said};

fn verify(store: &Path) -> (Option<i32>, Value) {
    let output = run(&["verify", "--json", "--store", store.to_str().expect("text")]);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code(), report)
}

/// The number behind `byte `.
fn offset(text: &str) -> usize {
    let digits = text.split_once("byte ").expect("an offset").1;
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .expect("digits")
        .parse()
        .expect("a number")
}

#[test]
fn a_flipped_byte_is_found_with_its_place() {
    let folder = tempdir().expect("a folder");
    let sandbox = Sandbox::start(folder.path());
    let (status, _) = sandbox.server.stop();
    assert_eq!(status.code(), Some(0));
    let store = folder.path().join("store");
    let (code, good) = verify(&store);
    assert_eq!((code, &good["ok"]), (Some(0), &Value::Bool(true)), "{good}");
    assert_eq!(good["books"].as_array().map(Vec::len), Some(2));

    let segment = store.join("00000001.log");
    let whole = std::fs::read(&segment).expect("the segment");
    let end = whole.iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    const HEADER: usize = 64;
    // Anywhere in what was written, but for the closing frame, which looks like one that was torn.
    for part in 0..8 {
        let at = HEADER + (end - HEADER) * part / 10 + 5;
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&segment, &damaged).expect("the segment");
        let (code, report) = verify(&store);
        assert_eq!(
            (code, &report["ok"]),
            (Some(1), &Value::Bool(false)),
            "byte {at}: {report}"
        );
        let error = report["error"].as_str().expect("an error");
        assert!(error.contains("00000001.log"), "{error}");
        assert!(offset(error) <= at, "byte {at}: {error}");
    }
    std::fs::write(&segment, &whole).expect("the segment");
    assert_eq!(verify(&store), (Some(0), good));
}

#[test]
fn a_row_that_was_changed_in_a_database_is_found_with_its_place() {
    let database = Cluster::shared().empty();
    let on_it = |arguments: &[&str]| run(&[arguments, &["--store", &database.url()]].concat());
    assert_eq!(on_it(&["verify"]).status.code(), Some(2), "there is no store yet");
    let made = on_it(&["init"]);
    assert!(made.status.success(), "{}", said(&made));
    let good = on_it(&["verify"]);
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    assert!(said(&good).starts_with("OK: 2 records"), "{}", said(&good));
    let changed =
        database.try_sql("update saldo.api_keys set row = set_byte(row, 5, 255 - get_byte(row, 5))");
    changed.expect("it is changed");
    let output = on_it(&["verify", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(
        (&report["ok"], &report["damaged"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let error = report["error"].as_str().expect("an error");
    assert!(error.contains("saldo.api_keys, no 0"), "{error}");
}
