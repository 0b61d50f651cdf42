//! `POST /transactions/batch`: many transactions at once, each for itself or all or none.

use service::{BatchDone, Idempotency, ItemDone, Metrics, PostTransaction, Problem};

use super::body::{Document, text};
use super::query::idempotency;
use super::{problems, quick, reply, transactions};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::problem;
use crate::route::Endpoint;

pub(super) struct PostBatch;

/// A batch to be posted.
pub(super) struct Batch {
    transactions: Vec<PostTransaction>,
    /// The key of an atomic batch.
    atomic: Option<Idempotency>,
}

impl Endpoint for PostBatch {
    type Input = Batch;
    type Output = BatchDone;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let (json, limit) = (text(request)?, config.service.batch_items);
        let (transactions, atomic) = match quick::batch(json, limit) {
            Some(transactions) => (transactions, false),
            None => read(&Document::of(json)?, limit)?,
        };
        let key = idempotency(request)?;
        if !atomic && key.header_key.is_some() {
            return Err(Problem::bad(
                "Idempotency-Key",
                "is for atomic batches alone; elsewhere the `id` of each transaction is its key",
            ));
        }
        Ok(Batch {
            transactions,
            atomic: atomic.then_some(key),
        })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        let Batch { transactions, atomic } = input;
        match atomic {
            Some(key) => context.service.post_all(context.caller, transactions, key).await,
            None => context.service.post_each(context.caller, transactions).await,
        }
    }

    fn render(done: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let body = reply::object(64 + 96 * done.items.len(), |body| {
            body.key("position").int(done.position.0);
            body.key("results").array(|results| {
                done.items
                    .iter()
                    .for_each(|item| results.object(|one| result(one, item)))
            });
        });
        Ok(reply::recorded(
            Response::json(200, body),
            done.position,
            done.replayed,
        ))
    }
}

/// The transactions of a body, and whether it is all or none.
pub(super) fn read(body: &Document<'_>, limit: usize) -> Result<(Vec<PostTransaction>, bool), Problem> {
    let [items, atomic] = body.object(["transactions", "atomic"])?;
    let atomic = atomic.flag()?;
    let transactions =
        items.need(|items| items.array()?.each_of(limit, "transactions", transactions::read))?;
    Ok((transactions, atomic))
}

fn result(body: &mut Json, item: &ItemDone) {
    reply::id(body, "id", item.id.0);
    let (position, replayed) = match &item.result {
        Ok(booked) => {
            body.key("status").string(transactions::status_of(booked.kind));
            (Some(booked.position), booked.replayed)
        }
        Err(refused) => {
            body.key("status").string("rejected");
            body.key("rejection").object(|rejection| {
                rejection.key("code").string(problem::code(refused));
                rejection.key("detail").string(&problem::detail(refused));
                if let Problem::Rejected(refusal) = refused {
                    problems::culprit(rejection, &refusal.rejection);
                }
            });
            match refused {
                Problem::Rejected(refusal) => (Some(refusal.position), refusal.replayed),
                // A conflict is not recorded.
                _ => (None, false),
            }
        }
    };
    if let Some(position) = position {
        body.key("position").int(position.0);
    }
    if replayed {
        body.key("replayed").bool(true);
    }
}
