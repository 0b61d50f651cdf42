//! Requests of every wire format, as far as they are read: what is at fault is said in the format of the path.
//!
//! ```text
//! METHOD target
//! Name: value
//!
//! body
//! ```
#![no_main]

use std::sync::LazyLock;

use dialects::{Body, Config, Found, Method, Request, Router, problem};
use libfuzzer_sys::fuzz_target;

static ROUTER: LazyLock<Router> = LazyLock::new(|| Router::new(Config::default()));

/// What a request may be answered with that was only read.
const REFUSED: [u16; 6] = [400, 401, 404, 413, 415, 422];

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match split {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &b""[..]),
    };
    // Heads are ASCII by the time that they come here.
    let Some(head) = std::str::from_utf8(head).ok().filter(|head| head.is_ascii()) else {
        return;
    };
    let mut lines = head.lines();
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut request = Request::new(Method::parse(method), path, query, &headers, Body::Whole(body));
    let Found::Route {
        dialect,
        route,
        params,
        ..
    } = ROUTER.find(request.method, path)
    else {
        return;
    };
    request.params = params;
    let checked =
        (dialect.check)(&request, route).and_then(|()| (route.handler.check)(&request, ROUTER.config()));
    if let Err(fault) = checked {
        assert!(REFUSED.contains(&problem::status(&fault)), "{fault:?}");
        let refusal = (dialect.refuse)(&fault, &request, "1");
        let said: serde_json::Value = serde_json::from_slice(&refusal.body).expect("JSON");
        assert!(said.is_object(), "{said}");
        assert_eq!(refusal.status, problem::status(&fault), "{fault:?}");
    }
});
