//! Why an operation did not give what was asked for, in neutral words. Each wire format spells it in its own way.

use ledger::{Code, Micros, Position, Rejection};
use store::StoreError;

use crate::limit::Standing;

/// Why there is no answer. The texts are for callers, save [`Problem::Internal`]'s, which is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The request can't be understood; nothing was recorded.
    BadRequest {
        /// The field or parameter that is wrong, if it is one.
        field: Option<String>,
        /// What is wrong with it.
        detail: String,
    },
    /// The path is known, the method is not.
    MethodNotAllowed {
        /// The methods that are, as `Allow` lists them.
        allow: String,
    },
    /// The body is of a media type that this endpoint does not read.
    UnsupportedMediaType,
    /// No credentials, or none that work. Why is never said.
    Unauthorized,
    /// The credentials work, but not for this.
    Forbidden {
        /// The scope that is missing, if that is why.
        scope: Option<&'static str>,
        /// What is missing.
        detail: String,
    },
    /// There is no such thing, or the caller may not know of it.
    NotFound {
        /// What was asked for: `customer`, `account`, ...
        what: &'static str,
        /// A sentence about it.
        detail: String,
    },
    /// The request contradicts what is there; nothing was recorded.
    Conflict {
        /// A word for it.
        code: &'static str,
        /// What to do.
        detail: String,
    },
    /// The ledger refused the command, and recorded that.
    Rejected(Box<Refusal>),
    /// The request holds too much.
    TooLarge {
        /// What there was too much of: a plural, such as `bytes of body`.
        what: &'static str,
        /// How much of it there may be.
        limit: usize,
    },
    /// The key asked too often.
    RateLimited(Standing),
    /// The book is not as new as the reader asked for.
    PositionNotReached {
        /// What was asked for.
        wanted: Position,
        /// Where the book is.
        reached: Position,
    },
    /// Not now; the same request may be sent again.
    Unavailable {
        /// After how many seconds.
        retry_after: u32,
        /// What is the matter.
        detail: String,
    },
    /// A value can't be computed in the currency asked for.
    ValuationUnavailable {
        /// Why, naming the currency.
        detail: String,
    },
    /// Something is wrong here. The detail is for the log, never for the caller.
    Internal {
        /// What happened.
        detail: String,
    },
}

/// A recorded refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code, and where.
    pub rejection: Rejection,
    /// The position of the refused command.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// Whether this was recorded before, under the same key.
    pub replayed: bool,
    /// Whether what is missing is what the request is addressed to, rather than something that it mentions.
    pub of_subject: bool,
}

impl Problem {
    /// A request that can't be understood because of `field`.
    pub fn bad(field: &str, detail: impl Into<String>) -> Self {
        Self::BadRequest {
            field: Some(field.to_owned()),
            detail: detail.into(),
        }
    }

    /// No such thing, or none that the caller sees.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::NotFound {
            what,
            detail: format!("There is no such {what} that this key can see; check the id."),
        }
    }

    /// A missing scope.
    #[must_use]
    pub fn missing_scope(scope: &'static str) -> Self {
        Self::Forbidden {
            scope: Some(scope),
            detail: format!("This key lacks the scope `{scope}`; use one that has it."),
        }
    }

    /// A key that was used with another request, at `position`.
    #[must_use]
    pub fn idempotency_conflict(position: Position) -> Self {
        Self::Conflict {
            code: Code::IdempotencyConflict.as_str(),
            detail: format!(
                "{} The first one is at position {position}.",
                Code::IdempotencyConflict.cure()
            ),
        }
    }

    /// A bug or a broken invariant, for the log.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::Internal {
            detail: detail.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Busy | StoreError::UnknownFate => Self::Unavailable {
                retry_after: 1,
                detail,
            },
            StoreError::Marked(_) | StoreError::NoSpace => Self::Unavailable {
                retry_after: 30,
                detail,
            },
            StoreError::Closed(_) => Self::Unavailable {
                retry_after: 5,
                // What closed it is for the log; the caller only needs to know that it is.
                detail: "the server is closing or stopped taking requests; send the same request again"
                    .to_owned(),
            },
            StoreError::TooLarge { limit } => Self::TooLarge {
                what: "bytes of one record",
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            },
            StoreError::PositionNotReached { wanted, reached } => {
                Self::PositionNotReached { wanted, reached }
            }
            StoreError::ClockAhead
            | StoreError::NoSuchBook(_)
            | StoreError::NotNext { .. }
            | StoreError::Corrupt(_) => Self::Internal { detail },
        }
    }
}
