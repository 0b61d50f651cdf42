//! Gathering across requests: what arrives while a batch is on its way shares the next one.

use std::sync::Arc;

use ledger::{Command, Record};
use tokio::sync::{mpsc, oneshot};

use crate::{Outcome, StoreError};

/// One thing that is asked of a store.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are commands")]
pub enum Asked {
    /// To decide a command.
    Decide(Command),
    /// To take a record as it is.
    Adopt(Arc<Record>),
    /// To say whether a record of so many bytes would be taken. Nothing is recorded.
    Room(u64),
}

/// What is to be known of a command that was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Its record.
    Record,
    /// Its position.
    Position,
}

/// What one request submitted, and where its answer goes.
#[derive(Debug)]
pub struct Submission {
    /// What is asked, in order.
    asked: Vec<Asked>,
    wanted: Wanted,
    reply: oneshot::Sender<Vec<Result<Outcome, StoreError>>>,
}

impl Submission {
    /// What is asked, what is to be known of it, and where the answer goes.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Asked>, Wanted, Reply) {
        (self.asked, self.wanted, Reply(self.reply))
    }
}

/// Where the answer of a submission goes.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Vec<Result<Outcome, StoreError>>>);

impl Reply {
    /// Answers. A caller that has gone is no error.
    pub fn send(self, answers: Vec<Result<Outcome, StoreError>>) {
        let _ = self.0.send(answers);
    }
}

/// The side that submits.
#[derive(Clone, Debug)]
pub struct Submitter(mpsc::Sender<Submission>);

impl Submitter {
    /// Submits and waits for the answer. A full queue is [`StoreError::Busy`] at once.
    pub async fn submit(&self, asked: Vec<Asked>, wanted: Wanted) -> Vec<Result<Outcome, StoreError>> {
        let count = asked.len();
        let all = |error: StoreError| vec![Err(error); count];
        if count == 0 {
            return Vec::new();
        }
        let (reply, answer) = oneshot::channel();
        let submission = Submission { asked, wanted, reply };
        match self.0.try_send(submission) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return all(StoreError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return all(StoreError::Closed("it takes no commands any more".into()));
            }
        }
        // Whoever drops the reply unanswered stopped in the middle.
        answer.await.unwrap_or_else(|_| all(StoreError::UnknownFate))
    }
}

/// The side that takes what was submitted.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Submission>);

impl Inbox {
    /// Waits for a submission, then takes those that wait too, up to about `many` things in all. `None` when all
    /// submitters are gone, or the inbox was closed and is empty.
    pub async fn next_batch(&mut self, many: usize) -> Option<Vec<Submission>> {
        let first = self.0.recv().await?;
        let mut batch = vec![first];
        self.gather(&mut batch, many);
        Some(batch)
    }

    /// Takes what waits now.
    pub fn waiting(&mut self, many: usize) -> Vec<Submission> {
        let mut batch = Vec::new();
        self.gather(&mut batch, many);
        batch
    }

    fn gather(&mut self, batch: &mut Vec<Submission>, many: usize) {
        let mut count: usize = batch.iter().map(|one| one.asked.len()).sum();
        while count < many {
            let Ok(next) = self.0.try_recv() else { break };
            count += next.asked.len();
            batch.push(next);
        }
    }
}

/// A queue of at most `waiting` submissions.
#[must_use]
pub fn queue(waiting: usize) -> (Submitter, Inbox) {
    let (sender, receiver) = mpsc::channel(waiting);
    (Submitter(sender), Inbox(receiver))
}
