//! Ten thousand who are there and say nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Door;

const CROWD: usize = 10_000;
/// Files of this process that are not the crowd's.
pub(crate) const OTHERS: usize = 500;
/// How often a crowd goes and another comes.
const ROUNDS: usize = 16;
/// What a connection that idles may take: hyper's buffer for reading and some structures.
const BYTES_EACH: usize = 24 << 10;

/// So many as a crowd is, or as this process may have open.
pub(crate) fn possible() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (CROWD + OTHERS) as u64;
    let raised = Rlimit {
        current: Some(limit.maximum.map_or(wanted, |most| most.min(wanted))),
        maximum: limit.maximum,
    };
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, raised).expect("what is within the limit is allowed");
    }
    let now = getrlimit(Resource::Nofile)
        .current
        .map_or(CROWD + OTHERS, |files| files as usize);
    let possible = CROWD.min(now.saturating_sub(OTHERS));
    if possible < CROWD {
        println!(
            "with {possible} connections instead of {CROWD}: no more than {now} files may be open (ulimit -Hn)"
        );
    }
    possible
}

/// Connections on which something was asked and answered, and nothing since.
fn gather(door: &Door, count: usize) -> Vec<TcpStream> {
    let idle = |_| {
        let mut stream = door.connect();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("sent");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        stream
    };
    (0..count).map(idle).collect()
}

/// Waits until the server has closed what its clients left.
fn gone(door: &Door) {
    while door.server.open_files() > OTHERS {
        std::thread::yield_now();
    }
}

#[test]
fn ten_thousand_idle_connections_are_in_nobodys_way() {
    let count = possible();
    let door = Door::with("idle_seconds = 600", &[]);
    let before = door.server.resident();
    let first = gather(&door, count);
    let with_them = door.server.resident();
    assert!(door.serves(), "another one is served");
    let grown = with_them.saturating_sub(before);
    println!("{count} idle connections take {} KiB each", grown / count / 1024);
    assert!(
        grown < count * BYTES_EACH,
        "{grown} bytes for {count} connections"
    );
    drop(first);
    // What others in their place take levels off, once the allocator has what it wants: nothing is left of those who went.
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        gone(&door);
        let crowd = gather(&door, count);
        assert!(door.serves(), "another one is served");
        taken.push(door.server.resident());
        drop(crowd);
    }
    println!("with one crowd after the other: {with_them} and {taken:?} bytes");
    // What the allocator keeps for a while goes up and down by tens of megabytes, so the least of some crowds is compared with the
    // least of as many ten crowds later. If each connection left half a kilobyte behind, that would grow by more.
    let least = |crowds: &[usize]| crowds.iter().copied().min().unwrap_or_default();
    let (early, late) = (least(&taken[1..ROUNDS - 10]), least(&taken[ROUNDS - 5..]));
    assert!(
        late < early + count * 10 * 512,
        "{with_them} bytes with the first crowd, then {taken:?}"
    );
}
