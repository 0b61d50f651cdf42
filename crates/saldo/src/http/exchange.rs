//! One request and its answer: from hyper's types to those of [`dialects`] and back.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dialects::{Arriving, Body, Boxed, Given, Headers, Method, Request, Response, Router};
use http_body::{Body as _, Frame};
use http_body_util::{Either, Full};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use service::{Problem, Service};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::live::Live;
use super::long::{LongRequests, on};
use super::traces::{Paths, Traces};
use crate::docs::Docs;
use crate::failure::Failure;
use crate::log::{self, RequestId};
use crate::metrics::Metrics;

/// Answers that took longer are logged.
const SLOW: Duration = Duration::from_secs(1);
/// The most bytes of a path with its query.
const URL_BYTES: usize = 8 << 10;
/// How much of a body that is too large is read and thrown away before the connection is closed.
const DISCARD_BYTES: usize = 64 << 20;
/// How long the store may take to say whether it takes writes.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What answers requests.
pub(crate) struct Server {
    service: Arc<Service>,
    router: Router,
    docs: Docs,
    metrics: Metrics,
    /// What makes spans of requests, if they are exported.
    traces: Option<(Arc<Traces>, Paths)>,
    /// Request ids are this start's name and a number, so that two starts have none in common.
    start: u32,
    requests: AtomicU64,
    stopping: watch::Sender<bool>,
    long: LongRequests,
}

/// The body of an answer: all there is, or made while it is sent.
pub(super) type AnswerBody = Either<Full<Bytes>, Live>;

impl Server {
    /// What answers with this service.
    ///
    /// # Errors
    /// When no threads can be started.
    pub(crate) fn new(
        service: Arc<Service>,
        config: dialects::Config,
        traces: Option<Arc<Traces>>,
    ) -> Result<Self, Failure> {
        let now = service.clock.now().0;
        let router = Router::new(config);
        Ok(Self {
            metrics: Metrics::new(&service),
            service,
            docs: Docs::new(&router),
            traces: traces.map(|traces| (traces, Paths::of(&router))),
            router,
            // The lower half of the seconds is enough to tell starts apart in a log.
            start: now.div_euclid(1_000_000) as u32,
            requests: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            long: LongRequests::start()?,
        })
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Says to whoever asks that nothing more should be sent here, and ends answers that have no end.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        from: From,
    ) -> hyper::Response<AnswerBody> {
        let id = RequestId {
            start: self.start,
            number: self.requests.fetch_add(1, Ordering::Relaxed),
        };
        let begun = Instant::now();
        if !LongRequests::takes(request.body()) {
            return log::about(id, self.answered(request, from, id, begun)).await;
        }
        let server = Arc::clone(&self);
        let answering = self
            .long
            .begin(async move { log::about(id, server.answered(request, from, id, begun)).await });
        answering.end().await
    }

    async fn answered(
        &self,
        request: hyper::Request<Incoming>,
        from: From,
        id: RequestId,
        begun: Instant,
    ) -> hyper::Response<AnswerBody> {
        let (head, incoming) = request.into_parts();
        let (mut response, counted) = match ambiguous(&head) {
            // Where a request ends, and whom it is for, must not depend on who reads it.
            Some(refusal) => (refusal.with("connection", "close"), false),
            None => self.of_path(&head, incoming, id).await,
        };
        let path = head.uri.path();
        if response.header("x-request-id").is_none() {
            response.set("x-request-id", id.text());
        }
        let taken = begun.elapsed();
        if counted {
            let method = Method::parse(head.method.as_str());
            self.metrics.answered(method, &response, taken);
        }
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let (method, status) = (head.method.as_str(), response.status);
        if taken > SLOW {
            let client = from.client(&head.headers);
            tracing::warn!(method, path, status, %client, micros, "slow answer");
        } else {
            let client = || tracing::field::display(from.client(&head.headers));
            // Off unless it is asked for by name.
            tracing::debug!(target: "saldo::access", method, path, status, client = client(), micros, "answered");
        }
        let rest = response.rest.take();
        let rest = rest.map(|rest| Live::new(rest, self.stopping.subscribe(), id));
        Self::spelled(response, rest)
    }

    /// The answer to a request that is well formed, and whether it is counted.
    async fn of_path(
        &self,
        head: &hyper::http::request::Parts,
        incoming: Incoming,
        id: RequestId,
    ) -> (Response, bool) {
        let path = head.uri.path();
        let own = match path {
            _ if url_bytes(&head.uri) > URL_BYTES => Some(plain(
                414,
                format!("the URL has more than {URL_BYTES} bytes; send what is long in a body"),
            )),
            "/healthz" | "/readyz" if !matches!(head.method.as_str(), "GET" | "HEAD") => {
                Some(plain(405, "ask with GET or HEAD").with("allow", "GET, HEAD"))
            }
            "/healthz" => Some(plain(200, "ok")),
            "/readyz" => Some(self.readiness().await),
            "/metrics" => Some(self.metrics_for_operators(&head.headers).await),
            _ => self.docs.answer(head.method.as_str(), path),
        };
        if let Some(own) = own {
            return (own, false);
        }
        let text = id.text();
        let routed = self.routed(head, incoming, &text);
        let response = match &self.traces {
            None => routed.await,
            Some((traces, paths)) => {
                let method = Method::parse(head.method.as_str());
                traces.follow(paths, (method, &head.headers), id, routed).await
            }
        };
        (response, true)
    }

