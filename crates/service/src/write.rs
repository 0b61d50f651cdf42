//! Writing: stamping a command, sending it once, and reading what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::{Action, Code, Command, Key, Micros, Plain, Position, Record, Rejection};
use store::{Outcome, Outcomes, StoreError};

use crate::Service;
use crate::problem::{Problem, Refusal};

/// What makes a request the same one when it comes again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idempotency {
    /// The text of the `Idempotency-Key` header: 1 ..= 255 characters. Without it the body's `id` is the key, else one
    /// that the server makes.
    pub header_key: Option<String>,
}

impl Idempotency {
    /// The key of a command that makes or concerns something with this new id.
    pub(crate) fn key(&self, id: u128) -> Key {
        match &self.header_key {
            Some(text) => Key::named(text),
            None => Key::Id(id.into()),
        }
    }
}

/// An answer to a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<T> {
    /// What was made or changed.
    pub value: T,
    /// The position of the command.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// Whether it was recorded before, under the same key.
    pub replayed: bool,
}

/// What the store was given at once, and how that went: for whoever watches. It is told by the task that waited.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// How many commands.
    pub commands: usize,
    /// How long it took until all were durable.
    pub taken: Duration,
    /// Whether some were not taken, or their fate is not known.
    pub failed: bool,
}

/// Who watches commits.
pub type OnCommit = Box<dyn Fn(&Committed) + Send + Sync>;

/// A record and whether it is from before.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) record: Arc<Record>,
    pub(crate) replayed: bool,
}

impl Recorded {
    /// The answer to a write that made `value`.
    pub(crate) fn written<T>(&self, value: T) -> Written<T> {
        Written {
            value,
            position: self.record.position,
            recorded_at: self.record.recorded_at,
            replayed: self.replayed,
        }
    }

    /// The problem that a refusal is. `subject` tells whether what is missing is what the request was addressed to.
    pub(crate) fn refused(&self, rejection: Rejection, subject: impl Fn(&Rejection) -> bool) -> Problem {
        Problem::Rejected(Box::new(Refusal {
            rejection,
            position: self.record.position,
            recorded_at: self.record.recorded_at,
            replayed: self.replayed,
            of_subject: subject(&rejection),
        }))
    }
}

/// A new 128-bit id: a UUIDv7.
pub(crate) fn new_id() -> u128 {
    uuid::Uuid::now_v7().as_u128()
}

/// What is to become a command.
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) action: Action<Plain>,
    /// Whether the id of a transaction is the caller's.
    pub(crate) id_given: bool,
}

impl Service {
    /// Hands commands to the store, counts, and measures how long it takes.
    pub(crate) async fn commit(&self, commands: Vec<Command>) -> Vec<Result<Outcome, StoreError>> {
        self.watched(commands.len(), self.store.submit(commands)).await
    }

    /// The same for who need not see the records of what is accepted now.
    pub(crate) async fn commit_briefly(&self, commands: Vec<Command>) -> Vec<Result<Outcome, StoreError>> {
        self.watched(commands.len(), self.store.submit_briefly(commands))
            .await
    }

    async fn watched(&self, commands: usize, commit: Outcomes<'_>) -> Vec<Result<Outcome, StoreError>> {
        let _waiting = self.metrics.in_flight.hold(commands as u64);
        let begun = Instant::now();
        let answers = commit.await;
        let taken = begun.elapsed();
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        self.metrics.commits.observe(micros);
        if let Some(watch) = &self.on_commit {
            watch(&Committed {
                commands: answers.len(),
                taken,
                failed: answers.iter().any(Result::is_err),
            });
        }
        answers.iter().for_each(|answer| self.metrics.answered(answer));
        answers
    }

    /// Sends one command. An accepted or replayed acceptance is its record.
    ///
    /// # Errors
    /// A refusal, also a replayed one; a conflict of keys; whatever the store failed with. `subject` is the code that
    /// says that what the request is addressed to is missing.
    pub(crate) async fn submit(
        &self,
        command: Command,
        subject: impl Fn(&Rejection) -> bool,
    ) -> Result<Recorded, Problem> {
        let mut answers = self.commit(vec![command]).await;
        let outcome = answers
            .pop()
            .ok_or_else(|| Problem::internal("the store answered no outcome for a command"))??;
        let recorded = recorded(outcome)?;
        match recorded.record.outcome {
            Ok(_) => Ok(recorded),
            Err(rejection) => Err(recorded.refused(rejection, subject)),
        }
    }
}

/// The record of an outcome that has one.
pub(crate) fn recorded(outcome: Outcome) -> Result<Recorded, Problem> {
    match outcome {
        Outcome::Recorded(record) => Ok(Recorded {
            record,
            replayed: false,
        }),
        Outcome::Replayed(record) => Ok(Recorded {
            record,
            replayed: true,
        }),
        Outcome::Conflict(position) => Err(Problem::idempotency_conflict(position)),
        Outcome::Nothing => Err(Problem::internal("the store answered as if to an expiry")),
        Outcome::Accepted(_) => Err(Problem::internal("the store answered no record")),
    }
}

/// For requests that are addressed to nothing that could be missing.
pub(crate) fn no_subject(_: &Rejection) -> bool {
    false
}

/// For requests that are addressed to what this code says is missing.
pub(crate) fn subject(code: Code) -> impl Fn(&Rejection) -> bool {
    move |rejection| rejection.code == code
}
