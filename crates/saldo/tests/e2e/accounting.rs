//! Accountants' tools that the exports are shown to. `cargo xtask test` installs what they need.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The version that was tried.
const BEANCOUNT: &str = "beancount==3.1.0";

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A tool that is missing is an error where everything must be tried.
fn missing<T>(what: &str) -> Option<T> {
    println!("not run: {what}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}");
    None
}

/// hledger, a Debian package.
pub(crate) fn hledger() -> Option<String> {
    match succeeds(Command::new("hledger").arg("--version")) {
        true => Some("hledger".to_owned()),
        false => missing("hledger is missing; install the package hledger"),
    }
}

/// A Python that has beancount, in an environment of its own among the build's files.
pub(crate) fn beancount() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("beancount");
        let python = place.join("bin/python");
        let works = || succeeds(Command::new(&python).args(["-c", "import beancount.loader"]));
        let made = works()
            || (succeeds(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&place),
            ) && succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", BEANCOUNT]))
                && works());
        made.then_some(python)
    });
    match python {
        Some(python) => Some(python.clone()),
        None => missing("beancount can't be installed; it takes the package python3-venv, and PyPI"),
    }
}
