//! A proxy before PostgreSQL that can fall silent: it keeps its connections, takes new ones, and moves nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// The proxy. It ends with the test's runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    moves: watch::Sender<bool>,
}

impl Proxy {
    /// Starts one that moves what it gets to and from this socket.
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (moves, seen) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, seen) = (socket.clone(), seen.clone());
                tokio::spawn(async move {
                    let server = UnixStream::connect(socket).await.expect("PostgreSQL is there");
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // When either ends, both do.
                    tokio::select! {
                        () = pass(from_client, to_server, seen.clone()) => {}
                        () = pass(from_server, to_client, seen) => {}
                    }
                });
            }
        });
        Self { address, moves }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn fall_silent(&self) {
        self.moves.send_replace(false);
    }

    pub(crate) fn speak(&self) {
        self.moves.send_replace(true);
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut moves: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if moves.wait_for(|moves| *moves).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
