//! Balances, entries, transactions and holds.

use serde_json::json;

use super::super::events::{LINES, MOST, WAIT_MOST};
use super::{id, list, read, time, write};
use crate::Config;
use crate::openapi::Operation;
use crate::openapi::schema::{reference, word};

const ACCOUNTS: &str = "Accounts";
const TRANSACTIONS: &str = "Transactions";
const HOLDS: &str = "Holds";
const EVENTS: &str = "Events";

const FROM: &str = "Recorded at this time or later.";
const TO: &str = "Recorded before this time.";

pub(crate) fn get_balances(_: &Config) -> Operation {
    read(
        "getBalances",
        ACCOUNTS,
        "Show an account's balances, now or as of then",
        "Balances",
    )
    .of("account")
    .query("recordedAt", time(), "As they were known at this time.")
    .query(
        "effectiveAt",
        time(),
        "As they count for this time: `settled` alone.",
    )
    .query(
        "position",
        json!({"type": "string", "pattern": "^[0-9]{1,19}$"}),
        "As they were at this position of the book. Not together with a time.",
    )
}

pub(crate) fn list_entries(config: &Config) -> Operation {
    list(
        "listEntries",
        ACCOUNTS,
        "List what changed an account, newest first",
        "Entries",
        config,
    )
    .of("account")
    .query("from", time(), FROM)
    .query("to", time(), TO)
}

pub(crate) fn post_transaction(config: &Config) -> Operation {
    let _ = config;
    let body = Some(("NewTransaction", true));
    write("postTransaction", TRANSACTIONS, "Post a transaction, or hold its money", body, (201, "Transaction")).about(
        "Postings are applied in order, all or none. With `hold` the money is reserved instead of moved. Without an \
         `Idempotency-Key`, `id` is the key. `force` may go below the floor and needs the scope `ledger:force`.",
    )
}

pub(crate) fn post_batch(config: &Config) -> Operation {
    let mut operation = write("postBatch", TRANSACTIONS, "Post many transactions", None, (200, "BatchDone")).about(
        "Each for itself, with its `id` as its key, and then an `Idempotency-Key` is refused; or, with `atomic`, all or none.",
    );
    let most = config.service.batch_items;
    let transactions = json!({
        "type": "array", "items": reference("NewBatchTransaction"), "minItems": 1, "maxItems": most,
    });
    let body = json!({
        "type": "object",
        "properties": {"transactions": transactions, "atomic": {"type": "boolean", "default": false}},
        "required": ["transactions"],
        "additionalProperties": false,
    });
    operation.body = Some((body, true));
    operation
}

pub(crate) fn list_transactions(config: &Config) -> Operation {
    list(
        "listTransactions",
        TRANSACTIONS,
        "List transactions, newest first",
        "Transactions",
        config,
    )
    .query(
        "reference",
        reference("ExternalId"),
        "Only those with this reference.",
    )
    .query("accountId", id(), "Only those that touch this account.")
    .query(
        "externalId",
        reference("ExternalId"),
        "Only those with this foreign id.",
    )
    .query("from", time(), FROM)
    .query("to", time(), TO)
}

pub(crate) fn get_transaction(_: &Config) -> Operation {
    read(
        "getTransaction",
        TRANSACTIONS,
        "Show a transaction",
        "Transaction",
    )
    .of("transaction")
}

pub(crate) fn reverse_transaction(_: &Config) -> Operation {
    let body = Some(("Reversal", false));
    write(
        "reverseTransaction",
        TRANSACTIONS,
        "Reverse a transaction",
        body,
        (201, "Transaction"),
    )
    .of("transaction")
    .about("Posts the opposite, whole or in part; never more in total than was posted.")
}

pub(crate) fn list_holds(config: &Config) -> Operation {
    list("listHolds", HOLDS, "List holds, newest first", "Holds", config)
        .query("accountId", id(), "Only those that touch this account.")
        .query(
            "status",
            word(["held", "captured", "released", "expired"]),
            "Only those that stand like this.",
        )
}

pub(crate) fn get_hold(_: &Config) -> Operation {
    read("getHold", HOLDS, "Show a hold", "Hold").of("hold")
}

pub(crate) fn capture_hold(_: &Config) -> Operation {
    write(
        "captureHold",
        HOLDS,
        "Capture a hold",
        Some(("Capture", false)),
        (201, "Transaction"),
    )
    .of("hold")
    .about("All of it, or a part; `final` lets the rest go, and is `true` when no part is named.")
}

pub(crate) fn release_hold(_: &Config) -> Operation {
    let body = Some(("Release", false));
    write("releaseHold", HOLDS, "Release a hold", body, (201, "Transaction"))
        .of("hold")
        .about("All of it, or a part.")
}

pub(crate) fn stream_events(_: &Config) -> Operation {
    let number = |least: u64, most: u64| json!({"type": "integer", "minimum": least, "maximum": most});
    let mut operation = read("streamEvents", EVENTS, "Read what was recorded, in order", "Event")
        .query("after", number(0, MOST), "Behind this position; from the first one on unless given.")
        .query("limit", number(1, MOST), "The most events.")
        .query(
            "wait",
            number(1, WAIT_MOST),
            "Follow the book, until nothing came for so many seconds.",
        )
        .about(
            "One event a line, in order of positions, of all that the key sees; up to where the book stood, which is \
             `Saldo-Position`, unless `wait` follows it. Who names the position of the last event as `after` misses nothing. \
             With `Accept: text/event-stream` they are server-sent events without end, whose ids are positions \
             (`Last-Event-ID` goes before `after`).\n\nMoney is shown as it was booked; clients, keys, customers and accounts \
             are shown as they are now. What was refused is no event.",
        );
    operation.done.what = "Events, one a line.";
    operation.done.body = Some((LINES, reference("Event")));
    operation.done.headers.push("Cache-Control");
    operation
}