    /// What is counted; for the address that is for nothing else.
    pub(super) fn metrics(&self) -> hyper::Response<AnswerBody> {
        Self::spelled(self.metrics.answer(), None)
    }

    /// The same for whoever has an operator's key: it tells of all clients together.
    async fn metrics_for_operators(&self, headers: &HeaderMap) -> Response {
        let fields = Fields(headers);
        let given = match fields.given("authorization") {
            Given::Once(value) => value.split_once(' '),
            _ => None,
        };
        let caller = match given {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                self.service.authenticate_token(token.trim()).await
            }
            _ => Err(Problem::Unauthorized),
        };
        match caller {
            Ok(caller) if caller.is_operator() => self.metrics.answer(),
            Ok(_) => dialects::problem::neutral(&Problem::missing_scope("operator")),
            Err(problem) => {
                dialects::problem::neutral(&problem).with("www-authenticate", "Bearer realm=\"saldo\"")
            }
        }
    }

    /// The answer of a wire format.
    async fn routed(&self, head: &hyper::http::request::Parts, incoming: Incoming, id: &str) -> Response {
        let method = Method::parse(head.method.as_str());
        let headers = Fields(&head.headers);
        let request = Request::new(
            method,
            head.uri.path(),
            head.uri.query(),
            &headers,
            Body::Whole(b""),
        );
        if incoming.is_end_stream() {
            return dialects::answer(&self.service, &self.router, id, request, None).await;
        }
        let mut body = Arrival {
            within: Duration::from_secs(self.service.config.request_seconds.into()),
            elsewhere: LongRequests::takes(&incoming).then(|| self.long.others()),
            incoming: Some(incoming),
        };
        let answer = dialects::answer(&self.service, &self.router, id, request, Some(&mut body)).await;
        // Who waits to be asked for the body is not asked.
        if headers.get("expect").is_none() {
            body.discard().await;
        }
        answer
    }

    /// Whether requests, writes too, can be sent here now.
    async fn readiness(&self) -> Response {
        if *self.stopping.borrow() {
            return plain(503, "stopping");
        }
        match tokio::time::timeout(READY_WITHIN, self.service.store.ready()).await {
            Ok(Ok(())) => plain(200, "ready"),
            Ok(Err(error)) => plain(503, error.to_string()),
            Err(_) => plain(503, "the store does not answer"),
        }
    }

    fn spelled(response: Response, rest: Option<Live>) -> hyper::Response<AnswerBody> {
        let body = match rest {
            None => Either::Left(Full::new(response.body)),
            Some(live) => Either::Right(live),
        };
        let mut spelled = hyper::Response::new(body);
        *spelled.status_mut() =
            hyper::StatusCode::from_u16(response.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = spelled.headers_mut();
        headers.reserve(response.headers.len());
        for (name, value) in response.headers {
            let value = match value {
                Cow::Borrowed(constant) => Ok(HeaderValue::from_static(constant)),
                Cow::Owned(text) => HeaderValue::try_from(text),
            };
            match value {
                Ok(value) => drop(headers.append(header_name(name), value)),
                Err(error) => tracing::error!(name, %error, "a header could not be sent"),
            }
        }
        spelled
    }
}

macro_rules! names {
    ($($name:literal $(as $spelled:literal)?)*) => {
        /// The name of a header that is seen often, however it is spelled in questions: to read it anew each time would take
        /// longer than all else about it.
        fn known_name(name: &str) -> Option<&'static HeaderName> {
            match name {
                $($name $(| $spelled)? => {
                    static NAME: HeaderName = HeaderName::from_static($name);
                    Some(&NAME)
                })*
                _ => None,
            }
        }
    };
}

names! {
    "accept"
    "api-version"
    "authorization"
    "content-type"
    "idempotency-key" as "Idempotency-Key"
    "location"
    "saldo-book" as "Saldo-Book"
    "saldo-min-position" as "Saldo-Min-Position"
    "saldo-position"
    "x-api-key"
    "x-api-secret"
    "x-ratelimit-limit"
    "x-ratelimit-remaining"
    "x-ratelimit-reset"
    "x-request-id"
}

fn header_name(name: &'static str) -> HeaderName {
    known_name(name).map_or_else(|| HeaderName::from_static(name), HeaderName::clone)
}

fn plain(status: u16, text: impl Into<String>) -> Response {
    Response::new(
        status,
        "text/plain; charset=utf-8",
        format!("{}\n", text.into()).into_bytes(),
    )
}

/// Refuses what hyper reads in one way and something in front of it may read in another (RFC 9112, 3.2 and 6.1).
fn ambiguous(head: &hyper::http::request::Parts) -> Option<Response> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => head.version < hyper::Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    if !host {
        return Some(plain(400, "name one host in one `Host` header"));
    }
    // What is chunked has no length: hyper drops it, and closes the connection after the answer.
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    let known = codings.next().is_none_or(chunked) && codings.next().is_none();
    (!known).then(|| {
        plain(
            501,
            "the one transfer coding that is read here is `chunked`, named once",
        )
    })
}

