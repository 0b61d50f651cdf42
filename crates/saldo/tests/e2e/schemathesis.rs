//! schemathesis, from outside: it makes requests of the OpenAPI document, good ones and bad ones, and checks that each answer is
//! one that the document describes, that what is well formed is taken and what is not is refused.
//!
//! A plain run is short and the same each time; `SALDO_TEST_SECONDS` makes it as long as that, from `SALDO_TEST_SEED` on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::{Client, Home, Sandbox, setting};

/// How many requests of each kind are made for each operation in a plain run.
const EXAMPLES: &str = "15";

#[test]
fn the_document_is_kept() {
    let home = Home::in_a_folder();
    let sandbox = home.sandbox();
    let folder = home.path().join("schemathesis");
    copy_configuration(&folder);
    let seed = setting("SALDO_TEST_SEED", 1).to_string();
    let mut command = Command::new(program());
    command
        .current_dir(&folder)
        .args(["--config-file", "schemathesis.toml", "run"])
        .arg(format!("{}/api/openapi.json", sandbox.server.url))
        .args(["--checks", "all", "--seed", &seed, "--no-color"])
        .envs(credentials(&sandbox));
    match setting("SALDO_TEST_SECONDS", 0) {
        0 => command.args(["--max-examples", EXAMPLES]),
        seconds => command.args(["--max-time", &seconds.to_string()]),
    };
    let ran = command.output().expect("schemathesis starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "schemathesis found something:\n{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // That all of it was tried, and nothing was skipped for want of credentials.
    let routes = said
        .lines()
        .find(|line| line.contains("Operations"))
        .unwrap_or_default();
    println!("{routes}\n{}", said.lines().last().unwrap_or_default());
    assert_eq!(sandbox.server.stop().0.code(), Some(0));
    home.verify();
}

/// It writes what it finds beside its configuration, which is therefore not where the tests are.
fn copy_configuration(folder: &Path) {
    std::fs::create_dir(folder).expect("a folder");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    for file in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(tests.join(file), folder.join(file)).expect("it is copied");
    }
}

/// What the configuration of schemathesis and its hooks read.
fn credentials(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let pair = json!({
        "apiKey": sandbox.on_card("/polygon/apiKey"), "apiSecret": sandbox.on_card("/polygon/apiSecret"),
    });
    let issued = Client::to(&sandbox.server.url)
        .post("/v0.9/auth/token", &pair)
        .json(200);
    let accounts = sandbox.card["accounts"].as_object().expect("accounts");
    let ids: Vec<_> = accounts.values().filter_map(|id| id.as_str()).collect();
    vec![
        ("SALDO_NATIVE_TOKEN", sandbox.on_card("/native/token")),
        ("SALDO_CONDUIT_KEY", sandbox.on_card("/conduit/apiKey")),
        ("SALDO_CONDUIT_SECRET", sandbox.on_card("/conduit/apiSecret")),
        ("SALDO_MAGICLINE_KEY", sandbox.on_card("/magicline/apiKey")),
        (
            "SALDO_POLYGON_JWT",
            issued["accessToken"].as_str().expect("a token").to_owned(),
        ),
        ("SALDO_LIGHT_KEY", sandbox.on_card("/light/apiKey")),
        ("SALDO_IDS", ids.join(",")),
    ]
}

/// Where `cargo xtask test` installs it: beside what cargo builds.
fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_saldo"));
    let target = built.ancestors().nth(2).expect("it is in a profile's folder");
    let program = target.join("schemathesis-4.32.5/bin/schemathesis");
    assert!(
        program.exists(),
        "{} is not there; `cargo xtask test` installs it",
        program.display()
    );
    program
}
