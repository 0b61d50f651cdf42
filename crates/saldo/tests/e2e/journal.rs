//! The tests of every store on the journal, and what only a folder has.

use tempfile::tempdir;

use crate::harness::{Home, run, said, saldo};
use crate::moments::Moment;

#[path = "every_store/mod.rs"]
mod every_store;

/// How often a server is killed, unless the environment says it.
pub(crate) const KILLS: u64 = 20;

/// In the midst of what every other kill falls.
pub(crate) const MOMENTS: &[Moment] = &Moment::ALL;

/// A place for a store.
pub(crate) fn home() -> Home {
    Home::in_a_folder()
}

#[test]
fn one_process_at_a_time() {
    let home = home();
    let sandbox = home.sandbox();
    let store = home.store();
    for command in [
        vec!["sandbox", "--listen", "127.0.0.1:0", "--store", &store],
        vec!["serve", "--listen", "127.0.0.1:0", "--store", &store],
    ] {
        let refused = run(&command);
        assert!(!refused.status.success());
        let said = said(&refused);
        assert!(
            said.contains("has this store open") && said.contains(&store),
            "{said}"
        );
    }
    assert_eq!(sandbox.conduit().get("/clients/accounts", &[]).status, 200);
    // Who only reads may.
    home.verify();
}

#[test]
fn files_are_as_small_as_the_environment_says() {
    let home = home();
    let store = home.store();
    let init = |bytes: &str| {
        let mut command = saldo(&["init", "--store", &store]);
        command
            .env("SALDO_SEGMENT_BYTES", bytes)
            .output()
            .expect("it starts")
    };
    for wrong in ["", "16k", "4095", "-1", "2000000000000"] {
        let refused = init(wrong);
        let said = said(&refused);
        assert!(
            !refused.status.success() && said.contains("SALDO_SEGMENT_BYTES must be"),
            "{said}"
        );
    }
    let made = init("65536");
    assert!(made.status.success(), "{}", said(&made));
    let first = std::path::Path::new(&store).join("00000001.log");
    assert_eq!(std::fs::metadata(first).expect("a segment").len(), 65536);
    // Who opens it need not say so.
    home.verify();
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path of text");
    let mine = folder.path().join("thesis.txt");
    std::fs::write(&mine, "dear diary").expect("a file");
    for command in ["init", "sandbox"] {
        let refused = run(&[command, "--store", path]);
        assert!(
            !refused.status.success() && said(&refused).contains("other things"),
            "{}",
            said(&refused)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
}
