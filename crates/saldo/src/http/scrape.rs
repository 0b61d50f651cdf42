//! An address for metrics alone, for networks that clients can't reach: whoever gets here needs no key.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::exchange::{AnswerBody, Server};

/// How long a connection may be without a request.
const IDLE: Duration = Duration::from_secs(120);
/// How long after a failed accept the next one is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// The most connections at once: more than anybody scrapes from.
const CONNECTIONS: usize = 16;

/// Answers `/metrics` there, until the process ends.
pub(crate) async fn scrape(listener: TcpListener, server: Arc<Server>) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let server = Arc::clone(&server);
        let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let answer = match request.uri().path() {
                "/metrics" => server.metrics(),
                _ => nothing(),
            };
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(IDLE);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
                tracing::debug!(%error, "a connection for metrics ended early");
            }
            drop(place);
        });
    }
}

fn nothing() -> hyper::Response<AnswerBody> {
    let body = Full::new(Bytes::from_static(b"only /metrics is here\n"));
    let mut response = hyper::Response::new(Either::Left(body));
    *response.status_mut() = hyper::StatusCode::NOT_FOUND;
    response
}
