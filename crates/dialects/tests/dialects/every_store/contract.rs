//! The OpenAPI document holds: each answer that any test here is given is one that it describes, and what was taken is
//! what it says may be sent.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use dialects::{Config, Found, Method, Router};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::world::Answer;

/// The document with all wire formats where they are by default.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| dialects::openapi::document(&Router::new(Config::default())));

/// Schemas that were used, by what they describe.
static SCHEMAS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Checks an answer that a router gave.
#[track_caller]
pub(crate) fn check(router: &Router, method: &str, path: &str, body: &str, answer: &Answer) {
    // Paths that nobody has are in no document, and a path with another method answers as its wire format does.
    let Found::Route { dialect, route, .. } = router.find(Method::parse(method), path) else {
        return;
    };
    let prefix = (dialect.mount)(&Config::default()).prefix;
    let method = if method == "HEAD" { "get" } else { method }.to_ascii_lowercase();
    let name = format!("{method} {prefix}{}", route.pattern);
    let operation = &DOCUMENT["paths"][format!("{prefix}{}", route.pattern)][&method];
    let described = &operation["responses"][answer.status.to_string()];
    assert!(
        !described.is_null(),
        "{name}: {} is not described: {}",
        answer.status,
        answer.body
    );
    let described = resolve(described);
    check_headers(&name, described, answer);
    match described["content"]
        .as_object()
        .and_then(|content| content.iter().next())
    {
        // Of answers to HEAD.
        _ if answer.body.is_empty() => {}
        None => panic!("{name}: no body is described: {}", answer.body),
        Some((media_type, content)) => {
            assert_eq!(answer.header("content-type"), Some(media_type.as_str()), "{name}");
            let bodies = match media_type.as_str() {
                "application/x-ndjson" => answer.body.lines().collect(),
                _ => vec![answer.body.as_str()],
            };
            for body in bodies {
                validate(&format!("{name} {}", answer.status), &content["schema"], body);
            }
        }
    }
    let asked = &operation["requestBody"]["content"]["application/json"]["schema"];
    // A body that none was asked for goes unread.
    if answer.status < 300 && !body.is_empty() && !asked.is_null() {
        validate(&format!("{name} takes"), asked, body);
    }
}

/// What is always there must be there, and what is there must be described.
#[track_caller]
fn check_headers(name: &str, described: &'static Value, answer: &Answer) {
    let headers = described["headers"].as_object().unwrap();
    let status = answer.status;
    for (header, described) in headers {
        let given = answer.header(&header.to_ascii_lowercase());
        let described = resolve(described);
        assert!(
            given.is_some() || described["required"] == false,
            "{name} {status} lacks {header}"
        );
        if let Some(text) = given.filter(|_| described["schema"]["type"] == "integer") {
            assert!(text.parse::<u64>().is_ok(), "{name} {status}: {header}: {text}");
        }
    }
    for (header, _) in &answer.headers {
        let known =
            header == "content-type" || headers.keys().any(|known| known.eq_ignore_ascii_case(header));
        assert!(known, "{name} {status}: {header} is not described");
    }
}

#[track_caller]
fn validate(name: &str, schema: &Value, body: &str) {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
    let validator = {
        let mut schemas = SCHEMAS.lock().unwrap();
        let made = schemas.entry(name.to_owned()).or_insert_with(|| {
            // References lead to the document's components.
            let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
            Arc::new(jsonschema::validator_for(&whole).unwrap())
        });
        Arc::clone(made)
    };
    if let Err(error) = validator.validate(&body) {
        panic!("{name}: {error} at {} of {body}", error.instance_path());
    }
}

fn resolve(described: &'static Value) -> &'static Value {
    match described["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => described,
    }
}
