//! Problems in neutral words, for what belongs to no vendor: RFC 9457, with a `code`.

use service::Problem;

use crate::http::Response;
use crate::json::Json;

/// The status that fits a problem where a wire format has nothing else to say.
#[must_use]
pub fn status(problem: &Problem) -> u16 {
    use ledger::Code;
    match problem {
        Problem::BadRequest { .. } => 400,
        Problem::Unauthorized => 401,
        Problem::Forbidden { .. } => 403,
        Problem::NotFound { .. } => 404,
        Problem::MethodNotAllowed { .. } => 405,
        Problem::Conflict { .. } => 409,
        Problem::Rejected(refusal) if refusal.of_subject => 404,
        Problem::Rejected(refusal) if refusal.rejection.code == Code::IdTaken => 409,
        Problem::Rejected(_) => 422,
        Problem::TooLarge { .. } => 413,
        Problem::UnsupportedMediaType => 415,
        Problem::RateLimited(_) => 429,
        Problem::Internal { .. } => 500,
        Problem::ValuationUnavailable { .. } => 502,
        Problem::PositionNotReached { .. } | Problem::Unavailable { .. } => 503,
    }
}

/// A word for a problem, for programs.
#[must_use]
pub fn code(problem: &Problem) -> &'static str {
    match problem {
        Problem::BadRequest { .. } => "bad_request",
        Problem::Unauthorized => "unauthorized",
        Problem::Forbidden { .. } => "forbidden",
        Problem::NotFound { .. } => "not_found",
        Problem::MethodNotAllowed { .. } => "method_not_allowed",
        Problem::Conflict { code, .. } => code,
        Problem::Rejected(refusal) => refusal.rejection.code.as_str(),
        Problem::TooLarge { .. } => "too_large",
        Problem::UnsupportedMediaType => "unsupported_media_type",
        Problem::RateLimited(_) => "rate_limited",
        Problem::Internal { .. } => "internal_error",
        Problem::ValuationUnavailable { .. } => "valuation_unavailable",
        Problem::PositionNotReached { .. } => "position_not_reached",
        Problem::Unavailable { .. } => "unavailable",
    }
}

/// A sentence for people: what is wrong and what to do. Never internals.
#[must_use]
pub fn detail(problem: &Problem) -> String {
    match problem {
        Problem::BadRequest {
            field: Some(field),
            detail,
        } => format!("`{field}` {detail}"),
        Problem::BadRequest { field: None, detail }
        | Problem::Forbidden { detail, .. }
        | Problem::NotFound { detail, .. }
        | Problem::Conflict { detail, .. }
        | Problem::Unavailable { detail, .. }
        | Problem::ValuationUnavailable { detail } => detail.clone(),
        Problem::Unauthorized => {
            "There are no credentials here that work; check them, and that they were not revoked.".to_owned()
        }
        Problem::MethodNotAllowed { allow } => format!("This path takes other methods: {allow}."),
        Problem::Rejected(refusal) => refusal.rejection.code.cure().to_owned(),
        Problem::TooLarge { what, limit } => {
            format!("At most {limit} {what} are taken at once; send less.")
        }
        Problem::UnsupportedMediaType => {
            "The body must be JSON, not compressed; say so in `Content-Type: application/json`.".to_owned()
        }
        Problem::RateLimited(standing) => format!(
            "This key may ask {} times a minute; ask again in {} s.",
            standing.limit, standing.retry_after
        ),
        Problem::PositionNotReached { wanted, reached } => {
            format!("Position {wanted} is not reached; the book is at {reached}. Ask again in a moment.")
        }
        Problem::Internal { .. } => {
            "Something is wrong here; the log has it under this answer's `X-Request-Id`.".to_owned()
        }
    }
}

/// A problem that belongs to no vendor.
#[must_use]
pub fn neutral(problem: &Problem) -> Response {
    let status = status(problem);
    let mut body = Json::with_capacity(256);
    body.object(|body| {
        body.key("type").string("about:blank");
        body.key("title").string(title(status));
        body.key("status").int(status);
        body.key("code").string(code(problem));
        body.key("detail").string(&detail(problem));
    });
    Response::new(status, "application/problem+json", body.into_bytes())
}

/// The reason phrase of a status.
#[must_use]
pub const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
