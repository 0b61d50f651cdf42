//! Conduit: the account of a customer, and those of a client and its subsidiaries.
//!
//! Source: `contracts/conduit-get-customer-account.yaml`, `contracts/conduit-list-client-accounts.yaml` (version
//! 2024-12-01). Amounts are `available`, in minor units, as canonical digits; the page's schema has no negative ones,
//! so these are shown as `"0"` and named in the header `Saldo-Negative-Balance`.

mod balances;
mod client_accounts;
mod customer_account;
mod openapi;
mod problems;

use ledger::Scopes;
use service::Problem;

use crate::http::{Body, Method, Request};
use crate::route::{Access, BodySize, Dialect, Route, handle};

/// The one version that there is, where a request names one.
const VERSION: &str = "2024-12-01";

const CUSTOMER_ACCOUNT: &str = "/customers/{id}/account";

/// Conduit's table.
#[must_use]
pub fn dialect() -> Dialect {
    let get = |pattern, handler, describe| Route {
        method: Method::Get,
        pattern,
        access: Access::Scope(Scopes::READ),
        body: BodySize::Usual,
        handler,
        describe,
    };
    Dialect {
        name: "conduit",
        mount: |config| config.conduit.mount(),
        describe: openapi::describe,
        routes: vec![
            get(
                CUSTOMER_ACCOUNT,
                handle::<customer_account::GetCustomerAccount>(),
                openapi::customer_account,
            ),
            get(
                "/clients/accounts",
                handle::<client_accounts::ListClientAccounts>(),
                openapi::client_accounts,
            ),
        ],
        authenticate: |service, request| {
            Box::pin(async move {
                let pair = request
                    .credential("x-api-key")
                    .zip(request.credential("x-api-secret"));
                let (key, secret) = pair.ok_or(Problem::Unauthorized)?;
                service.authenticate_pair(key, secret).await
            })
        },
        check,
        refuse: problems::refuse,
        challenge: "ApiKey realm=\"saldo\"",
        standing: |_, _| {},
        head: None,
    }
}

fn check(request: &Request<'_>, route: &Route) -> Result<(), Problem> {
    if request
        .header("api-version")
        .is_some_and(|version| version != VERSION)
    {
        return Err(Problem::bad(
            "Api-Version",
            format!("must be {VERSION}, or left out"),
        ));
    }
    // The page of the client's accounts knows no 415, so a body goes unread there.
    let readable = || {
        let media_type = request.media_type();
        matches!(
            media_type.as_deref(),
            Some("application/json" | "application/vnd.api+json")
        )
    };
    if route.pattern == CUSTOMER_ACCOUNT && request.body != Body::Whole(b"") && !readable() {
        return Err(Problem::UnsupportedMediaType);
    }
    Ok(())
}
