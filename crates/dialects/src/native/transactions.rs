//! Transactions: one at a time, and what every answer about one says.

use ledger::{Action, Hold, Micros, Move, Notes, Parts, Posted, Posting, Record, Transaction};
use service::{
    FindTransactions, Idempotency, Metrics, PostTransaction, Problem, ReverseTransaction, TransactionDone,
    TransactionShown, TransactionTexts,
};
use store::{EntryKind, Listed, Page, Stamped};

use super::body::{Value, body, optional};
use super::forms::{ACCOUNT, AMOUNT, ASSET, REFERENCE, TIME, TRANSACTION};
use super::query::{idempotency, page, path_id, query};
use super::{metadata, reply};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::uuid;
use crate::time;

/// `POST /transactions`
pub(super) struct Post;

impl Endpoint for Post {
    type Input = (PostTransaction, Idempotency);
    type Output = TransactionDone;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        Ok((read(body(request)?.value())?, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.post(context.caller, input, key).await
    }

    fn render(done: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        booked(done, config)
    }
}

/// Reads a transaction to be posted or held.
pub(super) fn read(value: Value<'_, '_>) -> Result<PostTransaction, Problem> {
    let [
        id,
        postings,
        reference,
        effective_at,
        hold,
        force,
        external_id,
        metadata,
    ] = value.object([
        "id",
        "postings",
        "reference",
        "effectiveAt",
        "hold",
        "force",
        "externalId",
        "metadata",
    ])?;
    Ok(PostTransaction {
        id: id.text(&TRANSACTION)?,
        postings: postings.need(|postings| postings.array()?.each(read_posting))?,
        reference: reference.text(&REFERENCE)?,
        effective_at: effective_at.text(&TIME)?,
        hold: hold.read(|hold| {
            let [expires_at] = hold.object(["expiresAt"])?;
            Ok(ledger::HoldTerms {
                expires_at: expires_at.text(&TIME)?,
            })
        })?,
        force: force.flag()?,
        notes: Notes {
            external_id: external_id.text(&REFERENCE)?.map(Into::into),
            metadata: metadata.read(metadata::read)?,
        },
    })
}

fn read_posting(posting: Value<'_, '_>) -> Result<Posting, Problem> {
    let [from, to, asset, amount] = posting.object(["from", "to", "asset", "amount"])?;
    Ok(Posting {
        from: from.need_text(&ACCOUNT)?,
        to: to.need_text(&ACCOUNT)?,
        asset: asset.need_text(&ASSET)?,
        amount: amount.need_text(&AMOUNT)?,
    })
}

/// Reads parts of a transaction: at least one.
pub(super) fn read_parts(value: Value<'_, '_>) -> Result<Parts, Problem> {
    let items = value.array()?;
    let parts: Parts = items.each(|part| {
        let [index, amount] = part.object(["index", "amount"])?;
        let index = index.need(|index| index.int(0..=i64::from(u32::MAX)))?;
        // The range was just checked.
        Ok((index as u32, amount.need_text(&AMOUNT)?))
    })?;
    if parts.is_empty() {
        return Err(items.fault("must hold at least one part, or be left out"));
    }
    Ok(parts)
}

/// `POST /transactions/{id}/reverse`
pub(super) struct ReverseIt;

impl Endpoint for ReverseIt {
    type Input = (ReverseTransaction, Idempotency);
    type Output = TransactionDone;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let transaction = ledger::TransactionId(path_id(request, "transaction")?);
        let body = optional(request)?;
        let [postings, force] = body.object(["postings", "force"])?;
        let input = ReverseTransaction {
            transaction,
            parts: postings.read(read_parts)?,
            force: force.flag()?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.reverse(context.caller, input, key).await
    }

    fn render(done: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        booked(done, config)
    }
}

/// `GET /transactions/{id}`
pub(super) struct Get;

impl Endpoint for Get {
    type Input = ledger::TransactionId;
    type Output = Stamped<TransactionShown>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let [] = query(request, [])?;
        path_id(request, "transaction").map(ledger::TransactionId)
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        context.service.transaction(context.caller, id).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let shown = Shown::view(&found.value);
        let body = reply::object(shown.size(), |body| shown.write(body));
        Ok(reply::read(found.position, body))
    }
}

/// `GET /transactions`
pub(super) struct List;

impl Endpoint for List {
    type Input = (FindTransactions, Page);
    type Output = Listed<TransactionShown>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [reference, account, external_id, from, to, limit, cursor] = query(
            request,
            [
                "reference",
                "accountId",
                "externalId",
                "from",
                "to",
                "limit",
                "cursor",
            ],
        )?;
        let filter = FindTransactions {
            reference: reference.read(&REFERENCE)?,
            external_id: external_id.read(&REFERENCE)?,
            account: account.read(&ACCOUNT)?,
            from: from.read(&TIME)?,
            to: to.read(&TIME)?,
        };
        Ok((filter, page(limit, cursor, config)?))
    }

    async fn run(context: Context<'_>, (filter, page): Self::Input) -> Result<Self::Output, Problem> {
        context.service.transactions(context.caller, filter, page).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 1024, |items, one| {
            items.object(|item| Shown::view(one).write(item));
        }))
    }
}

/// The answer to whatever booked one transaction.
pub(super) fn booked(done: &TransactionDone, config: &Config) -> Result<Response, Problem> {
    let booked = done
        .booked()
        .ok_or_else(|| Problem::internal("a transaction was accepted and booked nothing"))?;
    let shown = Shown::done(done);
    let body = reply::object(shown.size(), |body| shown.write(body));
    let location = format!("{}/transactions/{}", config.native.prefix, uuid(booked.id.0));
    let response = Response::json(201, body).with("location", location);
    Ok(reply::recorded(response, done.record.position, done.replayed))
}

