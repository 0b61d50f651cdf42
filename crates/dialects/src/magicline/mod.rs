//! Magicline: what a member owes, and has prepaid.
//!
//! Source: `contracts/billing-get-customer-account-balances.md` (version 1.11.0). Amounts are JSON numbers in major
//! units with exactly the currency's places, written from integers.

mod balances;
mod language;
mod openapi;
mod problems;

use ledger::Scopes;
use service::Problem;

use crate::http::{Method, Response};
use crate::route::{Access, BodySize, Dialect, Route, handle};

/// Magicline's table.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "magicline",
        mount: |config| config.magicline.mount(),
        describe: openapi::describe,
        routes: vec![Route {
            method: Method::Get,
            pattern: "/customers/{customerId}/account/balances",
            access: Access::Scope(Scopes::CUSTOMER_ACCOUNT_READ),
            body: BodySize::Usual,
            handler: handle::<balances::GetAccountBalances>(),
            describe: openapi::balances,
        }],
        authenticate: |service, request| {
            Box::pin(async move {
                let token = request.credential("x-api-key").ok_or(Problem::Unauthorized)?;
                service.authenticate_token(token).await
            })
        },
        check: |_, _| Ok(()),
        refuse: problems::refuse,
        challenge: "ApiKey realm=\"saldo\"",
        standing: |_, _| {},
        // Integrations try their key with HEAD: it is about the key alone.
        head: Some(|| Response::empty(200).with("content-type", "application/json")),
    }
}
