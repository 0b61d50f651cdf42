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
mod events;
mod forms;
mod holds;
mod metadata;
mod openapi;
mod problems;
mod query;
mod quick;
mod reply;
mod signing;
mod tape;
mod transactions;

use ledger::Scopes;
use service::Problem;

use self::openapi::{books, register};
use crate::http::{Body, Method, Request};
use crate::route::{Access, BodySize, Describe, Dialect, Handler, Route, handle};

/// The table of Saldo's own API.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "native",
        mount: |config| config.native.mount(),
        describe: openapi::describe,
        routes: about_parties().into_iter().chain(about_money()).collect(),
        authenticate: |service, request| {
            Box::pin(async move {
                let given = request
                    .credential("authorization")
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
fn about_parties() -> Vec<Route> {
    vec![
        admin(
            Method::Post,
            "/clients",
            handle::<clients::Create>(),
            register::create_client,
        ),
        get("/clients", handle::<clients::List>(), register::list_clients),
        get("/clients/{id}", handle::<clients::Get>(), register::get_client),
        admin(
            Method::Patch,
            "/clients/{id}",
            handle::<clients::Update>(),
            register::update_client,
        ),
        admin(
            Method::Post,
            "/clients/{id}/keys",
            handle::<clients::MakeKey>(),
            register::create_key,
        ),
        get(
            "/clients/{id}/keys",
            handle::<clients::ListKeys>(),
            register::list_keys_of_client,
        ),
        get("/keys", handle::<clients::ListKeys>(), register::list_keys),
        admin(
            Method::Delete,
            "/keys/{id}",
            handle::<clients::RevokeKey>(),
            register::revoke_key,
        ),
        admin(
            Method::Post,
            "/keys/{id}/rotate",
            handle::<clients::Rotate>(),
            register::rotate_key,
        ),
        route(
            Method::Post,
            "/signing-key/rotate",
            Scopes::OPERATOR,
            handle::<signing::Rotate>(),
            register::rotate_signing_key,
        ),
        admin(
            Method::Post,
            "/customers",
            handle::<customers::Create>(),
            register::create_customer,
        ),
        get(
            "/customers",
            handle::<customers::List>(),
            register::list_customers,
        ),
        get(
            "/customers/{id}",
            handle::<customers::Get>(),
            register::get_customer,
        ),
        admin(
            Method::Patch,
            "/customers/{id}",
            handle::<customers::Update>(),
            register::update_customer,
        ),
        admin(
            Method::Put,
            "/customers/{id}/dunning",
            handle::<customers::PutDunning>(),
            register::put_dunning,
        ),
        admin(
            Method::Post,
            "/customers/{id}/erase",
            handle::<customers::Erase>(),
            register::erase_customer,
        ),
        get(
            "/customers/{id}/valuation",
            handle::<customers::GetValuation>(),
            register::value_customer,
        ),
        admin(
            Method::Post,
            "/accounts",
            handle::<accounts::Create>(),
            register::create_account,
        ),
        get("/accounts", handle::<accounts::List>(), register::list_accounts),
        get("/accounts/{id}", handle::<accounts::Get>(), register::get_account),
        admin(
            Method::Patch,
            "/accounts/{id}",
            handle::<accounts::Update>(),
            register::update_account,
        ),
        admin(
            Method::Post,
            "/assets",
            handle::<assets::Register>(),
            register::register_asset,
        ),
        get("/assets", handle::<assets::ListAssets>(), register::list_assets),
        route(
            Method::Put,
            "/rates",
            Scopes::RATES,
            handle::<assets::PutRates>(),
            register::put_rates,
        ),
        get("/rates", handle::<assets::ListRates>(), register::list_rates),
    ]
}

/// Balances, entries, transactions and holds.
fn about_money() -> Vec<Route> {
    vec![
        get(
            "/accounts/{id}/balances",
            handle::<accounts::GetBalances>(),
            books::get_balances,
        ),
        get(
            "/accounts/{id}/entries",
            handle::<accounts::ListEntries>(),
            books::list_entries,
        ),
        post(
            "/transactions",
            handle::<transactions::Post>(),
            books::post_transaction,
        ),
        Route {
            body: BodySize::Batch,
            ..post(
                "/transactions/batch",
                handle::<batch::PostBatch>(),
                books::post_batch,
            )
        },
        get(
            "/transactions",
            handle::<transactions::List>(),
            books::list_transactions,
        ),
        get(
            "/transactions/{id}",
            handle::<transactions::Get>(),
            books::get_transaction,
        ),
        post(
            "/transactions/{id}/reverse",
            handle::<transactions::ReverseIt>(),
            books::reverse_transaction,
        ),
        get("/holds", handle::<holds::List>(), books::list_holds),
        get("/holds/{id}", handle::<holds::Get>(), books::get_hold),
        post(
            "/holds/{id}/capture",
            handle::<holds::CaptureIt>(),
            books::capture_hold,
        ),
        post(
            "/holds/{id}/release",
            handle::<holds::ReleaseIt>(),
            books::release_hold,
        ),
        get("/events", events::STREAM, books::stream_events),
    ]
}

fn get(pattern: &'static str, handler: Handler, describe: Describe) -> Route {
    route(Method::Get, pattern, Scopes::READ, handler, describe)
}

fn admin(method: Method, pattern: &'static str, handler: Handler, describe: Describe) -> Route {
    route(method, pattern, Scopes::ADMIN, handler, describe)
}

fn post(pattern: &'static str, handler: Handler, describe: Describe) -> Route {
    route(Method::Post, pattern, Scopes::POST, handler, describe)
}

fn route(
    method: Method,
    pattern: &'static str,
    scope: Scopes,
    handler: Handler,
    describe: Describe,
) -> Route {
    Route {
        method,
        pattern,
        access: Access::Scope(scope),
        body: BodySize::Usual,
        handler,
        describe,
    }
}

/// A body is JSON as it is, not compressed; one whose type is not named is taken for it.
fn check(request: &Request<'_>, route: &Route) -> Result<(), Problem> {
    let takes_body = matches!(route.method, Method::Post | Method::Put | Method::Patch);
    if !takes_body || request.body == Body::Whole(b"") {
        return Ok(());
    }
    let plain = match request.only_header("Content-Encoding")? {
        None => true,
        Some(coding) => coding.eq_ignore_ascii_case("identity"),
    };
    match request.media_type().as_deref() {
        None | Some("application/json") if plain => Ok(()),
        _ => Err(Problem::UnsupportedMediaType),
    }
}
