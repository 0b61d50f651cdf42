//! Problems as RFC 9457 has them, with a `code` for programs and whatever helps to find the fault.

use ledger::{Code, Rejection};
use service::Problem;

use crate::http::{Request, Response};
use crate::json::Json;
use crate::problem;
use crate::spelling;

pub(super) fn refuse(problem: &Problem, _: &Request<'_>, request_id: &str) -> Response {
    let status = match problem {
        // Nothing behind this server failed: rates that lead there are for the caller to put.
        Problem::ValuationUnavailable { .. } => 422,
        other => problem::status(other),
    };
    let mut body = Json::with_capacity(384);
    body.object(|body| {
        body.key("type").string("about:blank");
        body.key("title").string(problem::title(status));
        body.key("status").int(status);
        body.key("code").string(problem::code(problem));
        body.key("detail").string(&problem::detail(problem));
        more(body, problem);
        body.key("requestId").string(request_id);
    });
    let mut response = Response::new(status, "application/problem+json", body.into_bytes());
    if let Problem::Rejected(refusal) = problem {
        response = super::reply::recorded(response, refusal.position, refusal.replayed);
    }
    response
}

/// What only some problems have.
fn more(body: &mut Json, problem: &Problem) {
    match problem {
        Problem::BadRequest {
            field: Some(field), ..
        } => body.key("field").string(field),
        Problem::Forbidden {
            scope: Some(scope), ..
        } => body.key("scope").string(scope),
        Problem::TooLarge { limit, .. } => body.key("limit").int(*limit),
        Problem::PositionNotReached { reached, .. } => body.key("position").int(reached.0),
        Problem::Rejected(refusal) => {
            body.key("position").int(refusal.position.0);
            culprit(body, &refusal.rejection);
        }
        _ => {}
    }
}

/// Which posting and which account a rejection is about.
pub(super) fn culprit(body: &mut Json, rejection: &Rejection) {
    if let Some(index) = rejection.posting {
        // A rate is no posting, but counted like one.
        let what = match rejection.code {
            Code::RateInvalid => "rate",
            _ => "posting",
        };
        body.key(what).int(index);
    }
    if let Some(account) = rejection.account {
        body.key("accountId").id(&spelling::uuid(account.0));
    }
}
