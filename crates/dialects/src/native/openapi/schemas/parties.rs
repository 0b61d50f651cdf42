//! Clients, keys, customers and accounts, and what is sent to make and change things.

use ledger::{EXPONENT_MAX, Scopes};
use serde_json::{Value, json};
use service::{OVERLAP, OVERLAP_MAX};

use super::{clearable, counted, flag, id, moment, signer};
use crate::openapi::schema::{about, array, ksuid, object, reference as of, text, time, typeid, uuid, word};
use crate::spelling::Prefix;

pub(super) fn parties() -> Value {
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

pub(super) fn accounts() -> Value {
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
pub(super) fn asked() -> Value {
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
