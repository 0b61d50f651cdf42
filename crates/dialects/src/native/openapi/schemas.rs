//! The schemas of its bodies.

use ledger::{AccountStatus, Amount, Code, EXPONENT_MAX, Purpose, Scopes};
use serde_json::{Value, json};
use service::{EventKind, OVERLAP, OVERLAP_MAX};

use crate::openapi::schema::{about, array, ksuid, object, reference as of, text, time, typeid, uuid, word};
use crate::spelling::Prefix;

/// Codes of problems that are no refusals of the books.
const CODES: [&str; 11] = [
    "bad_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "too_large",
    "unsupported_media_type",
    "rate_limited",
    "internal_error",
    "valuation_unavailable",
    "position_not_reached",
];

pub(super) fn all() -> Value {
    let mut all = serde_json::Map::new();
    for part in [
        basics(),
        problems(),
        parties(),
        accounts(),
        asked(),
        transactions(),
        lists(),
    ] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// An id in a request, in any spelling.
fn id() -> Value {
    json!({"type": "string", "format": "uuid", "description": "A UUID, or the same id in another spelling."})
}

/// The id of a key that signs tokens.
fn signer() -> Value {
    text("^[0-9a-f]{16}$", "What the `kid` of its tokens says.")
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn counted() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// A change: `null` clears what is there.
fn clearable(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// A pattern for the whole numbers from 1 to `most`, given in digits.
fn up_to(most: &str) -> String {
    let shorter = format!("[1-9][0-9]{{0,{}}}", most.len() - 2);
    // As many digits: alike up to one that is less, then any.
    let less = most.char_indices().filter_map(|(at, digit)| {
        let least = if at == 0 { '1' } else { '0' };
        let below = char::from_u32(u32::from(digit) - 1).filter(|below| *below >= least)?;
        let rest = most.len() - at - 1;
        Some(format!("{}[{least}-{below}][0-9]{{{rest}}}", &most[..at]))
    });
    let all: Vec<_> = [shorter]
        .into_iter()
        .chain(less)
        .chain([most.to_owned()])
        .collect();
    all.join("|")
}

fn basics() -> Value {
    let most = up_to(&Amount::MAX.get().to_string());
    json!({
        "Amount": about(
            json!({"type": "string", "pattern": format!("^(0|{most})$")}),
            "Minor units: digits alone, at most 2^127 - 1.",
        ),
        "SignedAmount": text("^(0|-?[1-9][0-9]{0,38})$", "Minor units."),
        "Asset": text("^[A-Z][A-Z0-9._-]{0,15}(@[a-z0-9-]{1,16})?$", "An asset such as `USD` or `USDC@ethereum`."),
        "Name": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000]+$"},
        "Label": {"type": "string", "maxLength": 200, "pattern": "^[^\\u0000]*$"},
        "ExternalId": about(
            json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000]+$"}),
            "An id or a reference of the caller's own.",
        ),
        "Metadata": about(
            json!({"type": "object"}),
            "An object of the caller's own: at most 4096 bytes of JSON, 16 levels deep.",
        ),
        "TimeZone": about(
            json!({"type": "string", "format": "iana-time-zone", "examples": ["Europe/Berlin"]}),
            "A name of the IANA time zone database.",
        ),
        "Purpose": word(Purpose::ALL.map(Purpose::as_str)),
        "AccountStatus": word(AccountStatus::ALL.map(AccountStatus::as_str)),
        "HoldStatus": word(["held", "captured", "released", "expired"]),
        "AssetKind": word(["fiat", "stablecoin", "custom"]),
        "Scope": word(service::auth::CLIENT_SCOPES.words()),
        "Credit": about(
            json!({"anyOf": [of("Amount"), {"const": "unlimited"}]}),
            "Minor units, or `unlimited` (`internal` accounts alone).",
        ),
        "RateNumber": about(
            json!({"type": "string", "pattern": r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"}),
            "A decimal: at most 18 digits before and 18 behind the point.",
        ),
        "Nothing": object("", &[]),
    })
}

fn problems() -> Value {
    let of_books = Code::ALL.iter().map(|code| code.as_str());
    let code = word(
        CODES
            .into_iter()
            .chain(["unavailable", "several_currencies"])
            .chain(of_books),
    );
    json!({
        "Code": about(code, "What is wrong, for programs."),
        "Problem": object("What is wrong and what to do, after RFC 9457.", &[
            ("type", json!({"const": "about:blank"})),
            ("title", json!({"type": "string"})),
            ("status", json!({"type": "integer", "minimum": 400, "maximum": 599})),
            ("code", of("Code")),
            ("detail", about(json!({"type": "string"}), "What is wrong and what to do, for people.")),
            ("field?", about(json!({"type": "string"}), "The member, parameter or header that is wrong.")),
            ("scope?", about(word(Scopes::NAMES.map(|(_, word)| word)), "The scope that is missing.")),
            ("limit?", about(counted(), "The most that is taken.")),
            ("position?", about(counted(), "Of a recorded refusal its position; else where the book is.")),
            ("posting?", about(counted(), "The posting that is to blame, from 0.")),
            ("rate?", about(counted(), "The rate that is to blame, from 0.")),
            ("accountId?", about(uuid(), "The account that is to blame.")),
            ("requestId", json!({"type": "string"})),
        ]),
    })
}

fn parties() -> Value {
    let stamps = [("createdAt", time()), ("updatedAt", time())];
    let notes = [("externalId?", of("ExternalId")), ("metadata?", of("Metadata"))];
    let with = |members: &[(&'static str, Value)]| {
        let all: Vec<_> = members.iter().chain(&notes).chain(&stamps).cloned().collect();
        object("", &all)
    };
    let spelled = |more: &[(&str, Value)]| {
        let all: Vec<_> = [("uuid", uuid())].iter().chain(more).cloned().collect();
        object("The id as the wire formats spell it.", &all)
    };
    let key = [
        ("id", uuid()),
        ("clientId?", uuid()),
        ("label", of("Label")),
        ("scopes", array(word(Scopes::NAMES.map(|(_, word)| word)))),
        ("expiresAt?", time()),
        ("createdAt", time()),
    ];
    let secrets = [
        (
            "token?",
            text(
                "^saldo_[A-Za-z0-9_-]{70}$",
                "Everything in one text, for `Authorization: Bearer`.",
            ),
        ),
        (
            "apiKey?",
            text("^saldo_pk_[A-Za-z0-9_-]{27}$", "The public half of a pair."),
        ),
        (
            "apiSecret?",
            text("^saldo_sk_[A-Za-z0-9_-]{43}$", "The secret half of a pair."),
        ),
    ];
    let replaces = (
        "replaces",
        object(
            "The key whose place it took.",
            &[
                ("id", uuid()),
                ("endsAt", about(time(), "From when on that one no longer works.")),
            ],
        ),
    );
    let key_with = |more: &[(&'static str, Value)]| {
        let all: Vec<_> = key.iter().chain(more).cloned().collect();
        object("", &all)
    };
    json!({
        "Client": with(&[
            ("id", uuid()),
            ("parentId?", uuid()),
            ("legalName", of("Name")),
            ("timeZone", json!({"type": "string"})),
            ("spellings", spelled(&[("ksuid", ksuid(Prefix::Client))])),
        ]),
        "Customer": with(&[
            ("id", uuid()),
            ("number", json!({"type": "integer", "minimum": 1})),
            ("clientId", uuid()),
            ("legalName", of("Name")),
            ("dunning", object("", &[("label?", of("Name")), ("inDebtCollection", flag())])),
            ("spellings", spelled(&[("ksuid", ksuid(Prefix::Customer)), ("typeid", typeid())])),
            ("erasedAt?", time()),
        ]),
        "Account": with(&[
            ("id", uuid()),
            ("ownerId", uuid()),
            ("ownerType", word(["client", "customer"])),
            ("clientId", uuid()),
            ("purpose", of("Purpose")),
            ("label", of("Label")),
            ("status", of("AccountStatus")),
            ("currency?", of("Asset")),
            ("primary", flag()),
            ("limits", array(object("", &[
                ("asset", of("Asset")), ("credit", of("Credit")), ("maxBalance?", of("Amount")),
            ]))),
            ("spellings", spelled(&[("ksuid", ksuid(Prefix::Account))])),
        ]),
        "Key": key_with(&[("revokedAt?", time())]),
        "MadeKey": key_with(&secrets),
        "SigningKey": object("The key that signs tokens from now on, and those before it whose tokens may still work.", &[
            ("id", signer()),
            ("createdAt", time()),
            ("earlier", array(object("", &[("id", signer()), ("createdAt", time()), ("endsAt", time())]))),
        ]),
        "RotatedKey": key_with(&[secrets.as_slice(), &[replaces]].concat()),
    })
}

fn accounts() -> Value {
    let numbers = |required: bool| {
        let name = |bare: &'static str, optional: &'static str| if required { bare } else { optional };
        [
            ("settled", of("SignedAmount")),
            (name("reserved", "reserved?"), of("Amount")),
            (name("incoming", "incoming?"), of("Amount")),
            (name("available", "available?"), of("SignedAmount")),
            (
                "spendable?",
                about(
                    of("SignedAmount"),
                    "Left out where there is no floor to count from.",
                ),
            ),
        ]
    };
    let with = |first: &[(&'static str, Value)], required| {
        let all: Vec<_> = first.iter().cloned().chain(numbers(required)).collect();
        object("", &all)
    };
    let asset = ("asset", of("Asset"));
    let account = ("accountId", uuid());
    json!({
        "BalanceNumbers": with(&[], true),
        "BalanceAfter": with(&[account.clone(), asset.clone()], true),
        "Balances": object("", &[
            account,
            ("position", counted()),
            ("balances", array(with(std::slice::from_ref(&asset), false))),
        ]),
        "Entry": object("", &[
            ("transactionId", uuid()),
            ("type", word(["posting", "hold", "capture", "release", "expiry", "reversal"])),
            ("direction", word(["debit", "credit"])),
            asset.clone(),
            ("amount", of("Amount")),
            ("released?", about(of("Amount"), "What a capture let go besides.")),
            ("counterpartyId", uuid()),
            ("position", counted()),
            ("recordedAt", time()),
            ("effectiveAt", time()),
            ("reference?", json!({"type": "string"})),
            ("balance", about(of("BalanceNumbers"), "The account's balance after it.")),
        ]),
        "Valuation": object("", &[
            ("customerId", uuid()),
            ("currency", of("Asset")),
            ("value", text(r"^-?[0-9]+(\.[0-9]+)?$", "In major units, with the currency's places.")),
            ("exponent", counted()),
            ("effectiveAt?", time()),
            ("recordedAt?", time()),
            ("holdings", array(object("", &[asset, ("settled", of("SignedAmount"))]))),
            ("position", counted()),
        ]),
        "RegisteredAsset": object("", &[
            ("asset", of("Asset")),
            ("code", json!({"type": "string"})),
            ("network?", json!({"type": "string"})),
            ("exponent", about(counted(), "Decimal places of the minor unit.")),
            ("kind", of("AssetKind")),
        ]),
        "RecordedRate": object("", &[
            ("base", of("Asset")),
            ("quote", of("Asset")),
            ("rate", of("RateNumber")),
            ("asOf", time()),
            ("source", json!({"type": "string"})),
            ("position", counted()),
            ("recordedAt", time()),
        ]),
        "PutRates": object("", &[("position", counted()), ("recordedAt", time()), ("count", counted())]),
    })
}

/// What is sent to make and change things.
fn asked() -> Value {
    let notes = [("externalId?", of("ExternalId")), ("metadata?", of("Metadata"))];
    let change = [
        ("externalId?", clearable(of("ExternalId"))),
        ("metadata?", clearable(of("Metadata"))),
    ];
    let with = |members: &[(&'static str, Value)], more: &[(&'static str, Value)]| {
        let all: Vec<_> = members.iter().chain(more).cloned().collect();
        object("", &all)
    };
    let limit = object(
        "",
        &[
            ("asset", of("Asset")),
            ("credit?", of("Credit")),
            ("maxBalance?", of("Amount")),
        ],
    );
    let limits = about(array(limit), "Each asset once.");
    json!({
        "NewClient": with(&[("legalName", of("Name")), ("parentId?", id()), ("timeZone?", of("TimeZone"))], &notes),
        "ClientChange": with(&[("legalName?", of("Name")), ("timeZone?", of("TimeZone"))], &change),
        "NewCustomer": with(&[
            ("legalName", of("Name")),
            ("clientId?", id()),
            ("number?", json!({"type": "integer", "minimum": 1, "maximum": i64::MAX})),
        ], &notes),
        "CustomerChange": with(&[("legalName?", of("Name"))], &change),
        "Dunning": object("", &[("label?", clearable(of("Name"))), ("inDebtCollection", flag())]),
        "NewAccount": with(&[
            ("ownerId", about(id(), "A client or a customer.")),
            ("purpose", of("Purpose")),
            ("label?", of("Label")),
            ("currency?", about(of("Asset"), "The only asset that it takes; a `card` account needs one.")),
            ("primary?", flag()),
            ("limits?", limits.clone()),
        ], &notes),
        "AccountChange": with(&[
            ("label?", of("Label")),
            ("status?", of("AccountStatus")),
            ("limits?", limits),
            ("primary?", json!({"const": true})),
        ], &change),
        "NewKey": object("", &[
            ("label", of("Label")),
            ("scopes", json!({"type": "array", "items": of("Scope"), "minItems": 1})),
            ("expiresAt?", about(moment(), "Later than now.")),
        ]),
        "KeyRotation": object("", &[
            ("overlapSeconds?", json!({
                "type": "integer", "minimum": 0, "maximum": OVERLAP_MAX, "default": OVERLAP,
                "description": "For how long the old key goes on, unless it ends before; 0 revokes it.",
            })),
            ("expiresAt?", about(moment(), "When the new key ends, if it shall: later than now.")),
        ]),
        "SigningKeyRotation": object("", &[
            ("revokeOld?", about(flag(), "Ends all tokens that were signed before.")),
        ]),
        "NewAsset": object("", &[
            ("code", text("^[A-Z][A-Z0-9._-]{0,15}$", "Such as `POINTS`.")),
            ("network?", text("^[a-z0-9-]{1,16}$", "Such as `ethereum`.")),
            ("exponent", json!({"type": "integer", "minimum": 0, "maximum": EXPONENT_MAX})),
            ("kind?", of("AssetKind")),
        ]),
        "Rate": object("", &[
            ("base", of("Asset")),
            ("quote", of("Asset")),
            ("rate", of("RateNumber")),
            ("asOf", moment()),
            ("source", of("ExternalId")),
        ]),
    })
}

fn transactions() -> Value {
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
fn event() -> Value {
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

fn lists() -> Value {
    let list = |item: &str, cursor: Value| object("", &[("items", array(of(item))), ("nextCursor?", cursor)]);
    let cursor = || {
        text(
            "^[A-Za-z0-9_-]{16}$",
            "There if there are more: the `cursor` of the next page.",
        )
    };
    json!({
        "Clients": list("Client", cursor()),
        "Keys": list("Key", cursor()),
        "Customers": list("Customer", cursor()),
        "Accounts": list("Account", cursor()),
        "Entries": list("Entry", cursor()),
        "Transactions": list("Transaction", cursor()),
        "Event": event(),
        "Holds": list("Hold", cursor()),
        "Assets": list("RegisteredAsset", of("Asset")),
        "Rates": list("RecordedRate", cursor()),
    })
}

#[cfg(test)]
mod tests {
    use super::up_to;

    #[test]
    fn patterns_name_all_numbers_up_to_one() {
        assert_eq!(up_to("207"), "[1-9][0-9]{0,1}|[1-1][0-9]{2}|20[0-6][0-9]{0}|207");
    }
}
