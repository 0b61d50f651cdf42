//! The tests of every store on PostgreSQL, and what only a database has.

use serde_json::{Value, json};

use crate::harness::{Home, run, said};
use crate::moments::Moment;

#[path = "every_store/mod.rs"]
mod every_store;

/// How often a server is killed, unless the environment says it: few times, as what it has written is in the hands of another
/// process, which lives on.
pub(crate) const KILLS: u64 = 4;

/// In the midst of what kills fall: a server does nothing but its work.
pub(crate) const MOMENTS: &[Moment] = &[];

/// A place for a store.
pub(crate) fn home() -> Home {
    Home::in_a_database()
}

#[test]
fn a_database_that_is_not_there_is_named_without_the_password() {
    let nobody = "postgres://me:hush@127.0.0.1:1/saldo";
    let postgres = said(&run(&["serve", "--store", nobody]));
    assert!(postgres.contains("the database can't be used"), "{postgres}");
    assert!(!postgres.contains("hush"), "{postgres}");
}

fn migrate(store: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(&[&["migrate", "--json", "--store", store], arguments].concat());
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code(), answer)
}

#[test]
fn what_a_database_lacks_is_said_and_done() {
    let home = home();
    let store = home.store();
    let (code, answer) = migrate(&store, &["--check"]);
    let why = answer["error"].as_str().unwrap_or_default();
    assert!(code == Some(2) && why.contains("saldo init"), "{answer}");
    assert!(run(&["init", "--store", &store]).status.success());
    let nothing = json!({"ok": true, "pending": [], "done": []});
    assert_eq!(migrate(&store, &["--check"]), (Some(0), nothing.clone()));
    assert_eq!(migrate(&store, &[]), (Some(0), nothing.clone()));

    // As if the last step were not done yet, or a newer program had done one more.
    home.sql("update saldo.migrations set version = version - 1");
    let (code, answer) = migrate(&store, &["--check"]);
    let steps = answer["pending"].as_array().map(Vec::len);
    assert_eq!(
        (code, &answer["ok"], steps),
        (Some(1), &json!(false), Some(1)),
        "{answer}"
    );
    home.sql("update saldo.migrations set version = version + 2");
    for arguments in [&["--check"][..], &[]] {
        let (code, answer) = migrate(&store, arguments);
        let why = answer["error"].as_str().unwrap_or_default();
        assert!(code == Some(2) && why.contains("use a newer one"), "{answer}");
    }

    // What can't be reached is not up to date; what is a folder always is.
    assert_eq!(migrate("postgres://127.0.0.1:1/saldo", &["--check"]).0, Some(2));
    assert_eq!(migrate("./anything", &["--check"]), (Some(0), nothing));
    assert!(said(&run(&["migrate", "--store", "./anything"])).contains("nothing to migrate"));
}
