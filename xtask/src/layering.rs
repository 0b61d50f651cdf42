//! Which crate may depend on which, proved from `cargo metadata`.
//!
//! `saldo → {dialects, store-*}`, `dialects → service → store → ledger`, `store-* → store`. A crate may use whatever it
//! reaches along these arrows, never anything back or sideways. The ledger is pure: nothing it is built from does I/O.
//!
//! What tests alone use is left out: a test may hold parts together as it likes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::run::{self, Result};

/// What each crate of the workspace, or family of them, stands directly upon.
const ARROWS: &[(&str, &[&str])] = &[
    ("saldo", &["dialects", "store-*"]),
    ("dialects", &["service"]),
    ("service", &["store"]),
    ("store-*", &["store"]),
    ("store", &["ledger"]),
    ("ledger", &[]),
    ("test-postgres", &[]),
    ("xtask", &["test-postgres"]),
];

/// What the ledger may not contain: I/O, clocks, randomness, and what is made for them.
///
/// Dates are fine as arithmetic, so `jiff` isn't here.
#[rustfmt::skip] // a line per kind
const IMPURE: &[&str] = &[
    // Files, memory maps, system calls
    "fs-err", "io-uring", "memmap2", "nix", "notify", "rustix", "signal-hook", "tempfile",
    // Sockets and event loops
    "async-io", "async-std", "mio", "polling", "smol", "socket2", "tokio",
    // Protocols
    "axum", "h2", "hyper", "hyper-util", "opentelemetry", "postgres", "reqwest", "rustls", "sqlx", "tokio-postgres",
    "tower", "ureq",
    // Logs
    "log", "tracing", "tracing-subscriber",
    // Clocks
    "chrono", "time",
    // Randomness
    "fastrand", "getrandom", "rand",
];

/// Packages by name, each with the names of what it is built from; several versions of one name count as one.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// Fails with every dependency that breaks the rule.
pub(crate) fn check() -> Result {
    let metadata = run::output(run::cargo(&["metadata", "--format-version", "1"]))?;
    let metadata: Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
    let (members, dependencies) =
        read(&metadata).ok_or("cargo metadata has another form than this task knows")?;
    let violations = violations(&members, &dependencies);
    if violations.is_empty() {
        println!("{} crates, each in its layer", members.len());
        Ok(())
    } else {
        Err(format!("the layering is broken:\n  {}", violations.join("\n  ")))
    }
}

/// The crates of the workspace, and what every package is built from.
fn read(metadata: &Value) -> Option<(BTreeSet<String>, Dependencies)> {
    let names = |package: &Value| {
        Some((
            package["id"].as_str()?.to_owned(),
            package["name"].as_str()?.to_owned(),
        ))
    };
    let names: BTreeMap<_, _> = metadata["packages"]
        .as_array()?
        .iter()
        .map(names)
        .collect::<Option<_>>()?;
    let name = |id: &Value| names.get(id.as_str()?).cloned();

    let members = metadata["workspace_members"]
        .as_array()?
        .iter()
        .map(name)
        .collect::<Option<_>>()?;
    let mut dependencies = Dependencies::new();
    for node in metadata["resolve"]["nodes"].as_array()? {
        let used = dependencies.entry(name(&node["id"])?).or_default();
        for dependency in node["deps"].as_array()? {
            if dependency["dep_kinds"]
                .as_array()?
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                used.insert(name(&dependency["pkg"])?);
            }
        }
    }
    Some((members, dependencies))
}

fn violations(members: &BTreeSet<String>, dependencies: &Dependencies) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members {
        let Some(layer) = layer(member) else {
            violations.push(format!(
                "{member} has no place in the layering; give it one in xtask/src/layering.rs"
            ));
            continue;
        };
        let below = below(layer);
        for used in dependencies
            .get(member)
            .into_iter()
            .flatten()
            .filter(|used| members.contains(*used))
        {
            if !self::layer(used).is_some_and(|used| below.contains(used)) {
                violations.push(format!("{member} may not depend on {used}"));
            }
        }
    }
    for path in paths_from("ledger", dependencies).values() {
        let last = path.last().expect("a path has its start at least");
        if IMPURE.contains(&last.as_str()) {
            violations.push(format!("ledger may not contain {last}: {}", path.join(" → ")));
        }
    }
    violations
}

/// The name under which a crate stands in [`ARROWS`].
fn layer(member: &str) -> Option<&'static str> {
    let layers = || ARROWS.iter().map(|(layer, _)| *layer);
    let family = |layer: &&str| {
        layer
            .strip_suffix('*')
            .is_some_and(|start| member.starts_with(start))
    };
    layers()
        .find(|layer| *layer == member)
        .or_else(|| layers().find(family))
}

/// All that is reached along the arrows from `layer`.
fn below(layer: &str) -> BTreeSet<&'static str> {
    let direct = ARROWS
        .iter()
        .filter(|(from, _)| *from == layer)
        .flat_map(|(_, to)| to.iter().copied());
    direct.flat_map(|to| below(to).into_iter().chain([to])).collect()
}

