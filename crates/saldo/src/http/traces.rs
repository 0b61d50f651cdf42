//! Traces for OpenTelemetry: a span for each request, and in it one for each time that the store was given something to commit.
//!
//! What is exported, where to and how much of it is said by the variables of OpenTelemetry's specification. Without an endpoint
//! there is no [`Traces`], and requests pass by it. Spans are queued and sent by a thread of their own; a full queue drops them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dialects::{Method, Response, Router};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rustls::pki_types::ServerName;
use service::Committed;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;
use crate::log::RequestId;

/// How long an export may take.
const EXPORT: Duration = Duration::from_secs(10);
/// How long a stop waits for what is still to be exported.
const FLUSH: Duration = Duration::from_secs(3);
/// The most bytes of a collector's answer.
const ANSWER_BYTES: usize = 1 << 20;

tokio::task_local! {
    /// The span of the request that the task answers.
    static SPAN: Context;
}

/// What makes spans of requests.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    parents: TraceContextPropagator,
}

/// The paths of routes, by wire format and pattern.
pub(crate) struct Paths(HashMap<(&'static str, &'static str), String>);

impl Paths {
    pub(crate) fn of(router: &Router) -> Self {
        let routes = router.routes();
        Self(
            routes
                .map(|(dialect, path, route)| ((dialect.name, route.pattern), path))
                .collect(),
        )
    }
}

impl Traces {
    /// As the environment says; `None` where it names no endpoint.
    pub(crate) fn from_env() -> Result<Option<Self>, Failure> {
        let said = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let endpoint =
            said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let off = said("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
            || said("OTEL_TRACES_EXPORTER").is_some_and(|text| text == "none");
        if endpoint.is_none() || off {
            return Ok(None);
        }
        check(said)?;
        let wrong = |error| Failure::while_doing("preparing the export of traces", error);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Courier::new()?)
            .build();
        let mut resource = Resource::builder();
        if said("OTEL_SERVICE_NAME").is_none()
            && !said("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="))
        {
            resource = resource.with_service_name("saldo");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.with_attribute(version).build())
            .with_batch_exporter(exporter.map_err(wrong)?)
            .build();
        Ok(Some(Self {
            tracer: provider.tracer("saldo"),
            provider,
            parents: TraceContextPropagator::new(),
        }))
    }

    /// Answers a request in a span, which is a child of the one that the request names.
    pub(super) async fn follow(
        &self,
        paths: &Paths,
        (method, headers): (Method, &HeaderMap),
        id: RequestId,
        work: impl Future<Output = Response>,
    ) -> Response {
        let method = match method.as_str() {
            "" => "_OTHER",
            known => known,
        };
        let parent = self
            .parents
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let builder = self.tracer.span_builder(method).with_kind(SpanKind::Server);
        let context = parent.with_span(builder.start_with_context(&self.tracer, &parent));
        let response = SPAN.scope(context.clone(), work).await;
        let span = context.span();
        if span.is_recording() {
            span.set_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(response.status)),
                KeyValue::new("saldo.request", id.to_string()),
            ]);
            if let Some(route) = response.route {
                let path = paths.0.get(&route).map_or(route.1, String::as_str);
                span.update_name(format!("{method} {path}"));
                span.set_attributes([
                    KeyValue::new("http.route", path.to_owned()),
                    KeyValue::new("saldo.dialect", route.0),
                ]);
            }
            if let Some(book) = response.book {
                span.set_attribute(KeyValue::new("saldo.book", i64::from(book.0)));
            }
            if response.status >= 500 {
                span.set_attribute(KeyValue::new("error.type", response.status.to_string()));
                span.set_status(Status::error(""));
            }
        }
        span.end();
        response
    }

    /// A span for what the store was just given, in that of the request.
    pub(crate) fn committed(&self, committed: &Committed) {
        let in_request = |request: &Context| {
            if !request.span().is_recording() {
                return;
            }
            let end = SystemTime::now();
            let builder = self
                .tracer
                .span_builder("commit")
                .with_start_time(end.checked_sub(committed.taken).unwrap_or(end));
            let commands = i64::try_from(committed.commands).unwrap_or(i64::MAX);
            let builder = builder.with_attributes([KeyValue::new("saldo.commands", commands)]);
            let mut span = builder.start_with_context(&self.tracer, request);
            if committed.failed {
                span.set_status(Status::error(""));
            }
            span.end_with_timestamp(end);
        };
        // Holds that expire are nobody's request.
        let _ = SPAN.try_with(in_request);
    }

    /// Sends what is left, as far as there is time.
    pub(crate) async fn flush(&self) {
        let provider = self.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// Refuses what would be passed over in silence.
fn check(said: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    for name in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ] {
        if let Some(other) = said(name).filter(|protocol| protocol != "http/protobuf") {
            return Err(Failure::new(format!(
                "{name} is `{other}`, and traces are exported by http/protobuf alone; leave it out, and name an endpoint that takes \
                 that (port 4318 of most collectors)"
            )));
        }
    }
    let samplers = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];
    let Some(sampler) = said("OTEL_TRACES_SAMPLER") else {
        return Ok(());
    };
    if !samplers.contains(&sampler.as_str()) {
        return Err(Failure::new(format!(
            "OTEL_TRACES_SAMPLER is `{sampler}`, and must be one of {}",
            samplers.join(", ")
        )));
    }
    let ratio = said("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse::<f64>().ok());
    if sampler.ends_with("traceidratio") && !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)) {
        return Err(Failure::new(format!(
            "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1 for {sampler}: which part of all requests is traced"
        )));
    }
    Ok(())
}

