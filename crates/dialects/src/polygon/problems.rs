//! Problems as Polygon spells them: the page's bodies where it has one, else `{"error"}` with a sentence.

use service::Problem;

use super::balance::CUSTOMER_ID;
use crate::http::{Request, Response};
use crate::json::Json;
use crate::problem;

pub(super) fn refuse(problem: &Problem, _: &Request<'_>, _: &str) -> Response {
    let status = problem::status(problem);
    let sentence;
    let (error, code) = match (problem, status) {
        (
            Problem::BadRequest {
                field: Some(field), ..
            },
            _,
        ) if field == CUSTOMER_ID => ("invalid customer id", None),
        (Problem::Unauthorized, _) => ("unauthorized", None),
        (Problem::NotFound { what: "customer", .. }, _) => ("customer not found", None),
        (Problem::ValuationUnavailable { detail }, _) => (detail.as_str(), Some("provider_error")),
        (_, 503) => ("upstream provider unreachable", Some("provider_unreachable")),
        _ => {
            sentence = problem::detail(problem);
            (sentence.as_str(), None)
        }
    };
    let mut body = Json::with_capacity(128 + error.len());
    body.object(|body| {
        body.key("error").string(error);
        if let Some(code) = code {
            body.key("code").string(code);
        }
    });
    Response::json(status, body)
}
