//! Holds: money that is reserved until it is captured, released, or its time is over.

use std::sync::Arc;

use ledger::{Action, Amount, Capture, Code, Command, Hold, Parts, Release, Scopes, TransactionId};
use store::{HoldFilter, Listed, Outcome, Page};

use crate::check::check_parts;
use crate::problem::Problem;
use crate::transactions::TransactionDone;
use crate::write::{Idempotency, new_id, subject};
use crate::{Caller, Service};

/// How much of a hold: an amount where it has one posting, or parts by the index of the posting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Portion {
    /// All that is left.
    #[default]
    All,
    /// So many minor units of its one posting.
    Amount(Amount),
    /// So many minor units of each of these postings.
    Parts(Parts),
}

/// A capture to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureHold {
    /// The hold.
    pub hold: TransactionId,
    /// How much of it.
    pub portion: Portion,
    /// Whether the rest is let go; unless given, true exactly when all is captured.
    pub last: Option<bool>,
    /// Whether more than is held may be taken, if the account has it.
    pub allow_over: bool,
    /// Take more below the floor; scope `ledger:force`.
    pub force: bool,
}

/// A release to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseHold {
    /// The hold.
    pub hold: TransactionId,
    /// How much of it.
    pub portion: Portion,
}

/// At most so many holds are expired in one go.
const EXPIRE_AT_ONCE: usize = 1_000;

impl Service {
    /// Captures held money, as a transaction of its own. Scope `post`, and `ledger:force` for `force`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for an amount where there are several postings; a hold that is not visible is a refusal of
    /// the subject; other refusals of the ledger.
    pub async fn capture(
        &self,
        caller: &Caller,
        input: CaptureHold,
        idempotency: Idempotency,
    ) -> Result<TransactionDone, Problem> {
        caller.require(Scopes::POST)?;
        if input.force {
            caller.require(Scopes::FORCE)?;
        }
        let last = input.last.unwrap_or(input.portion == Portion::All);
        let capture = Capture {
            id: TransactionId(new_id()),
            hold: input.hold,
            parts: self.parts(caller, input.hold, input.portion).await?,
            last,
            allow_over: input.allow_over,
            force: input.force,
        };
        let key = idempotency.key(capture.id.0);
        let command = self.command(caller, key, Action::Capture(capture), false).await?;
        let recorded = self.submit(command, subject(Code::HoldNotFound)).await?;
        Ok(TransactionDone::of(recorded, 0))
    }

    /// Lets held money go. Scope `post`.
    ///
    /// # Errors
    /// As [`Service::capture`].
    pub async fn release(
        &self,
        caller: &Caller,
        input: ReleaseHold,
        idempotency: Idempotency,
    ) -> Result<TransactionDone, Problem> {
        caller.require(Scopes::POST)?;
        let release = Release {
            id: TransactionId(new_id()),
            hold: input.hold,
            parts: self.parts(caller, input.hold, input.portion).await?,
        };
        let key = idempotency.key(release.id.0);
        let command = self.command(caller, key, Action::Release(release), false).await?;
        let recorded = self.submit(command, subject(Code::HoldNotFound)).await?;
        Ok(TransactionDone::of(recorded, 0))
    }

    /// Holds, newest first. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn holds(
        &self,
        caller: &Caller,
        filter: HoldFilter,
        page: Page,
    ) -> Result<Listed<Arc<Hold>>, Problem> {
        caller.require(Scopes::READ)?;
        Ok(self.store.holds(caller.viewer, filter, page).await?)
    }

    /// The parts that a portion stands for. Which posting an amount is of goes without saying only where there is one.
    async fn parts(
        &self,
        caller: &Caller,
        hold: TransactionId,
        portion: Portion,
    ) -> Result<Option<Parts>, Problem> {
        let amount = match portion {
            Portion::All => return Ok(None),
            Portion::Parts(parts) => {
                check_parts(Some(&parts))?;
                return Ok(Some(parts));
            }
            Portion::Amount(amount) => amount,
        };
        // Postings of a transaction never change, so what is read here still holds when the command is decided. A hold
        // that is not there is the ledger's to refuse, so that the refusal is recorded.
        let found = self.store.transaction(caller.viewer, hold).await?;
        let hold = found.and_then(|found| found.value.hold);
        if hold.is_some_and(|hold| hold.postings.len() > 1) {
            return Err(Problem::bad(
                "amount",
                "is for holds of one posting; this one has several: name each in `postings`",
            ));
        }
        Ok(Some(Parts::from_iter([(0, amount)])))
    }

    /// Records the expiry of holds whose time is over; answers how many were. The server calls this about four times a
    /// second.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire_due(&self) -> Result<usize, Problem> {
        let now = self.clock.now();
        let due = self.store.due_holds(now, EXPIRE_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let commands = due
            .into_iter()
            .map(|(book, hold)| Command::expiry(book, hold, now));
        let outcomes = self.commit(commands.collect()).await;
        // Another server may have been faster: a replay, or nothing to do.
        let recorded = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ok(Outcome::Recorded(_))));
        let expired = recorded.count();
        self.metrics.holds_expired.add(expired as u64);
        match outcomes.into_iter().find_map(Result::err) {
            Some(error) => Err(error.into()),
            None => Ok(expired),
        }
    }
}
