//! How many connections there may be, and who is turned away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// File descriptors that are not for clients: the store, its connections, the log.
const OTHER_FILES: u64 = 256;
/// So many of those who are turned away are told so at once; the others find the connection closed.
const TOLD_AT_ONCE: usize = 64;
/// How long who is turned away has to hear it.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// What who is turned away is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 47\r\n\r\n\
    too many connections; try again, or close some\n";

/// The connections that there are.
pub(super) struct Connections {
    most: usize,
    most_of_address: usize,
    open: Arc<Mutex<Open>>,
    turned_away: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// Kept only where there is a limit for each.
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among all; free again when it is dropped.
pub(super) struct Place {
    open: Arc<Mutex<Open>>,
    address: Option<IpAddr>,
}

impl Connections {
    /// At most `most`, and of one address `most_of_address`, where 0 is without end. `most` is lowered to what the system
    /// lets this process have open, which is raised first as far as it goes.
    pub(super) fn new(most: usize, most_of_address: usize) -> Self {
        let files = raise_open_files();
        let possible = usize::try_from(files.saturating_sub(OTHER_FILES))
            .unwrap_or(usize::MAX)
            .max(1);
        if possible < most {
            tracing::warn!(
                connections = possible,
                "the system allows this process {files} open files, so fewer connections than the configured {most} are taken; \
                 raise the limit (ulimit -n, LimitNOFILE)"
            );
        }
        Self {
            most: most.min(possible),
            most_of_address,
            open: Arc::default(),
            turned_away: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
        }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn place(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        if open.all >= self.most {
            return None;
        }
        let address = (self.most_of_address > 0).then_some(address);
        if let Some(address) = address {
            let here = open.by_address.entry(address).or_insert(0);
            if *here >= self.most_of_address {
                return None;
            }
            *here += 1;
        }
        open.all += 1;
        Some(Place {
            open: Arc::clone(&self.open),
            address,
        })
    }

    /// Says that there is no place, and closes. Before a TLS handshake nothing can be said.
    pub(super) fn turn_away(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.turned_away).try_acquire_owned() else {
            return;
        };
        let tell = async move {
            let _permit = permit;
            stream.write_all(FULL).await?;
            stream.shutdown().await?;
            // What was sent in the meantime is read: closing over it would take back what was just said.
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        tokio::spawn(async {
            // Who does not listen is none the wiser, and need not be.
            let _ = tokio::time::timeout(HEARD_WITHIN, tell).await;
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.all -= 1;
        if let Some(address) = self.address
            && let Some(here) = open.by_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// Raises the number of files that this process may have open as far as it may; answers with it.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_by_address() {
        let [here, there] = ["127.0.0.1", "::1"].map(|address| address.parse().expect("an address"));
        let connections = Connections::new(3, 2);
        let first = connections.place(here).expect("a place");
        let _second = connections.place(here).expect("a place");
        assert!(connections.place(here).is_none(), "two of one address");
        let third = connections.place(there).expect("a place");
        assert!(connections.place(there).is_none(), "three in all");
        drop(first);
        let _again = connections.place(here).expect("a place");
        assert!(connections.place(here).is_none());
        drop(third);
        assert!(!connections.open.lock().by_address.contains_key(&there));
        assert_eq!(connections.open.lock().all, 2);
    }

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(FULL);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
