//! Metrics for Prometheus, in the text of OpenMetrics 1.0: what is asked over HTTP is counted here, all else where it
//! happens ([`service::Metrics`], [`store::meter`]) and read when somebody asks.

mod process;
mod read;

use std::sync::Arc;
use std::time::Duration;

use dialects::Response;
use ledger::Map;
use parking_lot::RwLock;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use service::Service;

/// The media type of the answer.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets of a request's time, in seconds.
const SECONDS: [f64; 13] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// What is told apart of a request. Nothing in it grows with what clients send.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    /// The wire format, `none` where the path is nobody's.
    dialect: &'static str,
    method: &'static str,
    /// The pattern of the path behind the wire format's prefix.
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dialect {
    dialect: &'static str,
}

/// An [`Asked`] by where its texts lie, which are constants: to hash and compare them would take longer than all the counting.
type Place = ([(usize, usize); 3], u16);

impl Asked {
    fn place(&self) -> Place {
        let place = |text: &'static str| (text.as_ptr().addr(), text.len());
        ([self.dialect, self.method, self.route].map(place), self.status)
    }
}

/// Where requests of one sort are counted.
#[derive(Clone)]
struct Counted {
    requests: Counter,
    seconds: Histogram,
}

/// What is counted of requests, and all that is shown.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Asked, Counter>,
    seconds: Family<Dialect, Histogram, fn() -> Histogram>,
    /// Where requests like those before are counted.
    known: RwLock<Map<Place, Counted>>,
}

impl Metrics {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register(
            "saldo_http_requests",
            "Requests that were answered, by wire format, route and status",
            Family::clone(&requests),
        );
        let seconds: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register_with_unit(
            "saldo_http_request_duration",
            "Time from a request's head to its answer, by wire format",
            Unit::Seconds,
            Family::clone(&seconds),
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("saldo_build", "The version of this server", Info::new(version));
        registry.register_collector(Box::new(read::Counters::new(Arc::clone(service))));
        registry.register_collector(Box::new(process::Process));
        Self {
            registry,
            requests,
            seconds,
            known: RwLock::default(),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, method: dialects::Method, response: &Response, taken: Duration) {
        let (dialect, route) = response.route.unwrap_or(("none", "none"));
        let asked = Asked {
            dialect,
            method: match method.as_str() {
                "" => "other",
                known => known,
            },
            route,
            status: response.status,
        };
        let counted = self.counted(&asked);
        counted.requests.inc();
        counted.seconds.observe(taken.as_secs_f64());
    }

    fn counted(&self, asked: &Asked) -> Counted {
        let place = asked.place();
        if let Some(counted) = self.known.read().get(&place) {
            return counted.clone();
        }
        let dialect = Dialect {
            dialect: asked.dialect,
        };
        let counted = Counted {
            requests: self.requests.get_or_create(asked).clone(),
            seconds: self.seconds.get_or_create(&dialect).clone(),
        };
        self.known.write().insert(place, counted.clone());
        counted
    }

    /// The answer to `/metrics`.
    pub(crate) fn answer(&self) -> Response {
        let mut body = String::new();
        match text::encode(&mut body, &self.registry) {
            Ok(()) => Response::new(200, OPEN_METRICS, body.into_bytes()),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                Response::empty(500)
            }
        }
    }
}
