//! Counters of what happened that no single caller was told in full. Plain atomics: whoever exports them reads them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
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
}

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
