//! The HTTP server: connections, and how they end.
//!
//! The path of a request is short: hyper reads its head, [`dialects::answer()`] answers, [`exchange`] is between the two.
//! What is here besides are limits: on connections and how long they are waited for ([`connections`], [`patient`]), on heads,
//! on how long a stop may take; TLS ([`tls`]); and the traces of requests ([`traces`]).

mod connections;
mod exchange;
mod live;
mod long;
mod patient;
mod scrape;
mod stop;
mod tls;
mod traces;

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use self::connections::{Connections, Place};
use self::exchange::From;
use self::patient::{Patience, Patient, Phase};
use crate::failure::Failure;

pub(crate) use exchange::Server;
pub(crate) use scrape::scrape;
pub(crate) use stop::on_signal;
pub(crate) use tls::{Files, acceptor};
pub(crate) use traces::Traces;

/// The most bytes of a request's head: a URL of 8 KiB, as much of headers, and room for what they stand in.
const HEAD_BYTES: usize = 20 << 10;
/// The most lines of a request's head.
const HEADERS: usize = 128;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
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
pub(crate) fn base_url(listener: &TcpListener, scheme: &str) -> Result<String, Failure> {
    let mut address = listener
        .local_addr()
        .map_err(|error| Failure::while_doing("asking for the port", error))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("{scheme}://{address}"))
}

/// Tells whoever started the server something; that nobody listens is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "stdout");
    }
}

/// How clients come in.
#[derive(Default)]
pub(crate) struct Door {
    /// What makes TLS of their connections.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Whether all of them come through a proxy, which says who they are.
    pub(crate) behind_proxy: bool,
}

/// Serves until `stop`, then lets the requests in flight finish and closes the store.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Door,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let expiring = tokio::spawn(expire(Arc::clone(&server)));
    let Door { tls, behind_proxy } = door;
    let limits = &server.service().config;
    // All connections of a proxy have its address.
    let of_address = if behind_proxy {
        0
    } else {
        limits.connections_per_address
    };
    let connections = Connections::new(limits.connections, of_address);
    let house = House::new(Arc::clone(&server), behind_proxy);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let Some(place) = connections.place(peer.ip()) else {
            if tls.is_none() {
                connections.turn_away(stream);
            }
            continue;
        };
        // An answer is written at once and whole; waiting for more to send would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        tokio::spawn(house.receive(stream, peer.ip(), tls.clone(), place));
    }
    drop(listener);
    server.stop();
    let patience = Duration::from_secs(server.service().config.request_seconds.into()) + GRACE;
    if tokio::time::timeout(patience, house.open.shutdown())
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

/// What every connection gets.
struct House {
    server: Arc<Server>,
    http: http1::Builder,
    patience: Patience,
    behind_proxy: bool,
    open: GracefulShutdown,
}

impl House {
    fn new(server: Arc<Server>, behind_proxy: bool) -> Self {
        let limits = &server.service().config;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let patience = Patience {
            idle: seconds(limits.idle_seconds),
            head: seconds(limits.head_seconds),
            answer: seconds(limits.answer_seconds),
        };
        let mut http = http1::Builder::new();
        // Who closes the way there once everything is sent still waits for the answer.
        http.half_close(true)
            // It would make a timer for each request: see [`patient`].
            .header_read_timeout(None)
            .max_headers(HEADERS)
            .max_buf_size(HEAD_BYTES);
        Self {
            server,
            http,
            patience,
            behind_proxy,
            open: GracefulShutdown::new(),
        }
    }

    /// Answers on a connection until its end.
    fn receive(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        tls: Option<TlsAcceptor>,
        place: Place,
    ) -> impl Future<Output = ()> + use<> {
        let phase = Phase::default();
        let (server, behind_proxy) = (Arc::clone(&self.server), self.behind_proxy);
        let told = phase.clone();
        let answer = service_fn(move |request| {
            let (server, told) = (Arc::clone(&server), told.clone());
            async move {
                told.asked();
                let answer = server.answer(request, From { peer, behind_proxy }).await;
                told.answered();
                Ok::<_, Infallible>(answer)
            }
        });
        let (http, patience, watcher) = (self.http.clone(), self.patience, self.open.watcher());
        async move {
            let _place = place;
            let ended = match tls {
                None => {
                    let stream = TokioIo::new(Patient::new(stream, phase, patience));
                    watcher.watch(http.serve_connection(stream, answer)).await
                }
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let stream = TokioIo::new(Patient::new(stream, phase, patience));
                        watcher.watch(http.serve_connection(stream, answer)).await
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(%error, %peer, "no TLS came about");
                        return;
                    }
                    Err(_) => return,
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        }
    }
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
