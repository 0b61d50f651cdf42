//! The key that signs tokens.

use service::{Metrics, Problem, SigningKeyView};

use super::body::optional;
use super::reply;
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::route::Endpoint;
use crate::time;

/// `POST /signing-key/rotate`
pub(super) struct Rotate;

impl Endpoint for Rotate {
    type Input = bool;
    type Output = Vec<SigningKeyView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let body = optional(request)?;
        let [revoke_old] = body.object(["revokeOld"])?;
        const KEY: &str = "Idempotency-Key";
        if request.only_header(KEY)?.is_some() {
            let why = "is not kept here, since this is recorded in no book; leave it out";
            return Err(Problem::bad(KEY, why));
        }
        revoke_old.flag()
    }

    async fn run(context: Context<'_>, revoke_old: Self::Input) -> Result<Self::Output, Problem> {
        context
            .service
            .rotate_signing_key(context.caller, revoke_old)
            .await
    }

    fn render(keys: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let (newest, before) = keys
            .split_last()
            .ok_or_else(|| Problem::internal("no key signs"))?;
        let body = reply::object(128 + 128 * keys.len(), |body| {
            body.key("id").string(&newest.id);
            body.key("createdAt").string(&time::format(newest.made_at));
            body.key("earlier").array(|items| {
                for key in before {
                    items.object(|item| {
                        item.key("id").string(&key.id);
                        item.key("createdAt").string(&time::format(key.made_at));
                        if let Some(end) = key.ends_at {
                            item.key("endsAt").string(&time::format(end));
                        }
                    });
                }
            });
        });
        Ok(Response::json(200, body))
    }
}
