//! The schemas of its bodies.

use ledger::{AccountStatus, Amount, Code, Purpose, Scopes};
use serde_json::{Value, json};

use crate::openapi::schema::{about, array, object, reference as of, text, uuid, word};

mod money;
mod parties;

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
        parties::parties(),
        parties::accounts(),
        parties::asked(),
        money::transactions(),
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
        "Event": money::event(),
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
