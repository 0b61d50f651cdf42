//! `saldo simulate` says what it did, and the same for the same seed.

use serde_json::Value;

use crate::harness::{run, said};

fn simulate(arguments: &[&str]) -> Value {
    let output = run(&[&["simulate", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

#[test]
fn a_seed_can_be_repeated() {
    let first = simulate(&["--seed", "7", "--runs", "20"]);
    assert_eq!((&first["ok"], &first["runs"]), (&Value::Bool(true), &20.into()));
    for number in ["crashes", "commands", "records", "reads", "powerLosses"] {
        assert!(
            first[number].as_u64().is_some_and(|number| number > 0),
            "{number}: {first}"
        );
    }
    assert_eq!(simulate(&["--seed", "7", "--runs", "20"]), first);
    assert_ne!(simulate(&["--seed", "8", "--runs", "20"]), first);
    let told = run(&["simulate", "--seed", "7", "--runs", "2"]);
    let text = said(&told);
    assert!(
        text.contains("seed 7") && text.contains("OK: in 2 runs"),
        "{text}"
    );
}
