//! The tests of every store on PostgreSQL, and what only a database has.

use crate::harness::{Home, run, said};

#[path = "every_store/mod.rs"]
mod every_store;

/// How often a server is killed, unless the environment says it: few times, as what it has written is in the hands of another
/// process, which lives on.
pub(crate) const KILLS: u64 = 4;

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
