//! A proxy in front of PostgreSQL that cuts connections: all at once, or one at its commit.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Where a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// The database never sees the commit.
    Before,
    /// It commits, and nobody is told.
    After,
}

#[derive(Default)]
struct Shared {
    open: Mutex<Vec<Pair>>,
    /// How many commits are yet to be cut.
    commits: AtomicI64,
}

/// Both sides of a connection.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    cut: Mutex<Option<Cut>>,
}

impl Pair {
    fn end(&self) {
        for side in [&self.client, &self.server] {
            // The other side may be gone already.
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

/// A proxy that runs until the tests end.
pub(super) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(super) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    join(&all, client, server);
                }
            }
        });
        Self { port, shared }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        let open = std::mem::take(&mut *self.shared.open.lock().expect("nobody fails here"));
        open.iter().for_each(|pair| pair.end());
    }

    /// Cuts the next connections at their commits, by turns before and after.
    pub(super) fn cut_commits(&self, count: i64) {
        self.shared.commits.fetch_add(count, Ordering::SeqCst);
    }

    /// How many commits are yet to be cut.
    pub(super) fn left(&self) -> i64 {
        self.shared.commits.load(Ordering::SeqCst)
    }
}

fn join(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    let both = |stream: &TcpStream| {
        stream.set_nodelay(true).expect("a socket");
        stream.try_clone().expect("a socket")
    };
    let pair = Arc::new(Pair {
        client: both(&client),
        server: both(&server),
        cut: Mutex::default(),
    });
    shared.open.lock().expect("nobody fails here").push(Pair {
        client: both(&client),
        server: both(&server),
        cut: Mutex::default(),
    });
    let (all, there) = (Arc::clone(shared), Arc::clone(&pair));
    std::thread::spawn(move || {
        carry(client, &there.server, |bytes| {
            !(contains(bytes, b"commit\0") && is_cut(&all, &there))
        });
        there.end();
    });
    std::thread::spawn(move || {
        carry(server, &pair.client, |bytes| {
            let cut = *pair.cut.lock().expect("nobody fails here");
            !(cut == Some(Cut::After) && contains(bytes, b"COMMIT\0"))
        });
        pair.end();
    });
}

/// Whether a commit is cut off before it reaches the database.
fn is_cut(shared: &Shared, pair: &Pair) -> bool {
    let take = |left: i64| (left > 0).then(|| left - 1);
    let taken = shared
        .commits
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
    let Ok(left) = taken else { return false };
    let cut = if left % 2 == 0 { Cut::Before } else { Cut::After };
    *pair.cut.lock().expect("nobody fails here") = Some(cut);
    cut == Cut::Before
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Carries bytes until there are none, or some are not to be carried.
fn carry(mut from: TcpStream, mut to: &TcpStream, may: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count) = from.read(&mut bytes)
        && count > 0
        && may(&bytes[..count])
        && to.write_all(&bytes[..count]).is_ok()
    {}
}
