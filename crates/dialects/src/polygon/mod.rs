//! Polygon OMS: the estimated balance of a customer in one currency, and the tokens that open it.
//!
//! Source: `contracts/polygon-oms-get-customer-balance.yaml` (v26.05.28-0001). Several error bodies are enums of one
//! value there, so their texts are exact.

mod balance;
mod openapi;
mod problems;
mod token;

use ledger::Scopes;
use service::Problem;

use crate::http::Method;
use crate::route::{Access, BodySize, Dialect, Route, handle};

/// Polygon's table.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "polygon",
        mount: |config| config.polygon.mount(),
        describe: openapi::describe,
        routes: vec![
            Route {
                method: Method::Post,
                pattern: "/auth/token",
                access: Access::Public,
                body: BodySize::Credentials,
                handler: handle::<token::IssueToken>(),
                describe: openapi::token,
            },
            Route {
                method: Method::Get,
                pattern: "/customers/{id}/balance",
                access: Access::Scope(Scopes::READ),
                body: BodySize::Usual,
                handler: handle::<balance::GetCustomerBalance>(),
                describe: openapi::customer_balance,
            },
        ],
        authenticate: |service, request| {
            Box::pin(async move {
                let given = request
                    .credential("authorization")
                    .and_then(|value| value.split_once(' '));
                match given {
                    Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                        service.authenticate_jwt(token.trim()).await
                    }
                    _ => Err(Problem::Unauthorized),
                }
            })
        },
        check: |_, _| Ok(()),
        refuse: problems::refuse,
        challenge: "Bearer realm=\"saldo\"",
        standing: |_, _| {},
        head: None,
    }
}
