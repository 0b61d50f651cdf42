//! What the OpenAPI document says about Light's endpoint.

use serde_json::json;

use super::JSON;
use crate::Config;
use crate::openapi::schema::{array, min_position, object, parameter, reference, text, time, uuid, word};
use crate::openapi::{Description, Done, Operation};

const TAG: &str = "Light";

pub(super) fn describe() -> Description {
    let name = || json!({"type": "string"});
    let minor = || json!({"type": "integer", "format": "int64"});
    let currency = || text("^[A-Z][A-Z0-9._-]{0,15}(@[a-z0-9-]{1,16})?$", "");
    let error = object("", &[("type", name()), ("message", name()), ("path?", name())]);
    Description {
        tags: &[(TAG, "Balances of card accounts as Light has them.")],
        security: vec![
            vec![(
                "lightKey",
                json!({
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "`Basic ` and the token of an API key, as it is or as the user name in base64.",
                }),
            )],
            vec![(
                "lightToken",
                json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
            )],
        ],
        schemas: json!({
            "LightCardBalanceAccount": object("", &[
                ("id", uuid()),
                ("companyEntityId", uuid()),
                ("companyId", uuid()),
                ("currency", currency()),
                ("label", name()),
                ("status", word(["ACTIVE", "CLOSED"])),
                ("balance", object("Minor units.", &[
                    ("available", minor()), ("settled", minor()), ("reserved", minor()), ("currency", currency()),
                ])),
                ("createdAt", time()),
                ("updatedAt", time()),
                ("primary", json!({"type": "boolean"})),
            ]),
            "LightProblem": object("", &[("name", name()), ("type", name()), ("errors", array(error))]),
        }),
        problem_type: JSON,
        problem: "LightProblem",
        problem_headers: &[],
        standing: &["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"],
    }
}

pub(super) fn card_balance(_: &Config) -> Operation {
    // In any case, and no other spelling.
    let pattern = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";
    let id = json!({"type": "string", "format": "uuid", "pattern": pattern});
    Operation {
        id: "lightCardBalanceAccount",
        tag: TAG,
        summary: "Show a card account and its balance",
        about: "",
        parameters: vec![
            parameter("path", "accountId", id, "The UUID of a `card` account."),
            min_position(),
        ],
        body: None,
        done: Done {
            status: 200,
            what: "The account.",
            body: Some((JSON, reference("LightCardBalanceAccount"))),
            headers: vec!["Saldo-Position"],
        },
        writes: false,
        more_refusals: vec![404],
    }
}
