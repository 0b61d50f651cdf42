//! What the server says about itself: the OpenAPI document, and a page made from it that needs nothing from outside.

mod markdown;
mod page;
mod shape;

use bytes::Bytes;
use dialects::{Response, Router};

/// The document and the page, made once, and shared by all answers: who asks and takes no answer is not worth a copy.
pub(crate) struct Docs {
    document: Bytes,
    page: Bytes,
}

impl Docs {
    pub(crate) fn new(router: &Router) -> Self {
        let document = dialects::openapi::document(router);
        Self {
            page: page::render(&document).into(),
            document: document.to_string().into(),
        }
    }

    /// The answer to a request for one of them; `None` for any other path.
    pub(crate) fn answer(&self, method: &str, path: &str) -> Option<Response> {
        let response = match path {
            "/api/openapi.json" => Response::new(200, "application/json", self.document.clone()),
            "/docs" => Response::new(200, "text/html; charset=utf-8", self.page.clone())
                // The page has no scripts and fetches nothing: a browser may hold it to that.
                .with(
                    "content-security-policy",
                    "default-src 'none'; style-src 'unsafe-inline'",
                )
                .with("x-content-type-options", "nosniff"),
            _ => return None,
        };
        Some(match method {
            "GET" => response,
            "HEAD" => Response {
                body: Bytes::new(),
                ..response
            },
            _ => dialects::problem::neutral(&service::Problem::MethodNotAllowed {
                allow: "GET, HEAD".to_owned(),
            })
            .with("allow", "GET, HEAD"),
        })
    }
}
