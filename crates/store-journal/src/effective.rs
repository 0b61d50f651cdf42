//! Balances by effective time: what entries whose effective time differs from their recorded time change about them.
//!
//! Such entries of one balance are kept in the order of recording. Every aligned block of 16ᵏ × 32 of them is also
//! sorted by effective time, with prefix sums. "Recorded at or before R, effective at or before E" is then at most 15
//! searches a level and a walk over less than 32.

use ledger::Micros;
use serde::{Deserialize, Serialize};

const LEAF: usize = 32;
const FAN: usize = 16;

/// One entry that counts for another time than it was recorded at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Deviation {
    /// When it was recorded.
    pub(crate) recorded_at: Micros,
    /// When it counts.
    pub(crate) effective_at: Micros,
    /// What it adds to `settled`, in minor units.
    pub(crate) settled: i128,
}

/// A block, sorted by effective time: each with the sum up to and with it.
#[derive(Clone, Debug, Default)]
struct Block(Vec<(Micros, i128)>);

impl Block {
    fn of(entries: &[Deviation]) -> Self {
        let mut sorted: Vec<_> = entries
            .iter()
            .map(|entry| (entry.effective_at, entry.settled))
            .collect();
        sorted.sort_unstable_by_key(|(at, _)| *at);
        let mut sum = 0i128;
        for (_, settled) in &mut sorted {
            // Any sum of entries lies between the counters' largest, both ways.
            sum += *settled;
            *settled = sum;
        }
        Self(sorted)
    }

    fn up_to(&self, at: Micros) -> i128 {
        let count = self.0.partition_point(|(effective, _)| *effective <= at);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// The deviating entries of one balance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deviations {
    entries: Vec<Deviation>,
    /// Level k holds the whole blocks of `LEAF * FAN^k`.
    levels: Vec<Vec<Block>>,
}

impl Deviations {
    /// Those that were saved.
    pub(crate) fn from_entries(entries: Vec<Deviation>) -> Self {
        let mut all = Self::default();
        entries.into_iter().for_each(|entry| all.push(entry));
        all
    }

    /// All, in the order of recording.
    pub(crate) fn entries(&self) -> &[Deviation] {
        &self.entries
    }

    /// Adds one, recorded at or after those before.
    pub(crate) fn push(&mut self, entry: Deviation) {
        self.entries.push(entry);
        let mut size = LEAF;
        let mut level = 0;
        while self.entries.len().is_multiple_of(size) {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(Block::of(&self.entries[self.entries.len() - size..]));
            size *= FAN;
            level += 1;
        }
    }

    /// The sum of what was recorded at or before `recorded` and counts at or before `effective`.
    fn sum(&self, recorded: Micros, effective: Micros) -> i128 {
        let end = self
            .entries
            .partition_point(|entry| entry.recorded_at <= recorded);
        let mut at = 0;
        let mut sum = 0i128;
        // The largest whole blocks first, then smaller ones, then single entries.
        for (level, blocks) in self.levels.iter().enumerate().rev() {
            let size = LEAF * FAN.pow(u32::try_from(level).expect("few levels"));
            while at + size <= end && at.is_multiple_of(size) {
                sum += blocks[at / size].up_to(effective);
                at += size;
            }
        }
        let rest = self.entries[at..end]
            .iter()
            .filter(|entry| entry.effective_at <= effective);
        sum + rest.map(|entry| entry.settled).sum::<i128>()
    }

    /// What counted at `effective` as known at `recorded`, given `settled` as recorded at the earlier of the two.
    pub(crate) fn corrected(&self, settled: i128, recorded: Micros, effective: Micros) -> i128 {
        let base = recorded.min(effective);
        // Out with what was recorded by then but deviates, in with what counts by then whenever it was recorded. The
        // result is a difference of counters and fits; a step on the way may not, so the steps wrap.
        settled
            .wrapping_sub(self.sum(base, Micros::MAX))
            .wrapping_add(self.sum(recorded, effective))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_walk_over_all(
            steps in prop::collection::vec((0i64..3, 0i64..1000, -50i128..50), 0..1200),
            asked in prop::collection::vec((-5i64..1500, -5i64..1100), 20),
        ) {
            let mut now = 0;
            let mut all = Deviations::default();
            for (later, effective, settled) in steps {
                now += later;
                all.push(Deviation { recorded_at: Micros(now), effective_at: Micros(effective), settled });
            }
            for (recorded, effective) in asked {
                let walked: i128 = all
                    .entries()
                    .iter()
                    .filter(|entry| entry.recorded_at.0 <= recorded && entry.effective_at.0 <= effective)
                    .map(|entry| entry.settled)
                    .sum();
                prop_assert_eq!(all.sum(Micros(recorded), Micros(effective)), walked);
            }
        }
    }
}
