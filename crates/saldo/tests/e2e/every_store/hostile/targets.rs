//! Methods and targets: encodings, ways out of the tree, lengths.

use super::case::{Case, case, one_of};
use super::world::{Way, World};

/// Ids that nobody has, in the place of one that somebody has.
const IDS: &[(&str, &str)] = &[
    ("nothing", ""),
    ("NUL", "%00"),
    ("a dot", "."),
    ("two dots", ".."),
    ("two encoded dots", "%2e%2e"),
    ("the way to a file", "..%2f..%2f..%2fetc%2fpasswd"),
    ("the way to a file on Windows", "..%5c..%5cboot.ini"),
    ("dots encoded twice", "%252e%252e%252f"),
    ("dots in too many bytes", "%c0%ae%c0%ae%c0%af"),
    ("a slash in three bytes", "%e0%80%af"),
    ("half a pair of surrogates", "%ed%a0%80"),
    ("bytes that are no UTF-8", "%ff%fe%fd"),
    ("a percent sign", "%"),
    ("half an encoding", "%4"),
    ("an encoding in no hex", "%zz"),
    ("an encoding of another kind", "%u0041"),
    ("an encoded percent sign", "%25"),
    ("an emoji", "%f0%9f%92%b8"),
    ("digits of another script", "%d9%a1%d9%a2"),
    ("an encoded line end", "%0d%0aX-Injected:%20y"),
    ("an encoded question mark", "%3fid=1"),
    ("a semicolon", "1;id=2"),
    ("SQL", "1'%20or%20'1'='1"),
    ("a lookup", "$%7bjndi:ldap://x%7d"),
    ("markup", "%3cscript%3e"),
    ("zero", "0"),
    ("minus one", "-1"),
    ("more than 64 bits", "9223372036854775808"),
    ("an exponent", "1e3"),
    ("a sign", "%2b1002"),
    ("the nil id", "00000000-0000-0000-0000-000000000000"),
    ("the largest id", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("a KSUID beyond 160 bits", "cus_zzzzzzzzzzzzzzzzzzzzzzzzzzz"),
    ("a TypeID beyond 128 bits", "cst_zzzzzzzzzzzzzzzzzzzzzzzzzz"),
];

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut all = lines();
    for way in &world.ways {
        all.extend(ids(way));
        all.extend(of_a_way(way));
    }
    all.extend(queries(world));
    all
}

fn get(target: &str, key: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{key}Connection: close\r\n\r\n")
}

fn ids(way: &Way) -> Vec<Case> {
    let known = &way.path[1];
    let around = [
        ("NUL behind an id", format!("{known}%00")),
        ("a space behind an id", format!("{known}%20")),
        ("a line end behind an id", format!("{known}%0a")),
        ("a slash behind an id", format!("{known}%2f")),
        ("a way around to an id", format!("x%2f..%2f{known}")),
        ("a long id", "9".repeat(4_000)),
        ("a long encoded id", "%41".repeat(2_000)),
    ];
    let fixed = IDS.iter().map(|(name, id)| (*name, (*id).to_owned()));
    fixed
        .chain(around)
        .map(|(name, id)| {
            let name = format!("{}: {name} for an id", way.name);
            one_of(name, get(&way.with(&id), &way.key), &[400, 404])
        })
        .collect()
}

