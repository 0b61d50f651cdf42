//! Why a command ended without having done its work: a text for people.

use std::fmt;

/// What was wrong, where, and what to do.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was being done when `error` came.
    pub(crate) fn while_doing(what: &str, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An operation of the service failed. Its own text for the log is the best one here: whoever reads it runs the server.
impl From<service::Problem> for Failure {
    fn from(problem: service::Problem) -> Self {
        Self(match &problem {
            service::Problem::Internal { detail } => detail.clone(),
            other => dialects::problem::detail(other),
        })
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        Self(error.to_string())
    }
}
