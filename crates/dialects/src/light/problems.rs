//! Problems as Light spells them. The page types its `default` answer as the success model; this validates against it,
//! since none of that model's fields is required and none of these is named like one.

use service::Problem;

use super::JSON;
use crate::http::{Request, Response};
use crate::json::Json;
use crate::problem;

pub(super) fn refuse(problem: &Problem, _: &Request<'_>, _: &str) -> Response {
    let status = problem::status(problem);
    let (name, kind) = names(status);
    let mut body = Json::with_capacity(256);
    body.object(|body| {
        body.key("name").string(name);
        body.key("type").string(kind);
        body.key("errors").array(|errors| {
            errors.object(|error| {
                error.key("type").string(kind);
                error.key("message").string(&problem::detail(problem));
                if let Problem::BadRequest {
                    field: Some(field), ..
                } = problem
                {
                    error.key("path").string(field);
                }
            });
        });
    });
    Response::new(status, JSON, body.into_bytes())
}

fn names(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("BadRequest", "BAD_REQUEST"),
        401 => ("Unauthorized", "UNAUTHORIZED"),
        403 => ("Forbidden", "FORBIDDEN"),
        404 => ("NotFound", "NOT_FOUND"),
        405 => ("MethodNotAllowed", "METHOD_NOT_ALLOWED"),
        409 => ("Conflict", "CONFLICT"),
        413 => ("PayloadTooLarge", "PAYLOAD_TOO_LARGE"),
        429 => ("TooManyRequests", "TOO_MANY_REQUESTS"),
        503 => ("ServiceUnavailable", "SERVICE_UNAVAILABLE"),
        _ => ("InternalServerError", "INTERNAL_SERVER_ERROR"),
    }
}
