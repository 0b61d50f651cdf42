//! Schemas that wire formats share, after JSON Schema 2020-12 and OpenAPI 3.1.

use serde_json::{Map, Value, json};

/// A schema that stands among the document's components.
#[must_use]
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object with these members and no others; the name of one that need not be there ends with a question mark.
#[must_use]
pub fn object(about: &str, members: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        let bare = name.trim_end_matches('?');
        if bare == *name {
            required.push(bare);
        }
        properties.insert(bare.to_owned(), schema.clone());
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !about.is_empty() {
        schema["description"] = about.into();
    }
    schema
}

/// An array of these.
#[must_use]
pub fn array(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A string that matches a pattern.
#[must_use]
pub fn text(pattern: &str, about: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "description": about})
}

/// One of these words.
#[must_use]
pub fn word<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    let words: Vec<_> = words.into_iter().collect();
    json!({"type": "string", "enum": words})
}

/// A schema with something said about it.
#[must_use]
pub fn about(mut schema: Value, text: &str) -> Value {
    schema["description"] = text.into();
    schema
}

/// The UUID of something, as answers spell it.
#[must_use]
pub fn uuid() -> Value {
    json!({"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"})
}

/// A point in time, as answers spell it.
#[must_use]
pub fn time() -> Value {
    let pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";
    json!({"type": "string", "format": "date-time", "pattern": pattern})
}

/// A KSUID behind a prefix.
#[must_use]
pub fn ksuid(prefix: crate::spelling::Prefix) -> Value {
    json!({"type": "string", "pattern": format!("^{}[0-9A-Za-z]{{27}}$", prefix.as_str())})
}

/// A TypeID.
#[must_use]
pub fn typeid() -> Value {
    json!({"type": "string", "pattern": "^cst_[0-7][0-9a-hjkmnp-tv-z]{25}$"})
}

/// The parameter of a path, a query or the headers.
#[must_use]
pub fn parameter(place: &str, name: &str, schema: Value, about: &str) -> Value {
    let mut parameter = json!({"in": place, "name": name, "schema": schema, "required": place == "path"});
    if !about.is_empty() {
        parameter["description"] = about.into();
    }
    parameter
}

/// Waiting until the book is as new as the reader needs.
#[must_use]
pub fn min_position() -> Value {
    let about =
        "Waits until the book has come to this position, at most a second; then 503 `position_not_reached`.";
    parameter(
        "header",
        "Saldo-Min-Position",
        json!({"type": "string", "pattern": "^[0-9]{1,19}$"}),
        about,
    )
}

/// The headers that answers have, by the names of their components.
pub(super) fn headers() -> Value {
    let all = HEADERS.iter().map(|(name, required, schema, about)| {
        let schema: Value = match *schema {
            "integer" => json!({"type": "integer", "minimum": 0}),
            "true" => json!({"type": "string", "const": "true"}),
            _ => json!({"type": "string"}),
        };
        let header = json!({"required": required, "schema": schema, "description": about});
        ((*name).to_owned(), header)
    });
    Value::Object(all.collect())
}

/// References to these headers.
pub(super) fn named(names: &[&str]) -> Value {
    let header = |name: &&str| {
        debug_assert!(HEADERS.iter().any(|(known, ..)| known == name), "{name}");
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        ((*name).to_owned(), reference)
    };
    Value::Object(names.iter().map(header).collect())
}

/// Name, whether it is always there where it is named, type, and what it says.
const HEADERS: [(&str, bool, &str, &str); 14] = [
    (
        "X-Request-Id",
        true,
        "string",
        "Tells this request apart from all others; the log names it.",
    ),
    (
        "Saldo-Position",
        false,
        "integer",
        "Where the command stands in its book, or at which position the read was taken.",
    ),
    (
        "Idempotency-Replayed",
        false,
        "true",
        "There when this was answered before, under the same key or id.",
    ),
    ("Location", true, "string", "The path of what was made."),
    (
        "Cache-Control",
        true,
        "string",
        "`no-store`: the answer holds secrets.",
    ),
    (
        "Retry-After",
        true,
        "integer",
        "In how many seconds to ask again.",
    ),
    (
        "WWW-Authenticate",
        true,
        "string",
        "The schemes of credentials that are taken here.",
    ),
    ("Allow", true, "string", "The methods that the path takes."),
    (
        "Content-Language",
        true,
        "string",
        "The language of the message: `en` or `de`, by `Accept-Language`.",
    ),
    ("Vary", true, "string", "`Accept-Language`."),
    (
        "Saldo-Negative-Balance",
        false,
        "string",
        "The assets whose negative amounts are shown as zero, since the format has no sign.",
    ),
    (
        "X-RateLimit-Limit",
        false,
        "integer",
        "How many requests a minute the key may make.",
    ),
    (
        "X-RateLimit-Remaining",
        false,
        "integer",
        "How many of them are left.",
    ),
    (
        "X-RateLimit-Reset",
        false,
        "integer",
        "When the next minute begins, in Unix seconds.",
    ),
];
