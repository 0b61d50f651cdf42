//! What the OpenAPI document says about Conduit's endpoints.

use serde_json::{Value, json};

use super::balances::{FIAT, NETWORKS, STABLECOINS};
use crate::Config;
use crate::openapi::schema::{array, ksuid, min_position, object, parameter, reference, text, word};
use crate::openapi::{Description, Done, Operation};
use crate::spelling::Prefix;

const TAG: &str = "Conduit";

pub(super) fn describe() -> Description {
    let header = |name: &str| json!({"type": "apiKey", "in": "header", "name": name});
    let networked = object(
        "",
        &[
            ("asset", word(STABLECOINS)),
            ("network", word(NETWORKS)),
            ("amount", text("^(0|[1-9][0-9]*)$", "Minor units.")),
        ],
    );
    let fiat = object(
        "",
        &[
            ("asset", word(FIAT)),
            ("amount", text("^(0|[1-9][0-9]*)$", "Minor units.")),
        ],
    );
    let balances = object("", &[("available", array(json!({"oneOf": [fiat, networked]})))]);
    let name = || json!({"type": "string"});
    let row = object(
        "",
        &[
            ("id", ksuid(Prefix::Client)),
            ("accountId", ksuid(Prefix::Account)),
            ("businessLegalName", name()),
            ("balances", reference("ConduitBalances")),
        ],
    );
    let error = object("", &[("detail", name()), ("code", name())]);
    Description {
        tags: &[(TAG, "Balances of customers and clients as Conduit has them.")],
        security: vec![vec![
            ("conduitKey", header("X-API-Key")),
            ("conduitSecret", header("X-API-Secret")),
        ]],
        schemas: json!({
            "ConduitBalances": balances,
            "ConduitCustomerAccount": object("", &[
                ("id", ksuid(Prefix::Account)),
                ("businessLegalName", name()),
                ("balances", reference("ConduitBalances")),
            ]),
            "ConduitClientAccounts": object("", &[
                ("id", ksuid(Prefix::Account)),
                ("clientId", ksuid(Prefix::Client)),
                ("businessLegalName", name()),
                ("balances", reference("ConduitBalances")),
                ("data", array(row)),
                ("totalBalances", reference("ConduitBalances")),
            ]),
            "ConduitProblem": object("", &[("errors", array(error))]),
        }),
        problem_type: "application/json",
        problem: "ConduitProblem",
        problem_headers: &[],
        standing: &[],
    }
}

pub(super) fn customer_account(_: &Config) -> Operation {
    let id = ksuid(Prefix::Customer);
    let mut operation = read(
        "conduitCustomerAccount",
        "Show the balances of a customer's main account",
        "ConduitCustomerAccount",
    );
    operation
        .parameters
        .push(parameter("path", "id", id, "The customer's id as a KSUID."));
    operation.more_refusals = vec![404, 415];
    operation
}

pub(super) fn client_accounts(_: &Config) -> Operation {
    read(
        "conduitClientAccounts",
        "Show the balances of the client, its subsidiaries, and all together",
        "ConduitClientAccounts",
    )
}

fn read(id: &'static str, summary: &'static str, schema: &str) -> Operation {
    let version: Value = json!({"const": super::VERSION});
    Operation {
        id,
        tag: TAG,
        summary,
        about: "",
        parameters: vec![parameter("header", "Api-Version", version, ""), min_position()],
        body: None,
        done: Done {
            status: 200,
            what: "The balances: one for each asset touched that the format can name.",
            body: Some(("application/json", reference(schema))),
            headers: vec!["Saldo-Position", "Saldo-Negative-Balance"],
        },
        writes: false,
        more_refusals: Vec::new(),
    }
}
