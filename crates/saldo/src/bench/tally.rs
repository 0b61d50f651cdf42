//! What came back: how often, how fast, and what went wrong.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::wire::Answer;

/// The longest time that is told from longer ones, in µs: more than a request may take.
const LONGEST: u64 = 120_000_000;

/// What was counted.
pub(super) struct Tally {
    /// Successful answers that came before the end.
    pub(super) requests: u64,
    /// Transactions in them that were posted or held.
    pub(super) transactions: u64,
    /// Transactions in them that were refused.
    pub(super) refused: u64,
    /// Of all successful answers, in µs. Those that came after the end are here too, or the slowest would be missing.
    pub(super) latency: Histogram<u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by reason.
    pub(super) failures: BTreeMap<String, u64>,
    /// The first answer that was a problem.
    pub(super) problem: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            transactions: 0,
            refused: 0,
            latency: Histogram::new_with_max(LONGEST, 3)
                .expect("three digits of two minutes are within its bounds"),
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            problem: None,
        }
    }

    /// Counts an answer to a request of so many transactions.
    pub(super) fn answered(
        &mut self,
        answer: &Answer<'_>,
        transactions: u64,
        taken: Duration,
        in_time: bool,
    ) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if !(200..300).contains(&answer.status) {
            self.problem
                .get_or_insert_with(|| String::from_utf8_lossy(answer.body).into_owned());
            return;
        }
        self.latency
            .saturating_record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
        if in_time {
            // In a batch each transaction may be refused by itself.
            let refused = match transactions {
                0 | 1 => 0,
                _ => memchr::memmem::find_iter(answer.body, r#""status":"rejected""#).count() as u64,
            };
            self.requests += 1;
            self.refused += refused;
            self.transactions += transactions - refused.min(transactions);
        }
    }

    /// Counts a request that was not answered, or could not be sent.
    pub(super) fn failed(&mut self, error: &io::Error) {
        *self.failures.entry(error.to_string()).or_default() += 1;
    }

    /// Adds what another counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.transactions += other.transactions;
        self.refused += other.refused;
        self.latency
            .add(&other.latency)
            .expect("both have the same bounds");
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (reason, count) in &other.failures {
            *self.failures.entry(reason.clone()).or_default() += count;
        }
        if self.problem.is_none() {
            self.problem.clone_from(&other.problem);
        }
    }

    /// Whether everything was answered, and with success.
    pub(super) fn clean(&self) -> bool {
        self.failures.is_empty() && self.refused == 0 && self.problem.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_count_for_the_slowest_alone_and_problems_for_nothing() {
        let mut tally = Tally::new();
        let answer = |status, body| Answer { status, body };
        let ms = Duration::from_millis;
        tally.answered(&answer(201, b"{}"), 1, ms(10), true);
        tally.answered(&answer(201, b"{}"), 1, ms(500), false);
        tally.answered(&answer(503, b"busy"), 1, ms(1), true);
        let batch = br#"{"results":[{"id":"a","status":"rejected"},{"id":"b","status":"posted"}]}"#;
        tally.answered(&answer(200, batch), 2, ms(20), true);
        tally.failed(&io::Error::from(io::ErrorKind::UnexpectedEof));
        let mut whole = Tally::new();
        whole.add(&tally);
        whole.add(&tally);
        assert_eq!((whole.requests, whole.transactions, whole.refused), (4, 4, 2));
        assert_eq!(whole.latency.len(), 6);
        assert!((499_000..=501_000).contains(&whole.latency.max()));
        assert_eq!(whole.statuses, BTreeMap::from([(200, 2), (201, 4), (503, 2)]));
        assert_eq!(whole.failures.values().sum::<u64>(), 2);
        assert_eq!(whole.problem.as_deref(), Some("busy"));
        assert!(!whole.clean() && Tally::new().clean());
    }
}
