//! A submission on its way through the writer: what of it is still to be decided, and the answers so far. Its frame may be full
//! before its end; then it goes on in the next.

use std::collections::VecDeque;

use store::gather::{Asked, Reply, Submission, Wanted};
use store::{Outcome, StoreError};

/// A submission that is being decided.
pub(crate) struct Turn {
    pub(crate) asked: VecDeque<Asked>,
    pub(crate) answers: Vec<Result<Outcome, StoreError>>,
    pub(crate) wanted: Wanted,
    reply: Reply,
}

impl Turn {
    pub(crate) fn new(submission: Submission) -> Self {
        let (asked, wanted, reply) = submission.into_parts();
        Self {
            answers: Vec::with_capacity(asked.len()),
            asked: asked.into(),
            wanted,
            reply,
        }
    }

    pub(crate) fn answer(self) -> (Reply, Vec<Result<Outcome, StoreError>>) {
        (self.reply, self.answers)
    }

    /// Gives this answer to the next that has none; whether all have one now.
    pub(crate) fn skip(&mut self, error: StoreError) -> bool {
        self.asked.pop_front();
        self.answers.push(Err(error));
        self.asked.is_empty()
    }

    /// Gives this answer to all that have none.
    pub(crate) fn refuse(mut self, error: &StoreError) -> (Reply, Vec<Result<Outcome, StoreError>>) {
        self.answers.extend(self.asked.iter().map(|_| Err(error.clone())));
        self.answer()
    }
}
