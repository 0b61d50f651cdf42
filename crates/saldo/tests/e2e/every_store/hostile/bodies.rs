//! Bodies: deep, large, of other encodings, with names twice.

use super::case::{Case, case};
use super::world::World;

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut all = Vec::new();
    for (name, body) in no_json() {
        for path in [
            "/api/v1/clients",
            "/api/v1/transactions",
            "/api/v1/transactions/batch",
            "/api/v1/accounts",
        ] {
            all.push(case(format!("{path}: {name}"), post(world, path, &body), &[400]));
        }
        all.push(case(
            format!("a token for {name}"),
            anybody("/v0.9/auth/token", &body),
            &[400],
        ));
    }
    all.extend(values(world));
    all.extend(large(world));
    all.extend(pairs(world));
    all
}

/// As `World::post`, of any bytes.
fn post(world: &World, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = world.post(path, "").into_bytes();
    let length = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    bytes.truncate(bytes.len() - "Content-Length: 0\r\n\r\n".len());
    bytes.extend_from_slice(length.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn anybody(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// What is no JSON object that anybody expects.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    vec![
        ("an array", text("[]")),
        ("null", text("null")),
        ("a number", text("1")),
        ("a string", text("\"x\"")),
        ("half an object", text("{")),
        ("an end alone", text("}")),
        ("two objects", text("{}{}")),
        ("something behind an object", text("{} x")),
        ("a NUL", vec![0]),
        ("a NUL behind an object", text("{}\0")),
        ("a byte order mark", text("\u{feff}{}")),
        ("UTF-16", utf16("{}")),
        ("UTF-16 with a byte order mark", utf16("\u{feff}{\"apiKey\":1}")),
        ("UTF-32", b"{\0\0\0}\0\0\0".to_vec()),
        ("Latin-1", b"{\"legalName\":\"M\xfcller\"}".to_vec()),
        ("a slash in two bytes", b"{\"legalName\":\"\xc0\xaf\"}".to_vec()),
        (
            "half a pair of surrogates as bytes",
            b"{\"legalName\":\"\xed\xa0\x80\"}".to_vec(),
        ),
        ("half a character", b"{\"legalName\":\"\xe2\x82\"}".to_vec()),
        ("half a pair of surrogates", text("{\"legalName\":\"\\ud800\"}")),
        ("half a pair in a name", text("{\"\\udfff\":1}")),
        (
            "a pair in the wrong order",
            text("{\"legalName\":\"\\udc00\\ud800\"}"),
        ),
        ("a control character", text("{\"legalName\":\"a\nb\"}")),
        ("an escape of no character", text("{\"legalName\":\"\\x41\"}")),
        ("single quotes", text("{'legalName':'x'}")),
        ("a comment", text("{/* x */}")),
        ("a comma too many", text("{\"legalName\":\"x\",}")),
        ("a name without quotes", text("{legalName:1}")),
        ("no number", text("{\"legalName\":NaN}")),
        ("infinity", text("{\"legalName\":-Infinity}")),
        ("a zero before a number", text("{\"legalName\":01}")),
        ("a plus before a number", text("{\"legalName\":+1}")),
        ("hex", text("{\"legalName\":0x1}")),
        ("a form", text("legalName=x&parentId=y")),
        (
            "XML",
            text("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><x>&y;</x>"),
        ),
        (
            "a gzip of something",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0C\xbf\xa6\xa3\x02\0\0\0".to_vec(),
        ),
        ("a name of nobody", text("{\"__proto__\":{\"admin\":true}}")),
        ("a deep array", "[".repeat(16_000).into_bytes()),
        ("a deep object", "{\"a\":".repeat(3_000).into_bytes()),
    ]
}

/// Members that are out of their range.
fn values(world: &World) -> Vec<Case> {
    let digits = "9".repeat(1_000_000);
    let [client, customer, transactions, rates] =
        ["/clients", "/customers", "/transactions", "/rates"].map(|path| format!("/api/v1{path}"));
    let posting = |amount: &str| {
        format!("{{\"postings\":[{{\"from\":\"x\",\"to\":\"y\",\"asset\":\"USD\",\"amount\":{amount}}}]}}")
    };
    let metadata = |json: &str| format!("{{\"legalName\":\"N\",\"metadata\":{json}}}");
    let mut all = Vec::new();
    let mut add = |path: &str, name: &str, body: String| {
        all.push(case(
            format!("{path}: {name}"),
            post(world, path, body.as_bytes()),
            &[400],
        ));
    };
    add(
        &customer,
        "a number of a million digits",
        format!("{{\"legalName\":\"N\",\"number\":{digits}}}"),
    );
    add(
        &customer,
        "a fraction of a million digits",
        format!("{{\"legalName\":\"N\",\"number\":0.{digits}}}"),
    );
    add(
        &customer,
        "an exponent",
        "{\"legalName\":\"N\",\"number\":1e400}".to_owned(),
    );
    add(
        &customer,
        "minus zero",
        "{\"legalName\":\"N\",\"number\":-0}".to_owned(),
    );
    add(
        &transactions,
        "an amount of a million digits",
        posting(&format!("\"{digits}\"")),
    );
    add(&transactions, "an amount that is a number", posting("1"));
    add(&transactions, "an amount below zero", posting("\"-1\""));
    add(
        &transactions,
        "an amount beyond 127 bits",
        posting("\"170141183460469231731687303715884105728\""),
    );
    add(&transactions, "an amount of other digits", posting("\"\u{661}\""));
    add(
        &client,
        "a member twice",
        "{\"legalName\":\"N\",\"legalName\":\"M\"}".to_owned(),
    );
    add(
        &client,
        "a member twice, once escaped",
        "{\"legalName\":\"N\",\"legal\\u004eame\":\"M\"}".to_owned(),
    );
    add(
        &client,
        "a NUL in a name",
        "{\"legalName\":\"N\\u0000\"}".to_owned(),
    );
    add(
        &client,
        "a long name",
        format!("{{\"legalName\":\"{}\"}}", "N".repeat(500_000)),
    );
    add(
        &client,
        "a member with a name of 900 KiB",
        format!("{{\"{}\":1}}", "n".repeat(900 << 10)),
    );
    add(
        &client,
        "100,000 members",
        format!("{{{}\"legalName\":1}}", "\"a\":1,".repeat(100_000)),
    );
    add(
        &client,
        "100,000 members of its own",
        format!("{{{}\"legalName\":1}}", "\"legalName\":1,".repeat(50_000)),
    );
    add(
        &client,
        "a time zone that is a file",
        "{\"legalName\":\"N\",\"timeZone\":\"../../../etc/passwd\"}".to_owned(),
    );
    add(
        &client,
        "a time zone with a NUL",
        "{\"legalName\":\"N\",\"timeZone\":\"UTC\\u0000\"}".to_owned(),
    );
    add(
        &client,
        "metadata with a member twice",
        metadata("{\"a\":1,\"\\u0061\":2}"),
    );
    add(
        &client,
        "deep metadata",
        metadata(&format!(
            "{{\"a\":{}{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        )),
    );
    add(
        &client,
        "metadata with a number of a million digits",
        metadata(&format!("{{\"a\":{digits}}}")),
    );
    add(
        &client,
        "metadata with half a pair of surrogates",
        metadata("{\"a\":\"\\ud800\"}"),
    );
    add(
        &client,
        "metadata with half a pair in a name",
        metadata("{\"\\ud800\":1}"),
    );
    add(
        &client,
        "metadata of 900 KiB of spaces",
        metadata(&format!("{{{}}}", " ".repeat(900 << 10))),
    );
    all.push(case(
        "a rate of a million digits",
        put(world, &rates, &format!("[{{\"rate\":\"{digits}\"}}]")),
        &[400],
    ));
    all.push(case(
        "200,000 rates that are none",
        put(world, &rates, &format!("[0{}]", ",0".repeat(200_000))),
        &[413],
    ));
    all
}

fn put(world: &World, path: &str, body: &str) -> Vec<u8> {
    let mut bytes = post(world, path, body.as_bytes());
    bytes.splice(..4, *b"PUT");
    bytes
}

/// As large as is read, and larger.
fn large(world: &World) -> Vec<Case> {
    const BATCH: usize = 16 << 20;
    let batch = "/api/v1/transactions/batch";
    let filled = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len()).into_bytes();
    let around = |before: &str, unit: &str, behind: &str| {
        let bytes = BATCH - before.len() - behind.len();
        [before.as_bytes(), &filled(unit, bytes), behind.as_bytes()].concat()
    };
    let chunked = format!(
        "POST {batch} HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        world.key
    );
    let endless = chunked + &format!("10000\r\n{}\r\n", " ".repeat(1 << 16)).repeat(257);
    vec![
        case(
            "16 MiB of brackets",
            post(world, batch, &filled("[", BATCH)),
            &[400],
        ),
        case(
            "16 MiB of braces",
            post(world, batch, &filled("{\"a\":", BATCH)),
            &[400],
        ),
        case(
            "16 MiB of quotes",
            post(world, batch, &filled("\"", BATCH)),
            &[400],
        ),
        case(
            "16 MiB of backslashes",
            post(world, batch, &around("\"", "\\\\", "\"")),
            &[400],
        ),
        case(
            "16 MiB of spaces",
            post(world, batch, &filled(" ", BATCH)),
            &[400],
        ),
        case(
            "a batch of millions of nothing",
            post(world, batch, &around("{\"transactions\":[0", ",0", " ]}")),
            &[413],
        ),
        case(
            "a batch of a million without postings",
            post(
                world,
                batch,
                &around(
                    "{\"transactions\":[{\"postings\":[]}",
                    ",{\"postings\":[]}",
                    " ]}",
                ),
            ),
            &[413],
        ),
        case(
            "millions of postings that are none",
            post(
                world,
                batch,
                &around("{\"transactions\":[{\"postings\":[0", ",0", " ]}]}"),
            ),
            &[400],
        ),
        case(
            "millions of members",
            post(
                world,
                batch,
                &around("{\"transactions\":[{\"a\":0", ",\"\":0", " }]}"),
            ),
            &[400],
        ),
        case(
            "a batch and a byte more",
            post(world, batch, &vec![b' '; BATCH + 1]),
            &[413],
        ),
        case("a batch that never ends", endless, &[413]),
        case(
            "a mebibyte of brackets",
            post(world, "/api/v1/transactions", &filled("[", 1 << 20)),
            &[400],
        ),
        case(
            "a mebibyte and a byte more",
            post(world, "/api/v1/transactions", &vec![b' '; (1 << 20) + 1]),
            &[413],
        ),
        case(
            "a token for 16 KiB and a byte",
            anybody("/v0.9/auth/token", &vec![b' '; (16 << 10) + 1]),
            &[413],
        ),
        case(
            "a token for three mebibytes",
            anybody("/v0.9/auth/token", &vec![b' '; 3 << 20]),
            &[413],
        ),
        case(
            "three mebibytes to nowhere",
            anybody("/nowhere", &vec![b' '; 3 << 20]),
            &[404],
        ),
        case(
            "three mebibytes from nobody",
            anybody("/api/v1/clients", &vec![b' '; 3 << 20]),
            &[401],
        ),
    ]
}

/// Who asks for a token.
fn pairs(world: &World) -> Vec<Case> {
    let ask = |body: &str| anybody("/v0.9/auth/token", body.as_bytes());
    let twice = world.pair.replacen('{', "{\"apiKey\":\"x\",", 1);
    vec![
        case("a token", ask(&world.pair), &[200]),
        case("a token for two keys", ask(&twice), &[400]),
        case(
            "a token for a NUL",
            ask("{\"apiKey\":\"\\u0000\",\"apiSecret\":\"\\u0000\"}"),
            &[401],
        ),
        case(
            "a token for nothing",
            ask("{\"apiKey\":\"\",\"apiSecret\":\"\"}"),
            &[401],
        ),
        case(
            "a token for a long key",
            ask(&format!(
                "{{\"apiKey\":\"{}\",\"apiSecret\":\"x\"}}",
                "k".repeat(15_000)
            )),
            &[401],
        ),
        case(
            "a token for numbers",
            ask("{\"apiKey\":1,\"apiSecret\":2}"),
            &[400],
        ),
    ]
}