/// A transaction as it was booked.
pub(super) fn booked_members(body: &mut Json, done: &TransactionDone) {
    Shown::done(done).write(body);
}

/// Whether what made it was held or posted.
pub(super) fn status_of(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Posting | EntryKind::Capture | EntryKind::Reversal => "posted",
        EntryKind::Hold => "held",
        EntryKind::Release => "released",
        EntryKind::Expiry => "expired",
    }
}

/// A transaction to be shown: as it was booked, or with what became of it.
struct Shown<'a> {
    record: &'a Record,
    nth: usize,
    texts: &'a TransactionTexts,
    hold: Option<&'a Hold>,
    posted: Option<&'a Posted>,
}

impl<'a> Shown<'a> {
    fn done(done: &'a TransactionDone) -> Self {
        Self {
            record: &done.record,
            nth: done.nth,
            texts: &done.texts,
            hold: None,
            posted: None,
        }
    }

    fn view(TransactionShown { view, texts }: &'a TransactionShown) -> Self {
        Self {
            texts,
            record: &view.record,
            nth: view.nth,
            hold: view.hold.as_deref(),
            posted: Some(&view.posted),
        }
    }

    fn moves(&self) -> &'a [Move] {
        let booked = self.record.booked().get(self.nth);
        booked.map_or(&[], |booked| &booked.moves)
    }

    fn asked(&self) -> Option<&'a Transaction> {
        self.record.transaction(self.nth)
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let reference = self.texts.reference.as_ref().map_or(0, |text| text.len());
        384 + 640 * self.moves().len() + reference + reply::notes_size(&self.texts.notes)
    }

    fn write(&self, body: &mut Json) {
        let record = self.record;
        let kind = EntryKind::of(record, self.nth);
        if let Some(booked) = record.booked().get(self.nth) {
            reply::id(body, "id", booked.id.0);
        }
        body.key("type").string(kind.as_str());
        body.key("status")
            .string(self.hold.map_or(status_of(kind), |hold| hold.status.as_str()));
        body.key("position").int(record.position.0);
        body.key("recordedAt").string(&time::format(record.recorded_at));
        let moment = |body: &mut Json, name: &'static str, at: Option<Micros>| {
            if let Some(at) = at {
                body.key(name).string(&time::format(at));
            }
        };
        if let Some(asked) = self.asked() {
            moment(body, "effectiveAt", asked.effective_at);
            moment(body, "expiresAt", asked.hold.and_then(|hold| hold.expires_at));
        }
        if let Some(reference) = &self.texts.reference {
            body.key("reference").string(reference);
        }
        reply::notes(body, &self.texts.notes);
        match &record.action {
            Action::Capture(capture) => reply::id(body, "holdId", capture.hold.0),
            Action::Release(release) => reply::id(body, "holdId", release.hold.0),
            Action::Expire { hold, .. } => reply::id(body, "holdId", hold.0),
            Action::Reverse(reverse) => reply::id(body, "reverses", reverse.transaction.0),
            _ => {}
        }
        if self.is_overdrawn() {
            body.key("overdrawn").bool(true);
        }
        body.key("postings").array(|postings| {
            for (nth, made) in self.moves().iter().enumerate() {
                postings.object(|posting| self.posting(posting, nth, made));
            }
        });
        body.key("balances").array(|balances| self.balances(balances));
    }

    /// Whether `force` took an account below its floor.
    fn is_overdrawn(&self) -> bool {
        let force = match &self.record.action {
            Action::Capture(capture) => capture.force,
            Action::Reverse(reverse) => reverse.force,
            _ => self.asked().is_some_and(|asked| asked.force),
        };
        force && self.moves().iter().any(|made| made.from_after.is_overdrawn())
    }

    fn posting(&self, body: &mut Json, nth: usize, made: &Move) {
        // What was asked for is shown as it was asked; the others are about postings of another transaction.
        if self.asked().is_none() {
            body.key("index").int(made.index);
        }
        reply::id(body, "from", made.from.id.0);
        reply::id(body, "to", made.to.id.0);
        body.key("asset").string(made.asset.name.as_str());
        moved(body, made);
        if let Some(held) = self.hold.and_then(|hold| hold.postings.get(nth)) {
            body.key("captured").int_string(held.captured.get());
            body.key("remaining").int_string(held.remaining.get());
        }
        let posted = self.posted.and_then(|posted| posted.postings.get(nth));
        if let Some(posted) = posted.filter(|posted| !posted.reversed.is_zero()) {
            body.key("reversed").int_string(posted.reversed.get());
        }
    }

    /// Each account touched, per asset, as it was after the transaction.
    fn balances(&self, balances: &mut Json) {
        for after in service::balances_after(self.moves()) {
            balances.object(|balance| {
                reply::id(balance, "accountId", after.account.0);
                balance.key("asset").string(after.asset.as_str());
                reply::counters(balance, &after.entry.counters, after.entry.credit);
            });
        }
    }
}

/// How much a move posted, reserved or let go, and, of a capture, how much more than it took it let go.
pub(super) fn moved(body: &mut Json, made: &Move) {
    let captures = !made.post.is_zero() && !made.free.is_zero();
    let amounts = [made.post, made.reserve, made.free];
    let amount = amounts.into_iter().find(|amount| !amount.is_zero());
    body.key("amount").int_string(amount.unwrap_or_default().get());
    let rest = made
        .free
        .checked_sub(made.post)
        .filter(|rest| captures && !rest.is_zero());
    if let Some(rest) = rest {
        body.key("released").int_string(rest.get());
    }
}
