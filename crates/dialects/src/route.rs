//! Routes: what a wire format answers to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ledger::Scopes;
use service::{Caller, Problem, Service, Standing};

use crate::config::{Config, Mount};
use crate::http::{Context, Method, Request, Response};
use crate::openapi::{Description, Operation};

/// A future that a table can hold.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An [`Endpoint`] in a table: see [`handle`].
#[derive(Clone, Copy)]
pub struct Handler {
    /// Reads, waits until the book is as new as was asked for, does, writes.
    pub answer: for<'a, 'r> fn(Context<'a>, &'a Request<'r>) -> Boxed<'a, Result<Response, Problem>>,
    /// Only reads, and says what is wrong.
    pub check: fn(&Request<'_>, &Config) -> Result<(), Problem>,
}

/// Says what is particular about a route, for the OpenAPI document.
pub type Describe = fn(&Config) -> Operation;

/// Finds out who calls.
pub type Authenticate =
    for<'a, 'r> fn(&'a Arc<Service>, &'a Request<'r>) -> Boxed<'a, Result<Caller, Problem>>;

/// One operation in one wire format: how its input is read and its answer written. Both are pure.
pub trait Endpoint {
    /// What is read from the request.
    type Input: Send;
    /// What the operation answers.
    type Output: Send;

    /// Reads the input from a request.
    ///
    /// # Errors
    /// [`Problem::BadRequest`]; [`Problem::NotFound`] for an id that can't exist.
    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem>;

    /// Does the operation.
    fn run(
        context: Context<'_>,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Problem>> + Send;

    /// Writes the answer.
    ///
    /// # Errors
    /// When the wire format has no spelling for it.
    fn render(
        output: &Self::Output,
        config: &Config,
        metrics: &service::Metrics,
    ) -> Result<Response, Problem>;
}

/// The handler of an endpoint.
#[must_use]
pub const fn handle<E: Endpoint>() -> Handler {
    Handler {
        answer: answer::<E>,
        check: |request, config| E::parse(request, config).map(drop),
    }
}

fn answer<'a, 'r, E: Endpoint>(
    context: Context<'a>,
    request: &'a Request<'r>,
) -> Boxed<'a, Result<Response, Problem>> {
    Box::pin(async move {
        let input = E::parse(request, context.config)?;
        crate::answer::reach(context, request).await?;
        let output = E::run(context, input).await?;
        E::render(&output, context.config, &context.service.metrics)
    })
}

/// Which bodies a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// As most.
    Usual,
    /// As batches.
    Batch,
    /// A few short texts from somebody who is not known yet: 16 KiB.
    Credentials,
}

impl BodySize {
    /// How many bytes that are, at most.
    #[must_use]
    pub fn limit(self, config: &service::Config) -> usize {
        match self {
            Self::Usual => config.body_bytes,
            Self::Batch => config.batch_body_bytes,
            Self::Credentials => config.body_bytes.min(16 << 10),
        }
    }
}

/// A route.
pub struct Route {
    /// The method; HEAD comes by itself with GET.
    pub method: Method,
    /// The path behind the dialect's prefix, with `{name}` for a segment that varies.
    pub pattern: &'static str,
    /// Who may use it.
    pub access: Access,
    /// How large its body may be.
    pub body: BodySize,
    /// What answers.
    pub handler: Handler,
    /// What is particular about it, for the OpenAPI document.
    pub describe: Describe,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Whoever has a key, of whatever scope.
    AnyKey,
    /// Whoever has a key with this scope.
    Scope(Scopes),
}

/// A wire format: a table of routes, who calls, and how problems are spelled.
pub struct Dialect {
    /// Its name: a word in lower case.
    pub name: &'static str,
    /// Where the configuration mounts it.
    pub mount: fn(&Config) -> Mount,
    /// What is said about it as a whole, for the OpenAPI document.
    pub describe: fn() -> Description,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Finds out who calls.
    pub authenticate: Authenticate,
    /// Checks what concerns every route, after the scope and before the id: versions, media types.
    pub check: fn(&Request<'_>, &Route) -> Result<(), Problem>,
    /// Spells a problem, given the request and its id. Status, body, and headers of its own; what is common is added after.
    pub refuse: fn(&Problem, &Request<'_>, &str) -> Response,
    /// The schemes of `WWW-Authenticate`.
    pub challenge: &'static str,
    /// Adds how the key stands with its limit to an answer.
    pub standing: fn(&Standing, &mut Response),
    /// Answers HEAD to whoever has a key, whatever the scope and the path's values; `None` is as GET answers.
    pub head: Option<fn() -> Response>,
}
