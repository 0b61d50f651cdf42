//! Counters of what happened that no single caller was told in full. Plain atomics: whoever exports them reads them.

use ledger::Code;
use store::meter::{Counter, Gauge, Histogram};
use store::{Outcome, StoreError};

/// Upper ends of the buckets of a commit's time, in µs.
const MICROS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Counters since the start.
#[derive(Debug)]
pub struct Metrics {
    /// Commands that were recorded, refusals among them.
    pub commands: Counter,
    /// Commands that were answered from their first recording.
    pub replays: Counter,
    /// Commands under a key that was used with another request.
    pub conflicts: Counter,
    /// Commands that the store did not take, or whose fate is not known.
    pub store_errors: Counter,
    /// Commands that were handed to the store and are not answered yet.
    pub in_flight: Gauge,
    /// From handing commands to the store until they are durable, in µs.
    pub commits: Histogram,
    /// Balances in an asset that a wire format can't name, left out of an answer.
    pub balances_left_out: Counter,
    /// Negative balances that a wire format can't spell, shown as zero.
    pub balances_clamped: Counter,
    /// Requests refused because a key asked too often.
    pub rate_limited: Counter,
    /// Requests refused for their credentials.
    pub unauthorized: Counter,
    /// Answers that hid an internal error.
    pub internal_errors: Counter,
    /// Holds whose expiry this server recorded.
    pub holds_expired: Counter,
    /// Refusals of the books, in the order of [`Code::ALL`].
    rejections: [Counter; Code::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            commands: Counter::default(),
            replays: Counter::default(),
            conflicts: Counter::default(),
            store_errors: Counter::default(),
            in_flight: Gauge::default(),
            commits: Histogram::new(MICROS),
            balances_left_out: Counter::default(),
            balances_clamped: Counter::default(),
            rate_limited: Counter::default(),
            unauthorized: Counter::default(),
            internal_errors: Counter::default(),
            holds_expired: Counter::default(),
            rejections: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl Metrics {
    /// How often the books refused something for the first time, by why.
    pub fn rejections(&self) -> impl Iterator<Item = (Code, u64)> + '_ {
        let counts = self.rejections.iter().map(Counter::get);
        Code::ALL.iter().copied().zip(counts)
    }

    /// Counts what the store answered to a command.
    pub(crate) fn answered(&self, answer: &Result<Outcome, StoreError>) {
        match answer {
            Ok(Outcome::Recorded(record)) => {
                self.commands.add_one();
                if let Err(rejection) = &record.outcome
                    && let Some(nth) = Code::ALL.iter().position(|code| *code == rejection.code)
                {
                    self.rejections[nth].add_one();
                }
            }
            Ok(Outcome::Accepted(_)) => self.commands.add_one(),
            Ok(Outcome::Replayed(_)) => self.replays.add_one(),
            Ok(Outcome::Conflict(_)) => self.conflicts.add_one(),
            // Somebody was faster.
            Ok(Outcome::Nothing) => {}
            Err(_) => self.store_errors.add_one(),
        }
    }
}
