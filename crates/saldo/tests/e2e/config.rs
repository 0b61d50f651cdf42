//! The configuration: by file, environment and flags, in this order, and what is said of one that is wrong.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Client, Home, Server, run, said, saldo};

const FILE: &str = "[server]\nlisten = \"127.0.0.1:1\"\nmetrics = \"127.0.0.1:2\"\n\n\
    [magicline]\nrate_limit_per_minute = 7\nprefix = \"/file\"\n\n[service]\npage_items = 50\n";

/// What is in force with these flags and this environment.
fn check(flags: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = saldo(&[&["config", "check"], flags].concat());
    command.envs(env.iter().copied()).output().expect("it starts")
}

/// A setting's value and source.
fn setting(all: &Value, section: &str, key: &str) -> (String, String) {
    let mut found = all.as_array().expect("a list").iter();
    let found = found.find(|one| one["section"] == section && one["key"] == key);
    let found = found.unwrap_or_else(|| panic!("no {section}.{key}"));
    let text = |name: &str| found[name].as_str().expect("text").to_owned();
    (text("value"), text("source"))
}

#[test]
fn flags_win_over_the_environment_that_over_the_file_and_that_over_defaults() {
    let home = Home::in_a_folder();
    let file = home.path().join("saldo.toml");
    std::fs::write(&file, FILE).expect("it is written");
    let file = file.to_str().expect("text");
    let env = [
        ("SALDO_CONFIG", file),
        ("SALDO_METRICS", "127.0.0.1:3"),
        ("SALDO_LISTEN", "127.0.0.1:4"),
        ("SALDO_MAGICLINE_PREFIX", "/env"),
        ("SALDO_POLYGON_PURPOSES", "main, card"),
        ("SALDO_LIGHT_ENABLED", "false"),
        ("SALDO_STORE", "postgres://saldo:hunter2@db.example/saldo"),
    ];
    let checked = check(&["--json", "--listen", "127.0.0.1:5"], &env);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(!said(&checked).contains("hunter2"), "{}", said(&checked));
    let all: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    for (section, key, value, source) in [
        ("server", "listen", "\"127.0.0.1:5\"", "--listen"),
        ("server", "metrics", "\"127.0.0.1:3\"", "SALDO_METRICS"),
        ("magicline", "prefix", "\"/env\"", "SALDO_MAGICLINE_PREFIX"),
        ("magicline", "rate_limit_per_minute", "7", "file"),
        ("service", "page_items", "50", "file"),
        ("service", "postings", "1000", "default"),
        (
            "polygon",
            "purposes",
            "[\"main\", \"card\"]",
            "SALDO_POLYGON_PURPOSES",
        ),
        ("light", "enabled", "false", "SALDO_LIGHT_ENABLED"),
        ("server", "behind_proxy", "false", "default"),
        ("server", "log_format", "\"text\"", "default"),
    ] {
        let expected = (value.to_owned(), source.to_owned());
        assert_eq!(setting(&all, section, key), expected, "{section}.{key}");
    }
    let text = said(&check(&[], &env));
    assert!(
        text.contains("[magicline]\n") && text.contains("# SALDO_MAGICLINE_PREFIX"),
        "{text}"
    );
    // What is shown is a configuration that is good and says the same.
    let again = home.path().join("again.toml");
    std::fs::write(&again, &text).expect("it is written");
    let again = check(&["--json", "--config", again.to_str().expect("text")], &[]);
    let again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(
        setting(&again, "magicline", "prefix"),
        ("\"/env\"".to_owned(), "file".to_owned())
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let home = Home::in_a_folder();
    let file = home.path().join("saldo.toml");
    let name = file.to_str().expect("text");
    for (text, expected) in [
        ("[server]\nlisten = \"x\"\nport = 1\n", ["line 3", "port"]),
        ("[magiclime]\nprefix = \"\"\n", ["line 1", "magiclime"]),
        ("[native]\nprefix = 5\n", ["line 2", "prefix"]),
        (
            "[service]\npostings = 0\n",
            ["saldo.toml", "postings must be from 1 to 1073741824"],
        ),
    ] {
        std::fs::write(&file, text).expect("it is written");
        for command in [
            &["config", "check", "--config", name][..],
            &["serve", "--config", name],
        ] {
            let failed = run(command);
            assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
            for part in expected {
                assert!(said(&failed).contains(part), "{part}: {}", said(&failed));
            }
        }
    }
    for (variable, text, expected) in [
        ("SALDO_SERVICE_POSTINGS", "many", "a whole number"),
        ("SALDO_BEHIND_PROXY", "perhaps", "true or false"),
        ("SALDO_POLYGON_PURPOSES", "main,savings", "savings"),
        ("SALDO_TLS_CERT", "/etc/cert.pem", "--tls-key"),
        ("SALDO_LOG_FORMAT", "xml", "json"),
    ] {
        let failed = check(&[], &[(variable, text)]);
        assert_eq!(failed.status.code(), Some(1), "{variable}");
        assert!(said(&failed).contains(expected), "{}", said(&failed));
    }
}

#[test]
fn the_server_does_what_the_file_says() {
    let home = Home::in_a_folder();
    let store = home.store();
    let made = run(&["init", "--store", &store]);
    assert!(made.status.success(), "{}", said(&made));
    let file = home.path().join("saldo.toml");
    let text = format!("[server]\nstore = \"{store}\"\n[native]\nprefix = \"/here\"\n");
    std::fs::write(&file, text).expect("it is written");
    let server = Server::start(&["serve", "--config", file.to_str().expect("text")], home.path());
    let client = Client::to(&server.url);
    assert_eq!(client.get("/here/keys", &[]).status, 401);
    assert_eq!(client.get("/api/v1/keys", &[]).status, 404);
}
