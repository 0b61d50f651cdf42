//! Light.

use crate::http::Response;
use crate::route::Dialect;

/// The table of Light.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "light",
        mount: |config| config.light.mount(),
        routes: Vec::new(),
        authenticate: |_, _| Box::pin(async { Err(service::Problem::Unauthorized) }),
        check: |_, _| Ok(()),
        refuse: |problem, _, _| crate::problem::neutral(problem),
        challenge: "ApiKey",
        standing: |_, _: &mut Response| {},
        head: None,
    }
}
