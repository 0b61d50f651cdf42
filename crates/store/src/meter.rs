//! What is counted for operators. Plain atomics, which whoever exports them reads.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// How many of something there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// So many more, until what is given back is dropped.
    #[must_use = "they are gone when it is dropped"]
    pub fn hold(&self, count: u64) -> Held<'_> {
        self.0.fetch_add(count, Ordering::Relaxed);
        Held { gauge: self, count }
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some that a [`Gauge`] counts.
#[derive(Debug)]
pub struct Held<'g> {
    gauge: &'g Gauge,
    count: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// The most buckets of a histogram, that of the largest values included.
const BUCKETS: usize = 20;

/// How often values were how large.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    /// With buckets up to these bounds, in order, each inclusive; at most 19.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() < BUCKETS, "too many bounds");
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// The sum of all values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// Each bound with how many values were above the one before and not above it; last those above all.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds
            .zip(&self.buckets)
            .map(|(bound, bucket)| (bound, bucket.load(Ordering::Relaxed)))
    }
}

/// What a store counts of its own work.
#[derive(Debug)]
pub struct Meter {
    /// How many commands shared a batch: one sync, or one transaction of a database.
    pub batches: Histogram,
    /// Bytes of journal that were written since the start, or 0 where there is no journal.
    pub journal_bytes: Counter,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            batches: Histogram::new(&[
                1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384,
            ]),
            journal_bytes: Counter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 500] {
            histogram.observe(value);
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(Some(1), 2), (Some(10), 2), (None, 2)]);
        assert_eq!(histogram.sum(), 524);
    }

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let gauge = Gauge::default();
        let three = gauge.hold(3);
        drop(gauge.hold(2));
        assert_eq!(gauge.get(), 3);
        drop(three);
        assert_eq!(gauge.get(), 0);
    }
}
