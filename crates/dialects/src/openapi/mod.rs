//! The OpenAPI document: every route with what it takes and answers.
//!
//! What is particular about a route is said beside its wire format, as an [`Operation`]; what follows from the route itself
//! (who may use it, which refusals all requests share) is added here, so that a route can't be forgotten. Examples are
//! answers that a test was given ([`example`]); the same test compares them with what is answered now.

mod operation;
pub mod schema;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::Router;
use crate::problem;
use crate::route::{Dialect, Route};

pub use operation::{Done, Operation};

/// What is said about a wire format as a whole.
pub struct Description {
    /// Groups of operations: a name, and a sentence in Markdown.
    pub tags: &'static [(&'static str, &'static str)],
    /// How callers say who they are: names, unique in the document, and security schemes. Each alternative needs all
    /// of its schemes.
    pub security: Vec<Vec<(&'static str, Value)>>,
    /// The schemas of bodies by name, unique in the document.
    pub schemas: Value,
    /// The media type of problems.
    pub problem_type: &'static str,
    /// The name of the schema of problems.
    pub problem: &'static str,
    /// Headers that problems have besides the common ones.
    pub problem_headers: &'static [&'static str],
    /// Headers that every answer to a known key may have.
    pub standing: &'static [&'static str],
}

/// The document about the routes that are mounted, where they are mounted.
#[must_use]
pub fn document(router: &Router) -> Value {
    let mut paths = Map::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut schemes = Map::new();
    let mut components = Map::new();
    let mut answers = Map::new();
    let mut tags = Vec::new();
    for (dialect, path, route) in router.routes() {
        let about = (dialect.describe)();
        if used.insert(dialect.name) {
            tags.extend(
                about
                    .tags
                    .iter()
                    .map(|(name, text)| json!({"name": name, "description": text})),
            );
            for (name, scheme) in about.security.iter().flatten() {
                schemes.insert((*name).to_owned(), scheme.clone());
            }
            if let Value::Object(schemas) = about.schemas.clone() {
                components.extend(schemas);
            }
        }
        let operation = (route.describe)(router.config());
        for status in operation.refusals(dialect, route) {
            let name = format!("{}.{status}", dialect.name);
            answers
                .entry(name)
                .or_insert_with(|| refusal(dialect, &about, status));
        }
        let method = route.method.as_str().to_ascii_lowercase();
        let described = operation.into_json(dialect, &about, route);
        paths
            .entry(path)
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .map(|path| path.insert(method, described));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Saldo",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A balance server: money movements are posted once, and every balance is read from them.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": schemes,
            "schemas": components,
            "responses": answers,
            "headers": schema::headers(),
        },
    })
}

const ABOUT: &str = "Saldo's own API, and the balance endpoints of the vendors that it speaks like.\n\n\
    **Amounts** are strings of minor units (`\"1050\"` is 10.50 USD) in Saldo's own API; the vendors' endpoints write them as \
    theirs do. **Times** are RFC 3339; answers are in UTC with six places. **Ids** are UUIDs; requests to Saldo's own API \
    may spell them in other ways too, such as `acct_` and 27 digits.\n\n\
    **Writes** take an `Idempotency-Key`: the same request under the same key is done once, and answered as the first time, \
    refusals included, with `Idempotency-Replayed: true`. Every write answers with its position in the book in \
    `Saldo-Position`; a read with that number in `Saldo-Min-Position` waits until it is there.\n\n\
    **Refusals** say in `code`, for programs, and in `detail`, for people, what is wrong and what to do. `X-Request-Id` is on \
    every answer, and in the log.\n\n\
    HEAD is answered wherever GET is, without a body. A path that nobody has is answered with 404, a known path \
    with another method with 405 and `Allow`. A URL of more than 8 KiB is answered with 414, a head of more than 20 KiB with \
    431, in plain text.";

/// The answer of a wire format that stands for all refusals with a status.
fn refusal(dialect: &Dialect, about: &Description, status: u16) -> Value {
    let mut names = vec!["X-Request-Id"];
    match status {
        401 => names.push("WWW-Authenticate"),
        405 => names.push("Allow"),
        429 | 503 => names.push("Retry-After"),
        // Those that the ledger refused were recorded.
        409 | 422 if dialect.name == "native" => names.extend(["Saldo-Position", "Idempotency-Replayed"]),
        404 if dialect.name == "native" => names.extend(["Saldo-Position", "Idempotency-Replayed"]),
        _ => {}
    }
    names.extend(about.problem_headers);
    if ![401, 405].contains(&status) {
        names.extend(about.standing);
    }
    let mut content = json!({"schema": {"$ref": format!("#/components/schemas/{}", about.problem)}});
    if let Some(example) = example(&format!("{}.{status}", dialect.name)) {
        content["example"] = example["answer"].clone();
    }
    json!({
        "description": meaning(status),
        "headers": schema::named(&names),
        "content": {about.problem_type: content},
    })
}

/// What a status says, whatever the request was.
fn meaning(status: u16) -> &'static str {
    match status {
        400 => {
            "The request can't be understood; the answer names what is wrong with it. Nothing was recorded."
        }
        401 => "There are no credentials, or none that work.",
        403 => "The credentials work, but not for this.",
        404 => "There is no such thing, or none that this key can see.",
        405 => "The path takes other methods, which `Allow` lists.",
        409 => {
            "The request contradicts what is there: its key or id was used with another one, or there are several answers."
        }
        413 => "The request holds too much; the answer names the limit. Nothing was recorded.",
        415 => "The body is of a media type that is not read here.",
        422 => {
            "The books refuse it; `code` says why. The refusal was recorded, and is the answer from now on under this key."
        }
        429 => "The key asked too often; `Retry-After` says in how many seconds it may again.",
        502 => "The value can't be computed in this currency.",
        503 => {
            "Not now: send the same request again after `Retry-After` seconds, a write under the same key."
        }
        _ => "Something is wrong here; the log has it under the `X-Request-Id`.",
    }
}

/// What was asked and answered in the example of an operation, or answered in that of a refusal (`native.422`).
#[must_use]
pub fn example(name: &str) -> Option<&'static Value> {
    static ALL: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());
    ALL.get(name)
}

impl Operation {
    /// The refusals that the route may answer with, in order.
    fn refusals(&self, dialect: &Dialect, route: &Route) -> BTreeSet<u16> {
        use crate::route::Access;
        let mut all: BTreeSet<u16> = [400, 405, 413, 500, 503].into();
        match route.access {
            Access::Public => {}
            Access::AnyKey => all.extend([401, 429]),
            Access::Scope(_) => all.extend([401, 403, 429]),
        }
        if dialect.name == "native" {
            // Also of the book that `Saldo-Book` names.
            all.insert(404);
            if self.writes {
                all.extend([409, 415, 422]);
            }
        }
        all.extend(&self.more_refusals);
        debug_assert!(
            all.iter()
                .all(|status| *status == 500 || problem::title(*status) != problem::title(500))
        );
        all
    }
}
