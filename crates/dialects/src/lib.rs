//! The wire formats: Saldo's own API and the vendors' balance endpoints.
//!
//! Vendor words live in this crate and nowhere else. A wire format is a [`Dialect`]: a table of routes, who calls, and
//! how problems are spelled; [`all`] is the one list, so a new one is a folder and a line. [`answer()`] takes a request
//! through the checks in their order. What every format shares is here:
//!
//! - [`spelling`]: one 128-bit id as each vendor spells it;
//! - [`json`]: bodies, written once and without floats;
//! - [`http`]: requests and responses of no framework;
//! - [`time`]: points in time as RFC 3339 writes them;
//! - [`openapi`]: the document about all routes.

mod answer;
pub mod conduit;
pub mod config;
pub mod http;
pub mod iso;
pub mod json;
pub mod light;
pub mod magicline;
pub mod native;
pub mod openapi;
pub mod polygon;
pub mod problem;
pub mod route;
mod router;
pub mod spelling;
pub mod time;

pub use answer::answer;
pub use config::Config;
pub use http::{Arriving, Body, Context, Given, Headers, Method, Request, Response, Rest};
pub use route::{Access, BodySize, Boxed, Dialect, Endpoint, Handler, Route, handle};
pub use router::{Found, Router};

/// Every wire format.
#[must_use]
pub fn all() -> Vec<Dialect> {
    vec![
        native::dialect(),
        conduit::dialect(),
        magicline::dialect(),
        polygon::dialect(),
        light::dialect(),
    ]
}
