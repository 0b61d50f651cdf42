//! What the OpenAPI document says about Polygon's endpoints.

use serde_json::json;

use super::balance::{CURRENCY, CUSTOMER_ID};
use crate::Config;
use crate::openapi::schema::{min_position, object, parameter, reference, text, time, typeid};
use crate::openapi::{Description, Done, Operation};

const TAG: &str = "Polygon";

pub(super) fn describe() -> Description {
    let name = || json!({"type": "string"});
    Description {
        tags: &[(TAG, "The estimated balance of a customer as Polygon OMS has it.")],
        security: vec![vec![(
            "polygonToken",
            json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From `POST /auth/token`."}),
        )]],
        schemas: json!({
            "PolygonPair": {
                "type": "object",
                "properties": {"apiKey": name(), "apiSecret": name()},
                "required": ["apiKey", "apiSecret"],
            },
            "PolygonToken": object("", &[
                ("accessToken", name()),
                ("tokenType", json!({"const": "bearer"})),
                ("expiresIn", json!({"type": "integer", "minimum": 1})),
                ("expiresAt", time()),
            ]),
            "PolygonBalance": object("", &[("data", object("", &[
                ("customerId", typeid()),
                ("estimatedBalanceValue", text(r"^-?[0-9]+(\.[0-9]+)?$", "In major units, with the currency's places.")),
                (CURRENCY, text("^[A-Z]{3}$", "")),
            ]))]),
            "PolygonProblem": object("", &[("error", name()), ("code?", name())]),
        }),
        problem_type: "application/json",
        problem: "PolygonProblem",
        problem_headers: &[],
        standing: &[],
    }
}

pub(super) fn token(_: &Config) -> Operation {
    Operation {
        id: "polygonToken",
        tag: TAG,
        summary: "Get a token for an API key and its secret",
        about: "",
        parameters: Vec::new(),
        body: Some((reference("PolygonPair"), true)),
        done: Done {
            status: 200,
            what: "A token; it ends with the key, or when its time is over.",
            body: Some(("application/json", reference("PolygonToken"))),
            headers: vec!["Cache-Control"],
        },
        writes: false,
        // The credentials are in the body.
        more_refusals: vec![401],
    }
}

pub(super) fn customer_balance(_: &Config) -> Operation {
    Operation {
        id: "polygonCustomerBalance",
        tag: TAG,
        summary: "Estimate all that a customer has in one currency",
        about: "",
        parameters: vec![
            parameter("path", CUSTOMER_ID, typeid(), "The customer's id as a TypeID."),
            parameter(
                "query",
                CURRENCY,
                json!({"type": "string", "default": "USD"}),
                "A currency of ISO 4217; any other, or one that no rate leads to, is 502.",
            ),
            min_position(),
        ],
        body: None,
        done: Done {
            status: 200,
            what: "The value.",
            body: Some(("application/json", reference("PolygonBalance"))),
            headers: vec!["Saldo-Position"],
        },
        writes: false,
        more_refusals: vec![404, 502],
    }
}
