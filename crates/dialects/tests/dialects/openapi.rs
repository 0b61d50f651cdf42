//! The OpenAPI document as a whole: `docs/openapi.json` is what the code says.

use std::collections::BTreeSet;

use dialects::{Config, Router};
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

fn document() -> Value {
    dialects::openapi::document(&Router::new(Config::default()))
}

#[test]
fn the_openapi_file_is_what_the_code_says() {
    let document = document();
    if std::env::var_os("SALDO_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&document).expect("it is JSON");
        std::fs::write(FILE, text + "\n").expect("the file is written");
        return;
    }
    let text = std::fs::read_to_string(FILE).expect("docs/openapi.json is there");
    let known: Value = serde_json::from_str(&text).expect("docs/openapi.json is JSON");
    assert!(
        known == document,
        "docs/openapi.json is not what the code says; write it anew, and look at what changed: \
         SALDO_UPDATE=1 cargo test --workspace --test dialects -- examples openapi (twice if examples changed)"
    );
}

#[test]
fn operations_have_names_of_their_own_and_groups_that_are_described() {
    let document = document();
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut names = BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(
                names.insert(name.to_owned()),
                "{method} {path}: {name} is another's"
            );
            let tag = operation["tags"][0].as_str().expect("a tag");
            assert!(tags.contains(tag), "{name}: {tag} is not described");
            let in_path = operation["parameters"].as_array().into_iter().flatten();
            let in_path = in_path.filter(|parameter| parameter["in"] == "path");
            let named: Vec<_> = in_path
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let varying: Vec<_> = path
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(named, varying, "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_no_schema_is_idle() {
    fn walk<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.insert(reference);
                }
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    walk(&document, &mut found);
    for reference in &found {
        let target = document.pointer(reference.trim_start_matches('#'));
        assert!(target.is_some(), "{reference} leads nowhere");
    }
    for kind in ["schemas", "responses", "headers"] {
        for name in document["components"][kind]
            .as_object()
            .expect("components")
            .keys()
        {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(reference.as_str()), "{reference} is never used");
        }
    }
}

#[test]
fn paths_are_where_the_configuration_mounts_them() {
    let config =
        Config::from_toml("[conduit]\nprefix = \"/partner\"\n[light]\nenabled = false").expect("it is good");
    let document = dialects::openapi::document(&Router::new(config));
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/partner/clients/accounts") && !paths.contains_key("/clients/accounts"));
    assert!(!paths.keys().any(|path| path.contains("card-balance")));
    assert!(document["components"]["schemas"].get("LightProblem").is_none());
}
