//! The HTTP server: connections, and how they end.
//!
//! The path of a request is short: hyper reads its head, [`exchange`] its body, [`dialects::answer()`] answers. What is
//! here besides are limits: on heads, on idle connections, on how long a stop may take.

mod exchange;
mod stop;

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::failure::Failure;

pub(crate) use exchange::Server;
pub(crate) use stop::on_signal;

/// The most bytes of a request's head: a URL of 8 KiB, as much of headers, and room for what they stand in.
const HEAD_BYTES: usize = 20 << 10;
/// After so long without a whole head a connection is closed: also how long it may idle between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long after a failed accept (too many open files) the next one is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// What a stop allows beyond the time that a request may take: for writing the answer to a slow reader.
const GRACE: Duration = Duration::from_secs(5);
/// How often holds whose time is over are looked for.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);

/// Listens on `address`; port 0 is a free one.
pub(crate) async fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!(
            "can't listen on {address}: {error}; choose another with --listen, port 0 for any that is free"
        ))
    })
}

/// The URL of a listener for somebody on this machine.
pub(crate) fn base_url(listener: &TcpListener) -> Result<String, Failure> {
    let mut address = listener
        .local_addr()
        .map_err(|error| Failure::while_doing("asking for the port", error))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{address}"))
}

/// Tells whoever started the server something; that nobody listens is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "stdout");
    }
}

/// Serves until `stop`, then lets the requests in flight finish and closes the store.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let expiring = tokio::spawn(expire(Arc::clone(&server)));
    let mut http = http1::Builder::new();
    // Who closes the way there once everything is sent still waits for the answer.
    http.half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES);
    let connections = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // An answer is written at once and whole; waiting for more to send would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let server = Arc::clone(&server);
        let answer = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    server.stop();
    let patience = Duration::from_secs(server.service().config.request_seconds.into()) + GRACE;
    if tokio::time::timeout(patience, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some connections took too long to end and were cut");
    }
    expiring.abort();
    server
        .service()
        .store
        .close()
        .await
        .map_err(|error| Failure::while_doing("closing the store", error))
}

/// Records the expiry of holds, for ever. Says so when that begins to fail, and when it works again.
async fn expire(server: Arc<Server>) {
    let mut ticks = tokio::time::interval(EXPIRE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match server.service().expire_due().await {
            Ok(_) if failing => {
                tracing::info!("holds expire again");
                failing = false;
            }
            Ok(_) => {}
            Err(problem) if !failing => {
                tracing::warn!(
                    ?problem,
                    "holds whose time is over could not be expired; trying on"
                );
                failing = true;
            }
            Err(_) => {}
        }
    }
}
