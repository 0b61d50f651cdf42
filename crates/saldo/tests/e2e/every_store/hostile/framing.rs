//! Where one request ends and the next begins: what something in front of the server may see otherwise.

use super::case::{Case, case};
use super::world::World;
use crate::harness::Random;

/// A whole request that may stand behind another.
const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut random = Random(11);
    [
        lengths(world, &mut random),
        codings(world, &mut random),
        chunks(world, &mut random),
        line_ends(world, &mut random),
        pipelines(world, &mut random),
        versions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A head for a body, with these lines that say where it ends.
fn head(world: &World, lines: &str) -> String {
    format!(
        "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\n{}{lines}\r\n",
        world.key
    )
}

fn lengths(world: &World, random: &mut Random) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, lines: &str, expected: &[u16]| {
        let hidden = world.hidden(random);
        all.push(case(name, head(world, lines) + "{}" + &hidden, expected));
    };
    add(
        "two lengths that differ",
        "Content-Length: 2\r\nContent-Length: 300\r\n",
        &[400],
    );
    add("two lengths in one line", "Content-Length: 2, 300\r\n", &[400]);
    add(
        "the same length twice in one line",
        "Content-Length: 2, 2\r\n",
        &[400],
    );
    add("a length with a sign", "Content-Length: +2\r\n", &[400]);
    add("a length below zero", "Content-Length: -2\r\n", &[400]);
    add("a length in hex", "Content-Length: 0x2\r\n", &[400]);
    add("a length with a fraction", "Content-Length: 2.0\r\n", &[400]);
    add("a length of other digits", "Content-Length: ２\r\n", &[400]);
    add("an empty length", "Content-Length: \r\n", &[400]);
    add(
        "a length beyond 64 bits",
        "Content-Length: 18446744073709551618\r\n",
        &[400],
    );
    add(
        "a length of 64 bits",
        "Content-Length: 18446744073709551615\r\n",
        &[431],
    );
    add("a length with a tab inside", "Content-Length: 1\t2\r\n", &[400]);
    add(
        "a name with a space before its colon",
        "Content-Length : 2\r\n",
        &[400],
    );
    add("a name with a space before it", " Content-Length: 2\r\n", &[400]);
    add("a folded line", "Content-Length:\r\n 2\r\n", &[400]);
    add(
        "a folded line of something else",
        "X-Long: a\r\n b\r\nContent-Length: 2\r\n",
        &[400],
    );
    add(
        "a name with an underscore is another name",
        "Content_Length: 300\r\nContent-Length: 2\r\nConnection: close\r\n",
        &[400],
    );
    // Shorter than what it says: the body takes in what follows, which is no JSON then.
    let hidden = world.hidden(random);
    let longer = head(world, &format!("Content-Length: {}\r\n", 2 + hidden.len())) + "{}" + &hidden;
    all.push(case("a length that takes in the next request", longer, &[400]));
    let short = head(world, "Content-Length: 100\r\n") + "{}";
    all.push(case("a body that ends before its end", short, &[400]));
    all
}