/// Everything that `start` is built from, each with one shortest path to it.
fn paths_from(start: &str, dependencies: &Dependencies) -> BTreeMap<String, Vec<String>> {
    let mut paths = BTreeMap::from([(start.to_owned(), vec![start.to_owned()])]);
    let mut front = vec![start.to_owned()];
    while !front.is_empty() {
        let mut next = Vec::new();
        for from in front {
            for to in dependencies.get(&from).into_iter().flatten() {
                if !paths.contains_key(to) {
                    let path = [&paths[&from][..], std::slice::from_ref(to)].concat();
                    paths.insert(to.clone(), path);
                    next.push(to.clone());
                }
            }
        }
        front = next;
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Crates of the workspace are those that `ARROWS` may know; a line is `crate: what it uses`.
    fn check(members: &str, table: &str, expected: &[&str]) {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        let dependencies = table
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, used)| (name.trim().to_owned(), words(used)))
            .collect();
        assert_eq!(violations(&words(members), &dependencies), expected, "{table}");
    }

    const ALL: &str = "saldo dialects service store store-journal store-postgres ledger xtask";

    #[test]
    fn the_whole_design_passes() {
        check(
            ALL,
            "saldo: dialects service store store-journal store-postgres ledger tokio axum
             dialects: service store ledger axum
             service: store ledger tokio
             store-journal: store ledger rustix
             store-postgres: store ledger tokio
             store: ledger tokio
             ledger: blake3 smallvec
             xtask: clap
             axum: tokio
             tokio: mio",
            &[],
        );
        check("ledger", "", &[]);
        check("", "", &[]);
    }

    #[test]
    fn nothing_goes_back() {
        for (member, used) in [
            ("ledger", "store"),
            ("store", "service"),
            ("store", "store-journal"),
            ("service", "dialects"),
            ("dialects", "saldo"),
            ("store-journal", "saldo"),
            ("ledger", "ledger"),
        ] {
            check(
                ALL,
                &format!("{member}: {used}"),
                &[&format!("{member} may not depend on {used}")],
            );
        }
    }

    #[test]
    fn nothing_goes_sideways() {
        for (member, used) in [
            ("store-journal", "store-postgres"),
            ("store-postgres", "service"),
            ("service", "store-journal"),
            ("dialects", "store-postgres"),
            ("saldo", "xtask"),
            ("xtask", "ledger"),
        ] {
            check(
                ALL,
                &format!("{member}: {used}"),
                &[&format!("{member} may not depend on {used}")],
            );
        }
    }

    #[test]
    fn each_violation_is_named() {
        check(
            ALL,
            "service: dialects saldo store",
            &[
                "service may not depend on dialects",
                "service may not depend on saldo",
            ],
        );
    }

    #[test]
    fn an_unknown_crate_needs_a_place() {
        let no_place =
            |name: &str| format!("{name} has no place in the layering; give it one in xtask/src/layering.rs");
        check("tools ledger", "tools: ledger", &[&no_place("tools")]);
        check("storefront", "", &[&no_place("storefront")]);
        check("store-memory ledger", "store-memory: ledger", &[]);
    }

    #[test]
    fn the_ledger_is_pure_all_the_way_down() {
        check(
            "ledger store",
            "ledger: blake3 tokio
             blake3: cpufeatures dates
             dates: clocks
             clocks: getrandom
             store: tokio axum",
            &[
                "ledger may not contain getrandom: ledger → blake3 → dates → clocks → getrandom",
                "ledger may not contain tokio: ledger → tokio",
            ],
        );
    }

    #[test]
    fn circles_among_packages_end() {
        check("ledger", "ledger: a\na: b\nb: a", &[]);
    }

    #[test]
    fn what_only_tests_and_build_scripts_use_is_left_out() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "path+ledger", "name": "ledger"},
                {"id": "path+store", "name": "store"},
                {"id": "registry+rand@0.9", "name": "rand"},
                {"id": "registry+cc", "name": "cc"},
                {"id": "registry+blake3", "name": "blake3"},
            ],
            "workspace_members": ["path+ledger", "path+store"],
            "resolve": {"nodes": [
                {"id": "path+ledger", "deps": [
                    {"pkg": "registry+rand@0.9", "dep_kinds": [{"kind": "dev", "target": null}]},
                    {"pkg": "registry+cc", "dep_kinds": [{"kind": "build", "target": null}]},
                    {"pkg": "registry+blake3", "dep_kinds": [{"kind": null, "target": "cfg(unix)"}, {"kind": "dev"}]},
                ]},
                {"id": "path+store", "deps": [{"pkg": "path+ledger", "dep_kinds": [{"kind": null}]}]},
                {"id": "registry+blake3", "deps": []},
            ]},
        });
        let (members, dependencies) = read(&metadata).unwrap();
        assert_eq!(members, ["ledger", "store"].map(str::to_owned).into());
        assert_eq!(dependencies["ledger"], ["blake3".to_owned()].into());
        assert_eq!(dependencies["store"], ["ledger".to_owned()].into());
        assert!(read(&serde_json::json!({})).is_none());
    }
}
