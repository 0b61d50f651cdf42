//! Heads: many lines, long lines, lines that are there twice, hosts.

use super::case::{Case, case};
use super::world::World;

pub(super) fn cases(world: &World) -> Vec<Case> {
    hosts().into_iter().chain(sizes()).chain(twice(world)).collect()
}

fn with(lines: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
}

fn hosts() -> Vec<Case> {
    [
        ("no host", "", 400),
        ("two hosts", "Host: x\r\nHost: y\r\n", 400),
        ("the same host twice", "Host: x\r\nHost: x\r\n", 400),
        ("two hosts in one line", "Host: x, y\r\n", 400),
        ("a host with a space", "Host: x y\r\n", 400),
        ("a host with a user", "Host: me@x\r\n", 400),
        ("a host with a path", "Host: x/y\r\n", 400),
        ("a host with a NUL", "Host: x\0y\r\n", 400),
        ("a host beyond ASCII", "Host: ü\r\n", 400),
        ("an empty host", "Host:\r\n", 200),
        ("a host with a port", "Host: x:80\r\n", 200),
        ("a host in brackets", "Host: [::1]:80\r\n", 200),
        ("a host in half a pair of brackets", "Host: [::1\r\n", 400),
        (
            "a host of eight kibibytes",
            &format!("Host: {}\r\n", "x".repeat(8_000)),
            200,
        ),
    ]
    .map(|(name, lines, status)| case(name, with(lines), &[status]))
    .into()
}

fn sizes() -> Vec<Case> {
    let lines = |count: usize| "X: y\r\n".repeat(count);
    let value = |bytes: usize| format!("Host: x\r\nX: {}\r\n", "y".repeat(bytes));
    let name = |bytes: usize| format!("Host: x\r\n{}: y\r\n", "x".repeat(bytes));
    [
        (
            "a hundred lines of one name",
            format!("Host: x\r\n{}", lines(100)),
            200,
        ),
        ("a thousand lines", format!("Host: x\r\n{}", lines(1_000)), 431),
        ("ten thousand lines", format!("Host: x\r\n{}", lines(10_000)), 431),
        ("a value of 16 KiB", value(16 << 10), 200),
        ("a value of 32 KiB", value(32 << 10), 431),
        ("a value of a mebibyte", value(1 << 20), 431),
        ("a name of 8 KiB", name(8 << 10), 200),
        ("a name of 100 KiB", name(100 << 10), 431),
        (
            "bytes beyond ASCII in a value",
            "Host: x\r\nX: \u{85}ü\r\n".to_owned(),
            200,
        ),
    ]
    .map(|(name, lines, status)| case(name, with(&lines), &[status]))
    .into()
}

/// Lines that change what is done, and are there twice or are no text.
fn twice(world: &World) -> Vec<Case> {
    let native = &world.ways[0];
    let get = |lines: &str| {
        format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{}{lines}Connection: close\r\n\r\n",
            native.whole(),
            native.key
        )
    };
    let post = |lines: &str| {
        format!(
            "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\n{}{lines}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}",
            world.key
        )
    };
    vec![
        case("two books", get("Saldo-Book: x\r\nSaldo-Book: y\r\n"), &[400]),
        case("a book beyond ASCII", get("Saldo-Book: ü\r\n"), &[400]),
        case(
            "two positions to wait for",
            get("Saldo-Min-Position: 1\r\nSaldo-Min-Position: 2\r\n"),
            &[400],
        ),
        case(
            "a position that is none",
            get("Saldo-Min-Position: -1\r\n"),
            &[400],
        ),
        case(
            "a position beyond 64 bits",
            get("Saldo-Min-Position: 18446744073709551616\r\n"),
            &[400],
        ),
        // Documented: it is waited for, and then said that it is not there yet.
        case(
            "a position that never comes",
            get("Saldo-Min-Position: 18446744073709551615\r\n"),
            &[503],
        ),
        case(
            "two keys of a write",
            post("Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
            &[400],
        ),
        case("an empty key of a write", post("Idempotency-Key: \r\n"), &[400]),
        case(
            "a long key of a write",
            post(&format!("Idempotency-Key: {}\r\n", "k".repeat(4_000))),
            &[400],
        ),
        case(
            "a key of a write beyond ASCII",
            post("Idempotency-Key: ü\r\n"),
            &[400],
        ),
        case(
            "two media types",
            post("Content-Type: text/plain\r\nContent-Type: application/json\r\n"),
            &[415],
        ),
        case("no media type", post("Content-Type:\r\n"), &[415]),
        case("a compressed body", post("Content-Encoding: gzip\r\n"), &[415]),
        case(
            "two codings of a body",
            post("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"),
            &[400],
        ),
        case(
            "a coding of a body beyond ASCII",
            post("Content-Encoding: ü\r\n"),
            &[400],
        ),
    ]
}
