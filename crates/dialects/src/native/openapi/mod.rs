//! What the OpenAPI document says about Saldo's own API.

pub(super) mod books;
pub(super) mod register;
mod schemas;

use serde_json::{Value, json};

use crate::Config;
use crate::openapi::schema::{min_position, parameter, reference};
use crate::openapi::{Description, Done, Operation};

/// What is said about all of it.
pub(super) fn describe() -> Description {
    Description {
        tags: &[
            (
                "Clients",
                "Businesses that hold API keys; a root client has a book of its own, and subsidiaries in it.",
            ),
            (
                "Keys",
                "API keys of clients. Their secrets are shown once, when they are made.",
            ),
            ("Customers", "Whom a client keeps accounts for."),
            (
                "Accounts",
                "Accounts of clients and customers, with a balance in each asset they have touched.",
            ),
            (
                "Transactions",
                "Movements of money: posted once, never changed, reversed by others.",
            ),
            (
                "Holds",
                "Money that is reserved until it is captured, released, or its time is over.",
            ),
            ("Events", "What was recorded in a book, in order, as it happens."),
            (
                "Assets and rates",
                "Currencies, stablecoins and assets of one's own, and what they are worth in each other.",
            ),
        ],
        security: vec![vec![(
            "token",
            json!({"type": "http", "scheme": "bearer", "description": "The token of an API key: `saldo_…`."}),
        )]],
        schemas: schemas::all(),
        problem_type: "application/problem+json",
        problem: "Problem",
        problem_headers: &[],
        standing: &[],
    }
}

/// A read that answers with `schema`.
fn read(id: &'static str, tag: &'static str, summary: &'static str, schema: &str) -> Operation {
    Operation {
        id,
        tag,
        summary,
        about: "",
        parameters: vec![book(), min_position()],
        body: None,
        done: Done {
            status: 200,
            what: "What was asked for, and at which position it was so.",
            body: Some(("application/json", reference(schema))),
            headers: vec!["Saldo-Position"],
        },
        writes: false,
        more_refusals: Vec::new(),
    }
}

/// A page of a list of `schema`.
fn list(
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    schema: &str,
    config: &Config,
) -> Operation {
    let mut operation = read(id, tag, summary, schema);
    let most = config.service.page_items;
    let limit = json!({"type": "integer", "minimum": 1, "maximum": most, "default": most.min(100)});
    operation.parameters.extend([
        parameter("query", "limit", limit, "The most items of the page."),
        parameter(
            "query",
            "cursor",
            json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{16}$"}),
            "The `nextCursor` of the page before.",
        ),
    ]);
    operation.done.what = "A page of the list.";
    operation
}

/// A write with a body of `body`, answered with `schema` and this status.
fn write(
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    body: Option<(&str, bool)>,
    (status, schema): (u16, &str),
) -> Operation {
    let mut headers = vec!["Saldo-Position", "Idempotency-Replayed"];
    if status == 201 {
        headers.push("Location");
    }
    let what = match status {
        201 => "It is made and durable.",
        _ => "It is done and durable.",
    };
    let key = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
    let about = "Whatever is sent again under the same key is done once, and answered as the first time.";
    Operation {
        id,
        tag,
        summary,
        about: "",
        parameters: vec![book(), parameter("header", "Idempotency-Key", key, about)],
        body: body.map(|(name, required)| (reference(name), required)),
        done: Done {
            status,
            what,
            body: Some(("application/json", reference(schema))),
            headers,
        },
        writes: true,
        more_refusals: Vec::new(),
    }
}

impl Operation {
    /// About the thing with the id in the path.
    fn of(mut self, what: &str) -> Self {
        let about = format!("The id of the {what}: its UUID, or in another spelling.");
        let schema = json!({"type": "string", "format": "uuid"});
        self.parameters.insert(0, parameter("path", "id", schema, &about));
        self
    }

    /// With a parameter in the query.
    fn query(mut self, name: &str, schema: Value, about: &str) -> Self {
        self.parameters.push(parameter("query", name, schema, about));
        self
    }

    /// With more to know.
    fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }
}

/// In which book an operator acts.
fn book() -> Value {
    let about =
        "For operators: the root client in whose book the request is. Others need not name their own.";
    parameter(
        "header",
        "Saldo-Book",
        json!({"type": "string", "format": "uuid"}),
        about,
    )
}

/// An id in a query.
fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// A time in a query.
fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}
