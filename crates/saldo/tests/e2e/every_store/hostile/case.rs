//! What a case is: bytes for a connection, and what comes back on it.

use std::io::Write;
use std::net::Shutdown;

use super::world::World;
use crate::door::{connect, rest};

/// Bytes that somebody sends on a connection of their own.
pub(super) struct Case {
    pub(super) name: String,
    bytes: Vec<u8>,
    expected: Expected,
}

/// The statuses that come back until the server closes.
#[derive(Debug)]
enum Expected {
    /// These, in order; none when it closes without a word.
    All(Vec<u16>),
    /// One of these.
    One(Vec<u16>),
}

/// Bytes to which these answers come, one after the other.
pub(super) fn case(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: &[u16]) -> Case {
    Case {
        name: name.into(),
        bytes: bytes.into(),
        expected: Expected::All(expected.to_vec()),
    }
}

/// Bytes to which one answer comes, which one depends on the wire format.
pub(super) fn one_of(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: &[u16]) -> Case {
    Case {
        expected: Expected::One(expected.to_vec()),
        ..case(name, bytes, &[])
    }
}

impl Case {
    /// Sends it; answers with what came back that is not what is expected.
    pub(super) fn try_on(&self, world: &World) -> Option<String> {
        let mut stream = connect(world.address());
        // What is sent is all, and the answers to it are waited for. A server that has said its last word may close before it has
        // heard everything.
        let sent = stream
            .write_all(&self.bytes)
            .and_then(|()| stream.shutdown(Shutdown::Write));
        let told = rest(&mut stream);
        let as_expected = match (statuses(&told), &self.expected) {
            (Some(statuses), Expected::All(all)) => statuses == *all,
            (Some(statuses), Expected::One(one)) => matches!(statuses[..], [status] if one.contains(&status)),
            (None, _) => false,
        };
        let (name, expected) = (&self.name, &self.expected);
        (!as_expected).then(|| format!("{name} ({sent:?}), {expected:?} expected: {told}"))
    }
}

/// The statuses of answers, one behind the other; `None` when what came is something else.
fn statuses(mut told: &str) -> Option<Vec<u16>> {
    let mut statuses = Vec::new();
    while !told.is_empty() {
        let (head, behind) = told.split_once("\r\n\r\n")?;
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .or(head.strip_prefix("HTTP/1.0 "))?;
        let status: u16 = status.get(..3)?.parse().ok()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = match status {
            100 => 0,
            _ => length?.parse().ok()?,
        };
        told = behind.get(length..)?;
        statuses.push(status);
    }
    Some(statuses)
}
