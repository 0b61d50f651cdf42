//! `POST /v0.9/auth/token`: a key and its secret for a signed token.

use serde::Deserialize;
use service::{IssuedToken, Metrics, Problem};

use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::{Config, time};

pub(super) struct IssueToken;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pair {
    api_key: String,
    api_secret: String,
}

impl Endpoint for IssueToken {
    type Input = Pair;
    type Output = IssuedToken;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        // What was read may be a secret: the text of the error, which quotes it, stays here.
        request.json().map_err(|_| Problem::BadRequest {
            field: None,
            detail: "the body must be JSON: {\"apiKey\", \"apiSecret\"}".to_owned(),
        })
    }

    async fn run(context: Context<'_>, pair: Self::Input) -> Result<Self::Output, Problem> {
        context.service.issue_token(&pair.api_key, &pair.api_secret).await
    }

    fn render(output: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let mut body = Json::with_capacity(256 + output.token.len());
        body.object(|body| {
            body.key("accessToken").string(&output.token);
            body.key("tokenType").string("bearer");
            body.key("expiresIn").int(output.expires_in);
            body.key("expiresAt").string(&time::format(output.expires_at));
        });
        Ok(Response::json(200, body).with("cache-control", "no-store"))
    }
}
