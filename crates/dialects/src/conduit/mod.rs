//! Conduit.

use crate::http::Response;
use crate::route::Dialect;

/// The table of Conduit.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "conduit",
        mount: |config| config.conduit.mount(),
        routes: Vec::new(),
        authenticate: |_, _| Box::pin(async { Err(service::Problem::Unauthorized) }),
        check: |_, _| Ok(()),
        refuse: |problem, _, _| crate::problem::neutral(problem),
        challenge: "ApiKey",
        standing: |_, _: &mut Response| {},
        head: None,
    }
}
