//! Magicline.

use crate::http::Response;
use crate::route::Dialect;

/// The table of Magicline.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "magicline",
        mount: |config| config.magicline.mount(),
        routes: Vec::new(),
        authenticate: |_, _| Box::pin(async { Err(service::Problem::Unauthorized) }),
        check: |_, _| Ok(()),
        refuse: |problem, _, _| crate::problem::neutral(problem),
        challenge: "ApiKey",
        standing: |_, _: &mut Response| {},
        head: None,
    }
}
