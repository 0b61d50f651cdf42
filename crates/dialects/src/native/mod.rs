//! Saldo's own API: everything that the ledger can do, in JSON.
//!
//! Amounts are strings of minor units, times RFC 3339 in UTC, ids UUIDs in answers and in any spelling in requests. What
//! is refused is a problem of RFC 9457 (`problems`). Bodies (`body`) and queries (`query`) are read strictly: a name
//! that is not known is a fault, since a misspelt `effectiveAt` must not post money for another day.

mod accounts;
mod assets;
mod batch;
mod body;
mod clients;
mod customers;
mod forms;
mod holds;
mod metadata;
mod problems;
mod query;
mod reply;
mod transactions;

use ledger::Scopes;
use service::Problem;

use crate::http::{Body, Method, Request};
use crate::route::{Access, BodySize, Dialect, Handler, Route, handle};

/// The table of Saldo's own API.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "native",
        mount: |config| config.native.mount(),
        routes: register().into_iter().chain(books()).collect(),
        authenticate: |service, request| {
            Box::pin(async move {
                let given = request
                    .header("authorization")
                    .and_then(|value| value.split_once(' '));
                match given {
                    Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                        service.authenticate_token(token.trim()).await
                    }
                    _ => Err(Problem::Unauthorized),
                }
            })
        },
        check,
        refuse: problems::refuse,
        challenge: "Bearer realm=\"saldo\"",
        standing: |_, _| {},
        head: None,
    }
}

/// Clients, keys, customers, accounts, assets and rates.
fn register() -> Vec<Route> {
    vec![
        admin(Method::Post, "/clients", handle::<clients::Create>),
        get("/clients", handle::<clients::List>),
        get("/clients/{id}", handle::<clients::Get>),
        admin(Method::Patch, "/clients/{id}", handle::<clients::Update>),
        admin(Method::Post, "/clients/{id}/keys", handle::<clients::MakeKey>),
        get("/clients/{id}/keys", handle::<clients::ListKeys>),
        get("/keys", handle::<clients::ListKeys>),
        admin(Method::Delete, "/keys/{id}", handle::<clients::RevokeKey>),
        admin(Method::Post, "/customers", handle::<customers::Create>),
        get("/customers", handle::<customers::List>),
        get("/customers/{id}", handle::<customers::Get>),
        admin(Method::Patch, "/customers/{id}", handle::<customers::Update>),
        admin(
            Method::Put,
            "/customers/{id}/dunning",
            handle::<customers::PutDunning>,
        ),
        admin(Method::Post, "/customers/{id}/erase", handle::<customers::Erase>),
        get("/customers/{id}/valuation", handle::<customers::GetValuation>),
        admin(Method::Post, "/accounts", handle::<accounts::Create>),
        get("/accounts", handle::<accounts::List>),
        get("/accounts/{id}", handle::<accounts::Get>),
        admin(Method::Patch, "/accounts/{id}", handle::<accounts::Update>),
        admin(Method::Post, "/assets", handle::<assets::Register>),
        get("/assets", handle::<assets::ListAssets>),
        route(Method::Put, "/rates", Scopes::RATES, handle::<assets::PutRates>),
        get("/rates", handle::<assets::ListRates>),
    ]
}

/// Balances, entries, transactions and holds.
fn books() -> Vec<Route> {
    vec![
        get("/accounts/{id}/balances", handle::<accounts::GetBalances>),
        get("/accounts/{id}/entries", handle::<accounts::ListEntries>),
        post("/transactions", handle::<transactions::Post>),
        Route {
            body: BodySize::Batch,
            ..post("/transactions/batch", handle::<batch::PostBatch>)
        },
        get("/transactions", handle::<transactions::List>),
        get("/transactions/{id}", handle::<transactions::Get>),
        post("/transactions/{id}/reverse", handle::<transactions::ReverseIt>),
        get("/holds", handle::<holds::List>),
        get("/holds/{id}", handle::<holds::Get>),
        post("/holds/{id}/capture", handle::<holds::CaptureIt>),
        post("/holds/{id}/release", handle::<holds::ReleaseIt>),
    ]
}

fn get(pattern: &'static str, handler: Handler) -> Route {
    route(Method::Get, pattern, Scopes::READ, handler)
}

fn admin(method: Method, pattern: &'static str, handler: Handler) -> Route {
    route(method, pattern, Scopes::ADMIN, handler)
}

fn post(pattern: &'static str, handler: Handler) -> Route {
    route(Method::Post, pattern, Scopes::POST, handler)
}

fn route(method: Method, pattern: &'static str, scope: Scopes, handler: Handler) -> Route {
    Route {
        method,
        pattern,
        access: Access::Scope(scope),
        body: BodySize::Usual,
        handler,
    }
}

/// A body is JSON; one whose type is not named is taken for it.
fn check(request: &Request<'_>, route: &Route) -> Result<(), Problem> {
    let takes_body = matches!(route.method, Method::Post | Method::Put | Method::Patch);
    if !takes_body || request.body == Body::Whole(b"") {
        return Ok(());
    }
    match request.media_type().as_deref() {
        None | Some("application/json") => Ok(()),
        Some(_) => Err(Problem::UnsupportedMediaType),
    }
}
