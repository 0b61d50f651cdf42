//! Transactions and what they leave: bookings, holds, entries, events.

use serde_json::{Value, json};
use service::EventKind;

use super::{counted, flag, id, moment};
use crate::openapi::schema::{about, array, object, reference as of, time, uuid, word};

pub(super) fn transactions() -> Value {
    let posting = [
        ("from", id()),
        ("to", id()),
        ("asset", of("Asset")),
        ("amount", of("Amount")),
    ];
    let chosen = json!({
        "type": "string", "format": "uuid", "not": {"const": "00000000-0000-0000-0000-000000000000"},
        "description": "Any UUID but nil.",
    });
    let asked = |id: &'static str| {
        object(
            "",
            &[
                (id, chosen.clone()),
                (
                    "postings",
                    json!({"type": "array", "items": of("NewPosting"), "minItems": 1}),
                ),
                ("reference?", of("ExternalId")),
                (
                    "effectiveAt?",
                    about(moment(), "For what time it counts; now unless it is there."),
                ),
                (
                    "hold?",
                    object(
                        "Reserves the money instead of moving it.",
                        &[("expiresAt?", moment())],
                    ),
                ),
                ("force?", flag()),
                ("externalId?", of("ExternalId")),
                ("metadata?", of("Metadata")),
            ],
        )
    };
    let index = json!({"type": "integer", "minimum": 0, "maximum": u32::MAX});
    let part = object("", &[("index", index), ("amount", of("Amount"))]);
    let parts = json!({"type": "array", "items": part, "minItems": 1});
    let one_of_two = |mut schema: Value| {
        schema["not"] = json!({"required": ["amount", "postings"]});
        schema
    };
    let portion = [("amount?", of("Amount")), ("postings?", parts.clone())];
    let capture: Vec<_> = portion
        .iter()
        .cloned()
        .chain([("final?", flag()), ("allowOver?", flag()), ("force?", flag())])
        .collect();
    json!({
        "NewPosting": object("", &posting),
        "NewTransaction": asked("id?"),
        "NewBatchTransaction": asked("id"),
        "Reversal": object("", &[("postings?", parts), ("force?", flag())]),
        "Capture": one_of_two(object("`amount` is for holds of one posting.", &capture)),
        "Release": one_of_two(object("`amount` is for holds of one posting.", &portion)),
        "Transaction": booked(),
        "Hold": object("", &[
            ("id", uuid()),
            ("status", of("HoldStatus")),
            ("position", counted()),
            ("recordedAt", time()),
            ("expiresAt?", time()),
            ("postings", array(object("", &[
                ("from", uuid()),
                ("to", uuid()),
                ("asset", of("Asset")),
                ("amount", of("Amount")),
                ("captured", of("Amount")),
                ("remaining", of("Amount")),
            ]))),
        ]),
        "BatchDone": object("", &[
            ("position", counted()),
            ("results", array(object("", &[
                ("id", uuid()),
                ("status", word(["posted", "held", "rejected"])),
                ("rejection?", object("", &[
                    ("code", of("Code")),
                    ("detail", json!({"type": "string"})),
                    ("posting?", counted()),
                    ("accountId?", uuid()),
                ])),
                ("position?", counted()),
                ("replayed?", flag()),
            ]))),
        ]),
    })
}

fn booked() -> Value {
    object(
        "",
        &[
            ("id", uuid()),
            (
                "type",
                word(["posting", "hold", "capture", "release", "expiry", "reversal"]),
            ),
            (
                "status",
                word(["posted", "held", "captured", "released", "expired"]),
            ),
            ("position", counted()),
            ("recordedAt", time()),
            ("effectiveAt?", time()),
            ("expiresAt?", time()),
            ("reference?", json!({"type": "string"})),
            ("externalId?", of("ExternalId")),
            ("metadata?", of("Metadata")),
            (
                "holdId?",
                about(uuid(), "The hold that was captured, released, or has expired."),
            ),
            ("reverses?", about(uuid(), "The transaction that it reverses.")),
            (
                "overdrawn?",
                about(flag(), "There when `force` took an account below its floor."),
            ),
            (
                "postings",
                array(object(
                    "",
                    &[
                        (
                            "index?",
                            about(counted(), "Which posting of the other transaction it is about."),
                        ),
                        ("from", uuid()),
                        ("to", uuid()),
                        ("asset", of("Asset")),
                        ("amount", of("Amount")),
                        ("released?", of("Amount")),
                        ("captured?", of("Amount")),
                        ("remaining?", of("Amount")),
                        ("reversed?", of("Amount")),
                    ],
                )),
            ),
            (
                "balances",
                about(
                    array(of("BalanceAfter")),
                    "Each account touched, as it was after the transaction.",
                ),
            ),
        ],
    )
}

/// One line of `/events`.
pub(super) fn event() -> Value {
    let data = [
        "Transaction",
        "Transactions",
        "Client",
        "Key",
        "Customer",
        "Account",
        "RegisteredAsset",
        "Rates",
    ];
    let data: Vec<_> = data.into_iter().map(of).collect();
    object(
        "",
        &[
            ("position", counted()),
            ("type", word(EventKind::ALL.iter().map(|kind| kind.as_str()))),
            ("recordedAt", time()),
            (
                "clientId?",
                about(uuid(), "The client whose key did it, if the asker sees it."),
            ),
            (
                "data",
                about(
                    json!({"anyOf": data}),
                    "The transaction as it was booked (of a batch all that are in sight); else what it is about, as it is now.",
                ),
            ),
        ],
    )
}
