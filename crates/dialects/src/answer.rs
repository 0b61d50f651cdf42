//! From a request to its answer: the checks that all wire formats share, in the order that their cards state.
//!
//! 404 for a path that nobody has, 405, 401, 429, 403, then the dialect's own (version, media type), 413, and last what
//! the endpoint says: a malformed id, then one that names nothing. The body is read after 403: nobody unknown fills memory.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ledger::{BookNo, ClientId, Position, Scopes};
use service::{Caller, Problem, Service, Standing};

use crate::config::Mount;
use crate::http::{Arriving, Body, Context, Method, Request, Response};
use crate::route::{Access, Dialect, Route};
use crate::router::{Found, Router};
use crate::{problem, spelling};

/// Answers a request. `id` tells it apart from all others in its answer. A body that is still `arriving` takes
/// the place of the request's, if it comes to that.
///
/// Never fails: whatever goes wrong is an answer in the wire format of the path, and a line in the log if it is ours.
pub async fn answer(
    service: &Arc<Service>,
    router: &Router,
    id: &str,
    mut request: Request<'_>,
    arriving: Option<&mut dyn Arriving>,
) -> Response {
    let mut response = match router.find(request.method, request.path) {
        Found::Nothing => problem::neutral(&Problem::NotFound {
            what: "path",
            detail: "There is no such path here.".to_owned(),
        }),
        Found::OtherMethods { dialect, allow } => refuse(
            service,
            dialect,
            &request,
            id,
            &Problem::MethodNotAllowed { allow },
        ),
        Found::Route {
            dialect,
            mount,
            route,
            params,
        } => {
            request.params = params;
            let (mut standing, mut book) = (None, None);
            let checked = Checked {
                service,
                router,
                dialect,
                mount,
                route,
            };
            let mut response = match checked.answer(&request, arriving, &mut standing, &mut book).await {
                Ok(response) => response,
                Err(problem) => refuse(service, dialect, &request, id, &problem),
            };
            if let Some(standing) = standing {
                (dialect.standing)(&standing, &mut response);
            }
            response.route = Some((dialect.name, route.pattern));
            response.book = book;
            response
        }
    };
    response.set("x-request-id", id.to_owned());
    if request.method == Method::Head {
        response.body = Bytes::new();
        response.rest = None;
    }
    response
}

/// A request whose route is known.
struct Checked<'a> {
    service: &'a Arc<Service>,
    router: &'a Router,
    dialect: &'a Dialect,
    mount: &'a Mount,
    route: &'a Route,
}

