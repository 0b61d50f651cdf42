//! Whoever sends anything at all: requests that end where nobody knows, deep and large bodies, encodings of every kind, heads
//! without end, thousands of connections on which nothing is ever finished. Somebody else is served exactly meanwhile.
//!
//! A case is bytes with what comes back; they lie by subject in the modules here. Behind many of them stands a whole request that
//! moves money: nobody may take it for one.

mod bodies;
mod case;
mod framing;
mod heads;
mod targets;
mod world;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::home;
use crate::door::{connect, crowd};
use case::Case;
use world::World;

/// How often everything is sent at most, until memory has levelled off: the allocator keeps what it once had.
const ROUNDS: usize = 24;
/// Three rounds must add less than one body of a batch: each sends a dozen of those, and none of them may be left.
const BODY_BYTES: usize = 16 << 20;

/// Connections on which something is begun and nothing is ended.
fn begin(world: &World, count: usize) -> Vec<TcpStream> {
    let body = format!(
        "POST /api/v1/transactions/batch HTTP/1.1\r\nHost: x\r\n{}Content-Length: 1000\r\n\r\n{{\"transactions\":[",
        world.key
    );
    let beginnings = [
        "",
        "\r\n",
        "G",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: y",
        &body,
        "POST /v0.9/auth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        "GET /docs HTTP/1.1\r\nHost: x\r\n\r\nGET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\nGET /",
        "\x16\x03\x01",
    ];
    let begun = |beginning: &&str| {
        let mut stream = connect(world.address());
        stream.write_all(beginning.as_bytes()).expect("sent");
        stream
    };
    beginnings.iter().cycle().take(count).map(begun).collect()
}

/// Sends every case while others hang on, and waits until the server has let go of all; answers with the memory that it has then.
fn round(world: &World, cases: &[Case], count: usize, files: usize) -> usize {
    let crowd = begin(world, count);
    let amiss: Vec<_> = cases.iter().filter_map(|case| case.try_on(world)).collect();
    assert!(amiss.is_empty(), "{}", amiss.join("\n\n"));
    drop(crowd);
    while world.server.open_files() > files + crowd::OTHERS {
        std::thread::yield_now();
    }
    world.server.resident()
}

/// Whether the last rounds have added next to nothing.
fn is_level(memory: &[usize]) -> bool {
    match memory {
        [.., early, _, _, late] => *late < early + BODY_BYTES,
        _ => false,
    }
}

/// Over when it is dropped, also when a case fails: or else the one who behaves would go on for ever.
struct Attack<'a> {
    over: &'a AtomicBool,
}

impl Drop for Attack<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

#[test]
fn whatever_anybody_sends_others_are_served() {
    let world = World::new(home());
    let cases: Vec<_> = [framing::cases, heads::cases, targets::cases, bodies::cases]
        .iter()
        .flat_map(|cases| cases(&world))
        .collect();
    let (count, files) = (crowd::possible(), world.server.open_files());
    let over = AtomicBool::new(false);
    let (memory, served) = std::thread::scope(|scope| {
        let behaving = scope.spawn(|| world.behave(&over));
        let attack = Attack { over: &over };
        let mut memory = Vec::new();
        while memory.len() < ROUNDS && !is_level(&memory) {
            // To gather all of them takes many times as long as to send everything; once is enough to see whether that hurts.
            let count = if memory.is_empty() { count } else { count / 10 };
            memory.push(round(&world, &cases, count, files));
        }
        drop(attack);
        (memory, behaving.join().expect("somebody is served"))
    });
    println!(
        "{} cases, {count} connections; {served} others served; {memory:?} bytes",
        cases.len()
    );
    assert!(served > 0);
    assert_eq!(world.taken(), 0, "hidden requests were taken for requests");
    assert!(is_level(&memory), "{memory:?} bytes");
    let (ended, log) = world.server.stop();
    assert!(ended.success(), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    world.home.verify();
}
