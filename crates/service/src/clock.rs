//! What time it is. Tests hold the clock still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ledger::Micros;

/// A source of the time of day.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// One that moves when it is told to; microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until it is moved.
    #[must_use]
    pub fn manual(at: Micros) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The time, in microseconds since 1970.
    #[must_use]
    pub fn now(&self) -> Micros {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(at) => Micros(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on by `micros`; the machine's stays as it is.
    pub fn advance(&self, micros: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}