impl Checked<'_> {
    async fn answer(
        &self,
        request: &Request<'_>,
        arriving: Option<&mut dyn Arriving>,
        standing: &mut Option<Standing>,
        book: &mut Option<BookNo>,
    ) -> Result<Response, Problem> {
        let caller = self.within(self.admit(request, standing)).await?;
        *book = caller.key.as_ref().map(|_| caller.viewer.book);
        if request.method == Method::Head
            && let Some(head) = self.dialect.head
        {
            return Ok(head());
        }
        self.check_scope(&caller)?;
        let limit = self.route.body.limit(&self.service.config);
        let read = match arriving {
            Some(body) => Some(body.read(limit).await?),
            None => None,
        };
        let body = match &read {
            None => request.body,
            Some(Some(bytes)) => Body::Whole(bytes),
            Some(None) => Body::TooLarge,
        };
        let request = Request {
            params: request.params.iter().copied().collect(),
            ..Request::new(request.method, request.path, request.query, request.headers, body)
        };
        (self.dialect.check)(&request, self.route)?;
        if body == Body::TooLarge {
            return Err(Problem::TooLarge {
                what: "bytes of body",
                limit,
            });
        }
        let context = Context {
            service: self.service,
            config: self.router.config(),
            caller: &caller,
        };
        self.within((self.route.handler.answer)(context, &request)).await
    }

    /// What `work` answers, if it does in time. How long a body may take to arrive is counted apart.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let mut work = pin!(work);
        // Reads of an embedded store are ready at once, and need no clock.
        let at_once = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(done) = at_once {
            return done;
        }
        let limit = Duration::from_secs(self.service.config.request_seconds.into());
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn admit(&self, request: &Request<'_>, standing: &mut Option<Standing>) -> Result<Caller, Problem> {
        match self.route.access {
            Access::Public => Ok(Caller::nobody()),
            Access::AnyKey | Access::Scope(_) => self.caller(request, standing).await,
        }
    }

    fn check_scope(&self, caller: &Caller) -> Result<(), Problem> {
        let Access::Scope(scope) = self.route.access else {
            return Ok(());
        };
        caller.require(scope)?;
        // Said at once: in book 0 there is no account, and the answer would be that each of them is unknown.
        if scope == Scopes::POST && caller.is_operator() {
            return Err(Problem::bad(
                "Saldo-Book",
                "must name the root client whose money this is about; the operator has none",
            ));
        }
        Ok(())
    }

    /// Who calls, if they may call once more.
    async fn caller(
        &self,
        request: &Request<'_>,
        standing: &mut Option<Standing>,
    ) -> Result<Caller, Problem> {
        let caller = (self.dialect.authenticate)(self.service, request).await?;
        let limit = self.mount.rate_limit_per_minute;
        if limit > 0
            && let Some(key) = &caller.key
        {
            let now = self.service.clock.now();
            let counted = self.service.limiter.count(self.dialect.name, key.id, limit, now);
            *standing = Some(counted.unwrap_or_else(|standing| standing));
            counted.map_err(Problem::RateLimited)?;
        }
        match request.only_header("Saldo-Book")? {
            None => Ok(caller),
            Some(text) => {
                let root = spelling::parse_any(text)
                    .ok_or_else(|| Problem::bad("Saldo-Book", "must be the id of a root client"))?;
                self.service.in_book(caller, ClientId(root)).await
            }
        }
    }
}

/// Waits until the caller's book is as new as the request asks.
pub(crate) async fn reach(context: Context<'_>, request: &Request<'_>) -> Result<(), Problem> {
    const NAME: &str = "Saldo-Min-Position";
    let Some(text) = request.only_header(NAME)? else {
        return Ok(());
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let position = text.parse().ok().filter(|_| digits);
    let position = position.ok_or_else(|| Problem::bad(NAME, "must be a position: digits alone"))?;
    context.service.reach(context.caller, Position(position)).await
}

/// A problem as the wire format spells it, with what all of them add.
fn refuse(
    service: &Arc<Service>,
    dialect: &Dialect,
    request: &Request<'_>,
    id: &str,
    problem: &Problem,
) -> Response {
    let mut response = (dialect.refuse)(problem, request, id);
    match problem {
        Problem::MethodNotAllowed { allow } => response.set("allow", allow.clone()),
        Problem::Unauthorized => {
            service.metrics.unauthorized.add_one();
            response.set("www-authenticate", dialect.challenge);
        }
        Problem::RateLimited(standing) => {
            service.metrics.rate_limited.add_one();
            response.set("retry-after", standing.retry_after.to_string());
        }
        Problem::Unavailable { retry_after, .. } => response.set("retry-after", retry_after.to_string()),
        Problem::PositionNotReached { .. } => response.set("retry-after", "1"),
        Problem::Internal { detail } => {
            service.metrics.internal_errors.add_one();
            // Whoever logs knows which request this is about.
            tracing::error!(dialect = dialect.name, path = request.path, "{detail}");
        }
        _ => {}
    }
    response
}

fn timed_out() -> Problem {
    Problem::Unavailable {
        retry_after: 1,
        detail: "the request took too long; whether it was recorded is not known: send it again, under the same key"
            .to_owned(),
    }
}