fn codings(world: &World, random: &mut Random) -> Vec<Case> {
    let mut all = Vec::new();
    // An empty body in chunks; what is behind it is the next request, or part of the first by its length.
    let mut add = |name: &str, lines: &str, expected: &[u16]| {
        let hidden = world.hidden(random);
        all.push(case(name, head(world, lines) + "0\r\n\r\n" + &hidden, expected));
    };
    add(
        "chunked, then a length",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        &[400],
    );
    add(
        "a length, then chunked",
        "Content-Length: 600\r\nTransfer-Encoding: chunked\r\n",
        &[400],
    );
    add(
        "a length between two codings",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        &[501],
    );
    for (name, coding) in [
        ("chunked twice", "chunked, chunked"),
        ("identity, then chunked", "identity, chunked"),
        ("compressed, then chunked", "gzip, chunked"),
        ("nothing, then chunked", ", chunked"),
        ("quoted and chunked", "\"x\", chunked"),
    ] {
        add(name, &format!("Transfer-Encoding: {coding}\r\n"), &[501]);
    }
    for (name, coding) in [
        ("chunked, then identity", "chunked, identity"),
        ("something like chunked", "xchunked"),
        ("chunked in quotes", "\"chunked\""),
        ("chunked with a parameter", "chunked;q=1"),
        ("chunked behind a vertical tab", "\u{b}chunked"),
        ("an unknown coding", "gzip"),
        ("no coding", ""),
    ] {
        add(name, &format!("Transfer-Encoding: {coding}\r\n"), &[400]);
    }
    add(
        "two codings in two lines",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        &[501],
    );
    add(
        "a coding behind a space before the colon",
        "Transfer-Encoding : chunked\r\n",
        &[400],
    );
    add("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", &[400]);
    add("a coding with a NUL", "Transfer-Encoding: chunked\0\r\n", &[400]);
    let old = format!(
        "POST /api/v1/transactions HTTP/1.0\r\n{}Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
        world.key
    );
    all.push(case("chunked in HTTP/1.0", old + &world.hidden(random), &[400]));
    all
}

fn chunks(world: &World, random: &mut Random) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, body: &str, expected: &[u16]| {
        let lines = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
        let hidden = world.hidden(random);
        all.push(case(name, head(world, lines) + body + &hidden, expected));
    };
    // What is no JSON that is expected is said; where no chunk is, the body ended before its end. Both are 400.
    add("a chunk", "2\r\n{}\r\n0\r\n\r\n", &[400]);
    add(
        "chunks of a byte",
        &("1\r\n \r\n".repeat(5_000) + "0\r\n\r\n"),
        &[400],
    );
    add(
        "a size beyond 64 bits",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        &[400],
    );
    add("a size of 64 bits", "ffffffffffffffff\r\n{}\r\n0\r\n\r\n", &[400]);
    add(
        "a size with zeros ahead",
        &("0".repeat(100_000) + "2\r\n{}\r\n0\r\n\r\n"),
        &[400],
    );
    add("a size with 0x", "0x2\r\n{}\r\n0\r\n\r\n", &[400]);
    add("a size with a sign", "+2\r\n{}\r\n0\r\n\r\n", &[400]);
    add("a size below zero", "-2\r\n{}\r\n0\r\n\r\n", &[400]);
    add("no size", "\r\n{}\r\n0\r\n\r\n", &[400]);
    add("a size and a line feed alone", "2\n{}\r\n0\r\n\r\n", &[400]);
    add(
        "a chunk that is longer than its size",
        "1\r\n{}\r\n0\r\n\r\n",
        &[400],
    );
    add(
        "a chunk that is shorter than its size",
        "5\r\n{}\r\n0\r\n\r\n",
        &[400],
    );
    add("an extension", "2;a=b;c=\"d\"\r\n{}\r\n0\r\n\r\n", &[400]);
    add(
        "an extension with a line feed",
        "2;a=\nb\r\n{}\r\n0\r\n\r\n",
        &[400],
    );
    add(
        "an extension of a mebibyte",
        &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(1 << 20)),
        &[400],
    );
    add(
        "trailers",
        "2\r\n{}\r\n0\r\nContent-Length: 300\r\nHost: y\r\n\r\n",
        &[400],
    );
    add(
        "trailers that are none",
        "2\r\n{}\r\n0\r\nno colon\r\n\r\n",
        &[400],
    );
    add(
        "a mebibyte of trailers",
        &format!("0\r\nX: {}\r\n\r\n", "a".repeat(1 << 20)),
        &[400],
    );
    add("no last chunk's end", "2\r\n{}\r\n0\r\n", &[400]);
    all
}