/// Whether it is a host and perhaps a port; it may be empty.
fn is_host(text: &[u8]) -> bool {
    // Nearly all are a name or an IPv4 address, and the library copies what it reads.
    let (host, port) = match text.iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..colon], &text[colon + 1..]),
        None => (text, &[][..]),
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if !host.is_empty() && host.iter().all(in_name) && port.iter().all(u8::is_ascii_digit) {
        return true;
    }
    let authority = hyper::http::uri::Authority::try_from(text);
    text.is_empty() || authority.is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// The bytes of a URL, without its host.
fn url_bytes(uri: &hyper::Uri) -> usize {
    uri.path_and_query().map_or(0, |url| url.as_str().len())
}

/// Who sent a request.
#[derive(Clone, Copy)]
pub(super) struct From {
    /// Whose connection it came on.
    pub(super) peer: IpAddr,
    /// Whether that is a proxy, which says whom it came from.
    pub(super) behind_proxy: bool,
}

impl From {
    /// The address of the client. Of `X-Forwarded-For` the last one is what the proxy itself saw; those before it are what it was
    /// told.
    fn client(self, headers: &HeaderMap) -> IpAddr {
        let told = || {
            let mut lines = headers.get_all("x-forwarded-for").iter();
            let last = lines.next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse().ok()
        };
        self.behind_proxy.then(told).flatten().unwrap_or(self.peer)
    }
}

/// A body on its way.
struct Arrival<'a> {
    /// What is not read yet; nothing while it is being read.
    incoming: Option<Incoming>,
    /// How long it may take.
    within: Duration,
    /// The threads of connections, where others answer. They read it: a long body comes in many pieces, each of which would
    /// have to be handed over.
    elsewhere: Option<&'a Handle>,
}

impl Arrival<'_> {
    /// Reads what is left of a body that was too large, or that nobody asked for, unless it takes too long: the answer is the same.
    async fn discard(self) {
        let left = self.incoming.filter(|incoming| !incoming.is_end_stream());
        if let Some(mut incoming) = left {
            let within = self.within;
            let discarding = async move { tokio::time::timeout(within, discard(&mut incoming)).await };
            let _ = on(self.elsewhere, discarding).await;
        }
    }
}

impl Arriving for Arrival<'_> {
    fn read(&mut self, limit: usize) -> Boxed<'_, Result<Option<Bytes>, Problem>> {
        Box::pin(async move {
            let Some(mut incoming) = self.incoming.take() else {
                return Err(Problem::internal("a body is read by one at a time"));
            };
            let within = self.within;
            let reading = async move {
                let read = tokio::time::timeout(within, read(&mut incoming, limit)).await;
                (read, incoming)
            };
            let (read, incoming) = on(self.elsewhere, reading).await;
            self.incoming = Some(incoming);
            let detail = match read {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(_)) => "the body ended before its end".to_owned(),
                Err(_) => format!(
                    "the body did not arrive within {} s; send it faster",
                    within.as_secs()
                ),
            };
            Err(Problem::BadRequest { field: None, detail })
        })
    }
}

/// The body, unless it is larger than `limit`: then it is not read on.
async fn read(incoming: &mut Incoming, limit: usize) -> Result<Option<Bytes>, hyper::Error> {
    let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Ok(None);
    }
    let mut whole: Vec<u8> = Vec::new();
    while let Some(data) = next(incoming).await? {
        if whole.len() + data.len() > limit {
            return Ok(None);
        }
        if whole.is_empty() && data.len() == announced {
            return Ok(Some(data));
        }
        if whole.is_empty() {
            whole.reserve_exact(announced);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(Bytes::from(whole)))
}

/// Reads what is left of a body that was too large, within reason: many clients look for an answer only when they have
/// sent everything, and would see a broken connection instead of it.
async fn discard(incoming: &mut Incoming) -> Result<(), hyper::Error> {
    let mut discarded = 0;
    while discarded < DISCARD_BYTES
        && let Some(data) = next(incoming).await?
    {
        discarded += data.len();
    }
    Ok(())
}

/// The next bytes of a body. Trailers say nothing that is asked for here.
async fn next(incoming: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *incoming).poll_frame(context)).await;
        match frame.transpose()?.map(Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(_trailers)) => {}
        }
    }
}

/// The headers of a request.
struct Fields<'a>(&'a HeaderMap);

impl Headers for Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = match known_name(name) {
            Some(name) => self.0.get(name),
            None => self.0.get(name),
        };
        found?.to_str().ok()
    }

    fn given(&self, name: &str) -> Given<'_> {
        let all = match known_name(name) {
            Some(name) => self.0.get_all(name),
            None => self.0.get_all(name),
        };
        let mut all = all.iter();
        match (all.next(), all.next()) {
            (None, _) => Given::Nothing,
            (Some(value), None) => value.to_str().map_or(Given::Unreadable, Given::Once),
            _ => Given::Often,
        }
    }
}