/// Brings spans to a collector, over a new connection each time: that is every few seconds.
#[derive(Debug)]
struct Courier {
    runtime: Handle,
    tls: Arc<rustls::ClientConfig>,
    /// Whether the last time came to nothing: the log says so once.
    failing: AtomicBool,
}

impl Courier {
    fn new() -> Result<Self, Failure> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::while_doing("preparing TLS", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            runtime: Handle::current(),
            tls: Arc::new(config),
            failing: AtomicBool::new(false),
        })
    }

    /// Says when exporting begins to fail, and when it works again.
    fn tell(&self, sent: &Result<hyper::Response<Bytes>, HttpError>) {
        let why = match sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answered {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        match why {
            Some(why) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        why,
                        "traces can't be exported; they are dropped until it works again"
                    );
                }
            }
            None => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("traces are exported again");
                }
            }
        }
    }
}

impl HttpClient for Courier {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: hyper::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<hyper::Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        // Who asks is a thread without a runtime; the timer too is made where there is one.
        let sending = self
            .runtime
            .spawn(async { tokio::time::timeout(EXPORT, send(request, tls)).await });
        Box::pin(async move {
            let sent = match sending.await {
                Ok(Ok(sent)) => sent,
                Ok(Err(_)) => Err(format!("no answer within {} s", EXPORT.as_secs()).into()),
                Err(ended) => Err(ended.into()),
            };
            self.tell(&sent);
            sent
        })
    }
}

async fn send(
    request: hyper::Request<Bytes>,
    tls: TlsConnector,
) -> Result<hyper::Response<Bytes>, HttpError> {
    let uri = request.uri();
    let host = uri.host().ok_or("the endpoint names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    if secure {
        let name = ServerName::try_from(host)?;
        exchange(tls.connect(name, stream).await?, request).await
    } else {
        exchange(stream, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: hyper::Request<Bytes>,
) -> Result<hyper::Response<Bytes>, HttpError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let moving = tokio::spawn(connection);
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = request.uri().path_and_query() {
        *request.uri_mut() = path.as_str().parse()?;
    }
    let answered = async {
        let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
        Ok(hyper::Response::from_parts(head, body))
    };
    let answered = answered.await;
    moving.abort();
    answered
}
