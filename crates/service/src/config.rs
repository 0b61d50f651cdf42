//! Settings of the service. What a wire format can be told is the format's own business.

use serde::{Deserialize, Serialize};

/// The most that a setting in seconds may be: a day.
pub(crate) const SECONDS_MAX: u32 = 86_400;
/// The most that a size or number may be: places in a body are counted by 31 bits.
const SIZE_MAX: usize = 1 << 30;

/// Settings of the service; every one has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a signed token works, in seconds: 1 ..= 86,400. Default 3,600.
    pub token_lifetime_seconds: u32,
    /// The largest body of a request, in bytes. Default 1 MiB.
    pub body_bytes: usize,
    /// The largest body of a batch of transactions, in bytes. Default 16 MiB.
    pub batch_body_bytes: usize,
    /// The most transactions of a batch. Default 10,000.
    pub batch_items: usize,
    /// The most postings of one transaction. Default 1,000.
    pub postings: usize,
    /// After how many seconds a request is given up. Default 10.
    pub request_seconds: u32,
    /// The most items of a page of a list. Default 1,000.
    pub page_items: usize,
    /// The most connections at once. Default 16,384.
    pub connections: usize,
    /// The most connections at once from one address; 0 is without end. Default 0.
    pub connections_per_address: usize,
    /// For how many seconds a connection may be idle between requests. Default 75.
    pub idle_seconds: u32,
    /// For how many seconds the rest of a request's head may take to arrive. Default 10.
    pub head_seconds: u32,
    /// For how many seconds an answer that a client does not take is kept. Default 60.
    pub answer_seconds: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_lifetime_seconds: 3600,
            body_bytes: 1 << 20,
            batch_body_bytes: 16 << 20,
            batch_items: 10_000,
            postings: 1_000,
            request_seconds: 10,
            page_items: 1_000,
            connections: 16_384,
            connections_per_address: 0,
            idle_seconds: 75,
            head_seconds: 10,
            answer_seconds: 60,
        }
    }
}

impl Config {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A text that names the setting and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let seconds = [
            ("token_lifetime_seconds", self.token_lifetime_seconds),
            ("request_seconds", self.request_seconds),
            ("idle_seconds", self.idle_seconds),
            ("head_seconds", self.head_seconds),
            ("answer_seconds", self.answer_seconds),
        ];
        let wrong = |(_, value): &(&str, u32)| !(1..=SECONDS_MAX).contains(value);
        if let Some((name, _)) = seconds.into_iter().find(wrong) {
            return Err(format!("{name} must be from 1 to {SECONDS_MAX}"));
        }
        let sizes = [
            ("body_bytes", self.body_bytes),
            ("batch_body_bytes", self.batch_body_bytes),
            ("batch_items", self.batch_items),
            ("postings", self.postings),
            ("page_items", self.page_items),
            ("connections", self.connections),
        ];
        match sizes.into_iter().find(|(_, size)| !(1..=SIZE_MAX).contains(size)) {
            Some((name, _)) => Err(format!("{name} must be from 1 to {SIZE_MAX}")),
            None => Ok(()),
        }
    }
}
