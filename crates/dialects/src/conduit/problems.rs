//! Problems as Conduit spells them: `{"errors":[{"detail","code"}]}`.

use service::Problem;

use crate::http::{Request, Response};
use crate::json::Json;
use crate::problem;

pub(super) fn refuse(problem: &Problem, _: &Request<'_>, _: &str) -> Response {
    let mut body = Json::with_capacity(256);
    body.object(|body| {
        body.key("errors").array(|errors| {
            errors.object(|error| {
                error.key("detail").string(&problem::detail(problem));
                error.key("code").string(problem::code(problem));
            });
        });
    });
    Response::json(problem::status(problem), body)
}