fn line_ends(world: &World, random: &mut Random) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, lines: &str, expected: &[u16]| {
        let hidden = world.hidden(random);
        // If the hidden head counts as lines of the first, it is a second `Host`.
        all.push(case(
            name,
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{lines}{hidden}"),
            expected,
        ));
    };
    add("a carriage return alone", "X: a\rb\r\n\r\n", &[400]);
    add("a carriage return for an end", "X: a\r\r", &[400]);
    add("a NUL in a value", "X: a\0b\r\n\r\n", &[400]);
    add("a NUL in a name", "X\0: a\r\n\r\n", &[400]);
    add("a line without a colon", "X\r\n\r\n", &[400]);
    add("a line without a name", ": a\r\n\r\n", &[400]);
    add("a name in brackets", "X(a): b\r\n\r\n", &[400]);
    add("a name beyond ASCII", "Ünder: b\r\n\r\n", &[400]);
    add("white space and no name", " \r\n\r\n", &[400]);
    // A line feed alone ends a line here as almost everywhere (RFC 9112, 2.2): one request, and no other in it.
    let feeds = "GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n";
    all.push(case("line feeds alone", feeds, &[200]));
    all
}

fn pipelines(world: &World, random: &mut Random) -> Vec<Case> {
    let get = |lines: &str| format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let hidden = &world.hidden(random);
    let unread = get(&format!("Content-Length: {}\r\n", hidden.len()));
    let unknown = format!(
        "POST /api/v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer saldo_x\r\nContent-Length: {}\r\n\r\n",
        hidden.len()
    );
    let expecting = format!(
        "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\n{}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
        world.key
    );
    let refused = format!(
        "POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        hidden.len()
    );
    vec![
        case("three in a row", NEXT.repeat(3), &[200, 200, 200]),
        case("a thousand in a row", NEXT.repeat(1_000), &[200; 1_000]),
        case("empty lines before a request", format!("\r\n\r\n{NEXT}"), &[200]),
        case(
            "more after the last one",
            get("Connection: close\r\n") + hidden,
            &[200],
        ),
        case(
            "nonsense behind a request",
            NEXT.to_owned() + "nonsense\r\n\r\n" + hidden,
            &[200, 400],
        ),
        case(
            "a request in the body of one that has none",
            unread + hidden,
            &[200],
        ),
        case(
            "a request in the body of one that is refused",
            unknown + hidden + NEXT,
            &[401, 200],
        ),
        case("a body that was asked for", expecting + NEXT, &[100, 400, 200]),
        case(
            "a request in a body that was not asked for",
            refused + hidden,
            &[401],
        ),
        case(
            "an expectation that nobody has",
            get("Expect: the-unexpected\r\n"),
            &[200],
        ),
    ]
}

fn versions() -> Vec<Case> {
    let get = |version: &str, lines: &str| format!("GET /healthz {version}\r\n{lines}\r\n");
    let kept = get("HTTP/1.0", "Connection: keep-alive\r\n");
    let mut all = vec![
        case("HTTP/1.0", get("HTTP/1.0", "") + NEXT, &[200]),
        case("HTTP/1.0 that goes on", kept + NEXT, &[200, 200]),
        case("HTTP/0.9", "GET /healthz\r\n\r\n", &[400]),
        case("a lower case version", get("http/1.1", "Host: x\r\n"), &[400]),
        case("HTTP/1.2", get("HTTP/1.2", "Host: x\r\n"), &[400]),
        case("HTTP/2.0", get("HTTP/2.0", "Host: x\r\n"), &[400]),
        case("another protocol", get("RTSP/1.0", ""), &[400]),
        case(
            "HTTP/2 without asking",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            &[],
        ),
        case(
            "TLS on a port without",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".repeat(9),
            &[400],
        ),
        case("nothing but zeros", vec![0; 100_000], &[400]),
        case("nothing but line ends", "\r\n".repeat(50_000), &[431]),
        case("nothing", "", &[]),
        case("half a request", "GET /healthz HT", &[]),
    ];
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n";
    for (name, lines) in [("an upgrade to HTTP/2", h2c), ("an upgrade to WebSocket", socket)] {
        all.push(case(
            name,
            get("HTTP/1.1", &format!("Host: x\r\n{lines}")) + NEXT,
            &[200, 200],
        ));
    }
    all
}
