//! The way to a server: HTTP/1.1, plain or over TLS.

use std::io::{BufReader, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::http::{Method, Request, request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, BodyReader, Timeout};

use super::args::Server;
use super::call::Call;
use super::failed::Failed;

/// A server, and who asks it.
pub(super) struct Link {
    agent: Agent,
    url: String,
    token: String,
    book: Option<String>,
    patience: Duration,
}

/// The media type of what comes line by line.
const LINES: &str = "application/x-ndjson";

/// A success.
pub(super) struct Answer {
    pub(super) body: String,
    /// Where the book was, or what a write was numbered with.
    pub(super) position: Option<String>,
    /// Whether it is the answer to an earlier request under the same key.
    pub(super) replayed: bool,
}

impl Link {
    /// Reads what is needed; says nothing to the server yet.
    pub(super) fn to(server: &Server) -> Result<Self, Failed> {
        let Some(token) = server.token.clone().filter(|token| !token.is_empty()) else {
            return Err(Failed::credentials(
                "there is no token; put one into SALDO_TOKEN, or name it with --token. `saldo init` prints an operator's, `saldo key \
                 create` makes more",
            ));
        };
        let patience = server.patience();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Whoever redirects is not the server, and gets no token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("saldo/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience))
            .timeout_global(Some(patience));
        if server.url.starts_with("https://") {
            let tls = TlsConfig::builder()
                .root_certs(roots(server.ca.as_deref())?)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
            config = config.tls_config(tls.build());
        }
        Ok(Self {
            agent: config.build().into(),
            url: server.url.clone(),
            token,
            book: server.book.clone(),
            patience,
        })
    }

    /// Asks, with some more in the query.
    pub(super) fn send(&self, call: &Call, more: &[(&str, String)]) -> Result<Answer, Failed> {
        let request = self.request(call, more, "application/json");
        let sent = match &call.body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.as_str())
                .map(|request| self.agent.run(request)),
            None => request.body(()).map(|request| self.agent.run(request)),
        };
        let mut answer = sent
            .map_err(|_| unsendable())?
            .map_err(|error| self.unanswered(call, error))?;
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let position = header("saldo-position");
        let replayed = header("idempotency-replayed").is_some_and(|value| value == "true");
        let is_json = header("content-type").is_some_and(|media| media.starts_with("application/json"));
        let status = answer.status().as_u16();
        // A page may have as many bytes as its items need.
        let body = answer.body_mut().with_config().limit(u64::MAX).read_to_string();
        let body = body.map_err(|error| self.unanswered(call, error))?;
        match status {
            204 => {}
            200..300 if is_json => {}
            200..300 => return Err(Failed::answered(404, body, "")),
            _ => return Err(Failed::answered(status, body, &again(call))),
        }
        Ok(Answer {
            body,
            position,
            replayed,
        })
    }

    /// Asks for what comes line by line, for however long.
    pub(super) fn lines(
        &self,
        call: &Call,
        more: &[(&str, String)],
    ) -> Result<BufReader<BodyReader<'static>>, Failed> {
        let request = self
            .request(call, more, LINES)
            .body(())
            .map_err(|_| unsendable())?;
        let request = self.agent.configure_request(request);
        let request = request
            .timeout_global(None)
            .timeout_recv_response(Some(self.patience))
            .build();
        let mut answer = self
            .agent
            .run(request)
            .map_err(|error| self.unanswered(call, error))?;
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type");
        if status != 200 || media.is_none_or(|media| media != LINES) {
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            return Err(Failed::answered(
                if status == 200 { 404 } else { status },
                body,
                "",
            ));
        }
        let body = answer.into_body().into_with_config().limit(u64::MAX);
        Ok(BufReader::new(body.reader()))
    }

    fn request(&self, call: &Call, more: &[(&str, String)], accept: &str) -> request::Builder {
        let request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}", self.url, call.target(more)))
            .header("authorization", format!("Bearer {}", self.token))
            .header("accept", accept);
        let headers = [
            ("saldo-book", &self.book),
            ("idempotency-key", &call.key),
            ("saldo-min-position", &call.min_position),
        ];
        headers
            .into_iter()
            .fold(request, |request, (name, value)| match value {
                Some(value) => request.header(name, value),
                None => request,
            })
    }

    /// Why there is no answer, and for a write what is known of it.
    fn unanswered(&self, call: &Call, error: ureq::Error) -> Failed {
        let url = &self.url;
        if !may_have_been_sent(&error) {
            return Failed::unanswered(format!(
                "{url} can't be reached: {}; is the server running, and is --url right? Nothing was sent",
                reason(error)
            ));
        }
        let reason = reason(error);
        match call.method {
            Method::GET => Failed::unanswered(format!("{url} did not answer: {reason}; try again")),
            _ => Failed::unanswered(format!(
                "{url} did not answer: {reason}; whether it was done is not known{}",
                again(call)
            )),
        }
    }
}

fn unsendable() -> Failed {
    Failed::usage("the token, the book, the key or the position has signs that can't stand in a header")
}

/// How to repeat a call so that it is not done twice.
fn again(call: &Call) -> String {
    match (&call.key, &call.method) {
        (_, &Method::GET) => String::new(),
        (Some(key), _) => {
            format!(". The same command with --key {key} tells, and does it if it was not done; without, it may be done twice")
        }
        (None, _) => ". The same command again tells, and does what was not done: the ids keep it from being done twice".to_owned(),
    }
}

/// Whether a server may have the request.
fn may_have_been_sent(error: &ureq::Error) -> bool {
    use ureq::Error;
    match error {
        Error::BadUri(_)
        | Error::Http(_)
        | Error::HostNotFound
        | Error::InvalidProxyUrl
        | Error::ConnectionFailed
        | Error::ConnectProxyFailed(_)
        | Error::Tls(_)
        | Error::Rustls(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => false,
            // A certificate is looked at before anything is sent.
            _ => !matches!(of_tls(error), Some(rustls::Error::InvalidCertificate(_))),
        },
        _ => true,
    }
}

fn of_tls(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// An error as people read it.
fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer came in time (--timeout)".to_owned(),
        ureq::Error::Io(error) => match of_tls(&error) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                format!("{error} (--ca names the authorities to trust)")
            }
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// The authorities whose signatures count.
fn roots(file: Option<&Path>) -> Result<RootCerts, Failed> {
    let certificates: Vec<CertificateDer<'static>> = match file {
        None => rustls_native_certs::load_native_certs().certs,
        Some(file) => {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            read.map_err(|error| Failed::refused(format!("--ca {} can't be used: {error}", file.display())))?
        }
    };
    if certificates.is_empty() {
        return Err(Failed::refused(match file {
            None => "the system trusts no authorities; name some with --ca".to_owned(),
            Some(file) => format!(
                "--ca {} can't be used: there is no certificate in PEM in it",
                file.display()
            ),
        }));
    }
    let certificates = certificates
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned());
    Ok(RootCerts::from(certificates))
}
