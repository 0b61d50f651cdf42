//! What the binary says of itself: help, completion, manual pages.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{run, said, saldo};

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn help_shows_commands_by_what_they_are_for() {
    let help = stdout(&run(&["--help"]));
    let order = [
        "Usage: saldo <COMMAND>",
        "\nServe:\n",
        "  sandbox      Starts a server with a sample world",
        "\nAsk a running server:\n",
        "  post         Posts a transaction",
        "\nLook after a store:\n",
        "\nOptions:\n",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|words| help.find(words).unwrap_or_else(|| panic!("no {words} in {help}")))
        .collect();
    assert!(places.is_sorted(), "{help}");
    for command in [&["post"][..], &["balance"], &["client"], &["key", "create"]] {
        let help = stdout(&run(&[command, &["--help"]].concat()));
        for words in [
            "minor units",
            "Exits with 0",
            "--token <TOKEN>",
            "[env: SALDO_TOKEN]",
            "--json",
        ] {
            assert!(help.contains(words), "{command:?}: {help}");
        }
    }
}

#[test]
fn help_and_manual_tell_no_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().to_str().expect("text");
    for arguments in [
        &["client", "list", "--help"][..],
        &["man"],
        &["completion", "bash"],
        &["man", "--to", pages],
    ] {
        let output = saldo(arguments).env("SALDO_TOKEN", "saldo_hush").output();
        assert!(!stdout(&output.expect("it starts")).contains("saldo_hush"));
    }
    let page = std::fs::read_to_string(folder.path().join("saldo-client-list.1")).expect("a page");
    assert!(
        page.contains("SALDO_TOKEN") && !page.contains("saldo_hush"),
        "{page}"
    );
}

#[test]
fn choices_are_those_of_the_api() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("JSON");
    for (schema, command) in [
        ("Purpose", &["account", "create"][..]),
        ("AccountStatus", &["account", "update"]),
        ("Scope", &["key", "create"]),
        ("HoldStatus", &["hold", "list"]),
        ("AssetKind", &["asset", "create"]),
    ] {
        let choices = document["components"]["schemas"][schema]["enum"]
            .as_array()
            .expect("choices");
        let help = stdout(&run(&[command, &["--help"]].concat()));
        let shown = help
            .split("[possible values: ")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        let mut shown: Vec<_> = shown
            .expect("possible values")
            .split(", ")
            .map(str::trim)
            .collect();
        let mut choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        shown.sort_unstable();
        choices.sort_unstable();
        assert_eq!(shown, choices, "{schema}");
    }
}

#[test]
fn bash_completes_words() {
    let script = stdout(&run(&["completion", "bash"]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("saldo.bash");
    std::fs::write(&file, script).expect("a file");
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let program = format!(
            "source {file}; COMP_WORDS=({line}); COMP_CWORD={last}; _saldo saldo \"{word}\" \"{before}\"; echo \"${{COMPREPLY[@]}}\"",
            file = file.display(),
            line = words
                .iter()
                .map(|word| format!("\"{word}\""))
                .collect::<Vec<_>>()
                .join(" "),
            word = words[last],
            before = words[last - 1],
        );
        let output = Command::new("bash").args(["--norc", "-c", &program]).output();
        let output = output.expect("bash starts");
        assert!(output.stderr.is_empty(), "{}", said(&output));
        stdout(&output).trim().to_owned()
    };
    assert_eq!(complete(&["saldo", "cl"]), "client");
    assert_eq!(complete(&["saldo", "hold", "c"]), "capture");
    assert_eq!(complete(&["saldo", "client", "create", "--na"]), "--name");
    assert_eq!(
        complete(&["saldo", "account", "create", "--purpose", "rec"]),
        "receivable"
    );
}

#[test]
fn other_shells_get_scripts_of_theirs() {
    let zsh = stdout(&run(&["completion", "zsh"]));
    assert!(zsh.starts_with("#compdef saldo") && zsh.contains("capture"));
    let fish = stdout(&run(&["completion", "fish"]));
    assert!(fish.contains("complete -c saldo") && fish.contains("capture"));
    for (shell, script) in [("zsh", zsh), ("fish", fish)] {
        if is_installed(shell) {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("script");
            std::fs::write(&file, script).expect("a file");
            let checked = Command::new(shell)
                .arg("-n")
                .arg(&file)
                .output()
                .expect("it starts");
            assert!(checked.status.success(), "{shell}: {}", said(&checked));
        }
    }
    assert_eq!(run(&["completion", "tcsh"]).status.code(), Some(2));
}

#[test]
fn manual_pages_are_pages_of_the_manual() {
    let page = stdout(&run(&["man"]));
    for part in [
        ".TH saldo 1",
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH SUBCOMMANDS",
        "saldo\\-balance(1)",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    let written = run(&["man", "--to", pages.to_str().expect("text")]);
    assert!(written.status.success(), "{}", said(&written));
    let names = std::fs::read_dir(&pages).expect("the folder");
    let names: Vec<_> = names.map(|file| file.expect("a file").path()).collect();
    assert!(names.contains(&pages.join("saldo.1")) && names.contains(&pages.join("saldo-hold-capture.1")));
    for file in &names {
        let text = std::fs::read_to_string(file).expect("it is text");
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{}",
            file.display()
        );
    }
    // A manual is for reading: groff complains of what it does not understand.
    if is_installed("groff") {
        let rendered = Command::new("groff")
            .args(["-k", "-man", "-Tutf8"])
            .args(&names)
            .output();
        let rendered = rendered.expect("groff starts");
        assert!(
            rendered.status.success() && rendered.stderr.is_empty(),
            "{}",
            said(&rendered)
        );
    }
}
