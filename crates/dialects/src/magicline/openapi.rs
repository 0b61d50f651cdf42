//! What the OpenAPI document says about Magicline's endpoint.

use serde_json::json;

use crate::Config;
use crate::openapi::schema::{min_position, object, parameter, reference, text};
use crate::openapi::{Description, Done, Operation};

const TAG: &str = "Magicline";

pub(super) fn describe() -> Description {
    let name = || json!({"type": "string"});
    let money = object(
        "Major units, with exactly the currency's places.",
        &[
            ("amount", json!({"type": "number"})),
            ("currency", text("^[A-Z]{3}$", "")),
        ],
    );
    Description {
        tags: &[(TAG, "What a member owes, and has prepaid, as Magicline has it.")],
        security: vec![vec![(
            "magiclineKey",
            json!({"type": "apiKey", "in": "header", "name": "X-API-Key"}),
        )]],
        schemas: json!({
            "MagiclineMoney": money,
            "MagiclineBalances": object("", &[
                ("accountBalance?", reference("MagiclineMoney")),
                ("consumptionCredit?", reference("MagiclineMoney")),
                ("dunningLevel?", name()),
                ("inDebtCollection", json!({"type": "boolean"})),
            ]),
            "MagiclineProblem": object("", &[
                ("errorMessage", name()),
                ("errorCode", name()),
                ("traceId", name()),
                ("reference?", name()),
            ]),
        }),
        problem_type: "application/json",
        problem: "MagiclineProblem",
        problem_headers: &["Content-Language", "Vary"],
        standing: &[],
    }
}

pub(super) fn balances(_: &Config) -> Operation {
    let id = json!({"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX});
    Operation {
        id: "magiclineAccountBalances",
        tag: TAG,
        summary: "Show what a member owes and has prepaid",
        about: "HEAD answers 200 to whoever has a key, whatever the id.",
        parameters: vec![
            parameter("path", "customerId", id, "The customer's number."),
            parameter(
                "header",
                "Accept-Language",
                json!({"type": "string"}),
                "The language of messages: English or German.",
            ),
            min_position(),
        ],
        body: None,
        done: Done {
            status: 200,
            what: "The balances of the member's primary accounts.",
            body: Some(("application/json", reference("MagiclineBalances"))),
            headers: vec!["Saldo-Position"],
        },
        writes: false,
        more_refusals: vec![404, 409],
    }
}
