//! Holds: looking at them, capturing, letting go. They are placed as transactions with `hold`.

use std::sync::Arc;

use ledger::{Hold, TransactionId};
use service::{CaptureHold, Idempotency, Metrics, Portion, Problem, ReleaseHold, TransactionDone};
use store::{HoldFilter, Listed, Page, Stamped};

use super::body::{Member, optional};
use super::forms::{ACCOUNT, AMOUNT, HOLD_STATUS};
use super::query::{idempotency, page, path_id, query};
use super::{reply, transactions};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::time;

/// `POST /holds/{id}/capture`
pub(super) struct CaptureIt;

impl Endpoint for CaptureIt {
    type Input = (CaptureHold, Idempotency);
    type Output = TransactionDone;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let hold = TransactionId(path_id(request, "hold")?);
        let body = optional(request)?;
        let [amount, postings, last, allow_over, force] =
            body.object(["amount", "postings", "final", "allowOver", "force"])?;
        let input = CaptureHold {
            hold,
            portion: read_portion(amount, postings)?,
            last: last.read(|value| value.bool())?,
            allow_over: allow_over.flag()?,
            force: force.flag()?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.capture(context.caller, input, key).await
    }

    fn render(done: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        transactions::booked(done, config)
    }
}

/// `POST /holds/{id}/release`
pub(super) struct ReleaseIt;

impl Endpoint for ReleaseIt {
    type Input = (ReleaseHold, Idempotency);
    type Output = TransactionDone;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let hold = TransactionId(path_id(request, "hold")?);
        let body = optional(request)?;
        let [amount, postings] = body.object(["amount", "postings"])?;
        let portion = read_portion(amount, postings)?;
        Ok((ReleaseHold { hold, portion }, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.release(context.caller, input, key).await
    }

    fn render(done: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        transactions::booked(done, config)
    }
}

fn read_portion(amount: Member<'_, '_>, postings: Member<'_, '_>) -> Result<Portion, Problem> {
    if amount.is_there() && postings.is_there() {
        return Err(Problem::bad(
            "postings",
            "can't be combined with `amount`; name one of them",
        ));
    }
    if let Some(amount) = amount.text(&AMOUNT)? {
        return Ok(Portion::Amount(amount));
    }
    let parts = postings.read(transactions::read_parts)?;
    Ok(parts.map_or(Portion::All, Portion::Parts))
}

/// `GET /holds/{id}`
pub(super) struct Get;

impl Endpoint for Get {
    type Input = TransactionId;
    type Output = Stamped<Arc<Hold>>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let [] = query(request, [])?;
        path_id(request, "hold").map(TransactionId)
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        let filter = HoldFilter {
            id: Some(id),
            ..HoldFilter::default()
        };
        let one = Page {
            limit: 1,
            after: None,
        };
        let mut found = context.service.holds(context.caller, filter, one).await?;
        let hold = found.items.pop().ok_or_else(|| Problem::not_found("hold"))?;
        Ok(Stamped {
            value: hold,
            position: found.position,
        })
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let size = 256 + 256 * found.value.postings.len();
        let body = reply::object(size, |body| members(body, &found.value));
        Ok(reply::read(found.position, body))
    }
}

/// `GET /holds`
pub(super) struct List;

impl Endpoint for List {
    type Input = (HoldFilter, Page);
    type Output = Listed<Arc<Hold>>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [account, status, limit, cursor] = query(request, ["accountId", "status", "limit", "cursor"])?;
        let filter = HoldFilter {
            id: None,
            account: account.read(&ACCOUNT)?,
            status: status.read(&HOLD_STATUS)?,
        };
        Ok((filter, page(limit, cursor, config)?))
    }

    async fn run(context: Context<'_>, (filter, page): Self::Input) -> Result<Self::Output, Problem> {
        context.service.holds(context.caller, filter, page).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 512, |items, hold| {
            items.object(|item| members(item, hold));
        }))
    }
}

fn members(body: &mut Json, hold: &Hold) {
    reply::id(body, "id", hold.id.0);
    body.key("status").string(hold.status.as_str());
    body.key("position").int(hold.position.0);
    body.key("recordedAt").string(&time::format(hold.recorded_at));
    if let Some(end) = hold.expires_at {
        body.key("expiresAt").string(&time::format(end));
    }
    body.key("postings").array(|postings| {
        for held in &hold.postings {
            postings.object(|posting| {
                reply::id(posting, "from", held.from.id.0);
                reply::id(posting, "to", held.to.id.0);
                posting.key("asset").string(held.asset.name.as_str());
                posting.key("amount").int_string(held.amount.get());
                posting.key("captured").int_string(held.captured.get());
                posting.key("remaining").int_string(held.remaining.get());
            });
        }
    });
}