fn of_a_way(way: &Way) -> Vec<Case> {
    let (name, whole, key) = (way.name, way.whole(), &way.key);
    let mut all = vec![case(format!("{name}: as it should be"), get(&whole, key), &[200])];
    let absolute = format!("http://elsewhere.example{whole}");
    all.push(case(
        format!("{name}: with a host in the target"),
        get(&absolute, key),
        &[200],
    ));
    for (what, target) in [
        ("a slash behind it", format!("{whole}/")),
        ("two slashes before it", format!("/{whole}")),
        ("dots before it", format!("/x/..{whole}")),
        ("an encoded slash before it", format!("/%2e{whole}")),
        ("a path in upper case", whole.to_uppercase()),
        (
            "an encoded letter of its path",
            whole.replacen("/c", "/%63", 1).replacen("/api", "/%61pi", 1),
        ),
        ("a NUL behind it", format!("{whole}%00")),
        ("a parameter of its path", format!("{whole};a=b")),
    ] {
        all.push(one_of(format!("{name}: {what}"), get(&target, key), &[400, 404]));
    }
    for method in [
        "PUT", "POST", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "get", "BREW",
    ] {
        let asked = format!("{method} {whole} HTTP/1.1\r\nHost: x\r\n{key}Connection: close\r\n\r\n");
        all.push(one_of(format!("{name}: {method}"), asked, &[404, 405]));
    }
    let body = "[".repeat(100_000);
    let with_body = format!(
        "GET {whole} HTTP/1.1\r\nHost: x\r\n{key}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Conduit's page says which media types may be there.
    all.push(one_of(
        format!("{name}: a body that nobody reads"),
        with_body,
        &[200, 415],
    ));
    let line = key.lines().next().unwrap_or_default();
    for (what, keys) in [
        ("no key", String::new()),
        ("a key twice", format!("{line}\r\n{key}")),
        (
            "a key, and another before it",
            format!("{}\r\n{key}", spoiled(line)),
        ),
        (
            "a key, and another behind it",
            format!("{key}{}\r\n", spoiled(line)),
        ),
        (
            "an empty key",
            key.replace(line, line.split(' ').next().unwrap_or_default()),
        ),
        ("a key that is spoiled", key.replace(line, &spoiled(line))),
        ("a key of other letters", key.replace(line, &format!("{line}é"))),
        (
            "a key of eight kibibytes",
            key.replace(line, &format!("{line}{}", "A".repeat(8_000))),
        ),
    ] {
        all.push(one_of(format!("{name}: {what}"), get(&whole, &keys), &[401]));
    }
    all
}

/// A header with another value of the same form.
fn spoiled(line: &str) -> String {
    let (kept, last) = line.split_at(line.len() - 1);
    format!("{kept}{}", if last == "A" { "B" } else { "A" })
}

/// The first line of a request.
fn lines() -> Vec<Case> {
    let ask = |line: &str| format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
    let of = |target: &str| ask(&format!("GET {target} HTTP/1.1"));
    let mut all = vec![
        case("a space in a target", of("/healthz /x"), &[400]),
        case("two spaces before a target", of(" /healthz"), &[400]),
        case("a tab before a target", ask("GET\t/healthz HTTP/1.1"), &[400]),
        case("a NUL in a target", of("/health\0z"), &[400]),
        case("no target", ask("GET  HTTP/1.1"), &[400]),
        case("a target without a slash", of("healthz"), &[404]),
        case("a query alone", of("?x"), &[400]),
        case("a fragment", of("/healthz#x"), &[200]),
        case("the whole server", ask("OPTIONS * HTTP/1.1"), &[404]),
        case("the whole server with GET", of("*"), &[404]),
        case(
            "a host in the target",
            of("http://elsewhere.example/healthz"),
            &[200],
        ),
        case(
            "a user in the target",
            of("http://me:hush@elsewhere.example/healthz"),
            &[200],
        ),
        case("another scheme in the target", of("file:///etc/passwd"), &[400]),
        case("a tunnel", ask("CONNECT elsewhere.example:443 HTTP/1.1"), &[404]),
        case("a tunnel to a path", ask("CONNECT /healthz HTTP/1.1"), &[405]),
        case("an echo", ask("TRACE /healthz HTTP/1.1"), &[405]),
        case(
            "a method of a kibibyte",
            ask(&format!("{} /healthz HTTP/1.1", "A".repeat(1024))),
            &[405],
        ),
        case(
            "a method of 100 kibibytes",
            ask(&format!("{} / HTTP/1.1", "A".repeat(100 << 10))),
            &[431],
        ),
        case("a method with a colon", ask("GE:T / HTTP/1.1"), &[400]),
        case("a method beyond ASCII", ask("GÉT / HTTP/1.1"), &[400]),
        case(
            "a target of 8 KiB and a byte",
            of(&format!("/{}", "a".repeat(8 << 10))),
            &[414],
        ),
        case(
            "a target of 100 KiB",
            of(&format!("/{}", "a".repeat(100 << 10))),
            &[431],
        ),
        case("4,000 segments", of(&"/a".repeat(4_000)), &[404]),
        case("4,000 slashes", of(&"/".repeat(4_000)), &[404]),
        case(
            "4,000 questions",
            of(&format!("/healthz{}", "?".repeat(4_000))),
            &[200],
        ),
        case(
            "bytes that are no UTF-8",
            b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
            &[400],
        ),
    ];
    for path in [
        "/metrics",
        "/api/openapi.json",
        "/docs",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/docs/%00",
    ] {
        all.push(one_of(path, of(path), &[200, 401, 404]));
    }
    all
}

fn queries(world: &World) -> Vec<Case> {
    let [native, others @ ..] = &world.ways[..] else {
        panic!("there are ways");
    };
    let hostile = [
        "limit=1&limit=2",
        "limit=%00",
        "limit=-1",
        "limit=99999999999999999999",
        "cursor=%ff%ff%ff",
        "cursor=AAAA",
        "recordedAt=9999-99-99T99:99:99Z",
        "effectiveAt=%2b292278994-08-17T07:12:55Z",
        "position=18446744073709551616",
        "position=%d9%a1",
        "p%6fsition=x",
        "=",
        "=x&=y",
        "unknown",
        "%00=%00",
        "%ff=%ff",
        "a%00b=c",
    ];
    let mut all = Vec::new();
    for query in hostile {
        let of = |way: &Way| get(&format!("{}?{query}", way.whole()), &way.key);
        all.push(case(format!("native: ?{query}"), of(native), &[400]));
        for way in others {
            // Their pages know no queries, and name none that would be refused.
            all.push(case(format!("{}: ?{query}", way.name), of(way), &[200]));
        }
    }
    let many = format!("{}?{}", native.whole(), "a&".repeat(3_500));
    all.push(case("native: 3,500 parameters", get(&many, &native.key), &[400]));
    all
}
