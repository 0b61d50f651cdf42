//! The key table: from a seeded hash of a key, id or reference to the records that carry it. A hit is only a
//! candidate, which its record confirms; a miss is certain.
//!
//! The hashes are spread over 4096 shards by their high bits. A shard is one array of 16-byte slots, ordered by hash
//! (then locator), with gaps: a hash's home is its share of the array, and it is found at or a little behind its home.
//! Since the whole array is ordered, a miss ends at the first larger hash, and growing is one sequential sweep. Shards
//! grow by a quarter at 85 % load, each from a start size of its own, so that they never all grow at once.

use std::hash::Hasher;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use parking_lot::RwLock;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::segment::Locator;
use crate::prefetch::{prefetch, prefetch_from};

const SHARD_BITS: u32 = 12;
const SHARDS: usize = 1 << SHARD_BITS;
/// A shard's first size in slots, before its own offset.
const FIRST_SLOTS: u64 = 16;
/// Slots behind the last home, so that what is displaced there has room.
const SLACK: usize = 32;
/// Sizes are kept in parts of a slot, so that shards stay apart from each other through all their growth.
const PART: u64 = 4096;

/// The hash of a key, the same in all versions and on all machines, since runs persist it.
///
/// SipHash-1-3 with the store's secret seed: clients choose the keys, so they must not be able to aim at one shard.
/// `space` tells kinds of keys apart, `book` their owners.
pub fn key_hash<const N: usize>(seed: u64, space: u8, book: u64, bytes: &[u8; N]) -> u64 {
    const { assert!(N <= 55, "a key is short") };
    // The second half of the key only separates this use of the seed from others.
    let mut hasher = SipHasher13::new_with_keys(seed, u64::from_le_bytes(*b"saldokey"));
    // Fixed-size prefixes come first, so no two inputs concatenate to the same bytes. All at once: what is written in
    // pieces that are no whole words costs several times as much.
    let mut all = [0; 64];
    all[0] = space;
    all[1..9].copy_from_slice(&book.to_le_bytes());
    all[9..9 + N].copy_from_slice(bytes);
    hasher.write(&all[..9 + N]);
    hasher.finish()
}

/// An occupied slot: hash, locator. A locator is never zero, so a slot of zeros is empty.
type Slot = [u64; 2];

const EMPTY: Slot = [0, 0];

/// A multi-map from hashes to locators. Several threads change it, each shard under its lock.
///
/// Many records under **one** hash make each insertion and lookup of it walk all of them. Keys that repeat without
/// limit are chained in their records instead, the newest alone being here: see [`KeyTable::replace`].
pub struct KeyTable {
    shards: Box<[RwLock<Shard>]>,
    /// Of each shard.
    hints: Box<[Hint]>,
}

/// Where a shard's slots are, for whoever wants them fetched and nothing else: what is fetched ahead must not wait for a lock.
#[derive(Default)]
struct Hint {
    slots: AtomicPtr<Slot>,
    homes: AtomicU64,
}

impl Hint {
    /// Says where they are now.
    fn follow(&self, shard: &mut Shard) {
        self.slots.store(shard.slots.as_mut_ptr(), Ordering::Relaxed);
        self.homes.store(shard.homes(), Ordering::Relaxed);
    }

    /// The home of a hash.
    fn home(&self, hash: u64) -> *mut Slot {
        let home = home(hash, self.homes.load(Ordering::Relaxed));
        self.slots.load(Ordering::Relaxed).wrapping_add(home)
    }
}

impl Default for KeyTable {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyTable {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|index| RwLock::new(Shard::new(index))).collect(),
            hints: (0..SHARDS).map(|_| Hint::default()).collect(),
        }
    }

    /// Adds a pair; answers whether it was new.
    ///
    /// # Panics
    ///
    /// If the locator is zero, where no record can be.
    pub fn insert(&self, hash: u64, locator: Locator) -> bool {
        let slot = [hash, check(locator)];
        self.change(shard_of(hash), |shard| shard.insert(slot))
    }

    /// Puts a locator in another's place; answers whether that one was there. If not, nothing changes.
    ///
    /// # Panics
    ///
    /// If the new locator is zero, where no record can be.
    pub fn replace(&self, hash: u64, old: Locator, new: Locator) -> bool {
        let new = [hash, check(new)];
        self.change(shard_of(hash), |shard| {
            let removed = shard.remove([hash, old.get()]);
            if removed {
                shard.insert(new);
            }
            removed
        })
    }

    /// Changes a shard.
    fn change<T>(&self, index: usize, change: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shard = self.shards[index].write();
        let changed = change(&mut shard);
        self.hints[index].follow(&mut shard);
        changed
    }

    /// Has brought into the processor's caches what [`KeyTable::has`] would look at now, most likely.
    pub(crate) fn prefetch(&self, hash: u64) {
        /// Seldom is a hash further from its home.
        const NEAR: usize = 8;
        let index = shard_of(hash);
        prefetch(&self.shards[index]);
        prefetch_from::<_, NEAR>(self.hints[index].home(hash));
    }

    /// Whether any record may carry what was hashed.
    pub fn has(&self, hash: u64) -> bool {
        self.shards[shard_of(hash)].read().has(hash)
    }

    /// The records that may carry what was hashed, oldest first.
    pub fn candidates(&self, hash: u64) -> SmallVec<[Locator; 2]> {
        self.shards[shard_of(hash)].read().candidates(hash)
    }

    /// Adds the pairs of several runs, or of parts of them, each ascending: one shard after the other, in one sweep each,
    /// so the more at once the faster.
    ///
    /// # Panics
    ///
    /// If a run is not ascending, or a locator is zero, where no record can be.
    pub fn load_runs(&self, runs: &[&[(u64, Locator)]]) {
        let mut rests = runs.to_vec();
        let mut slots = Vec::new();
        let first = runs
            .iter()
            .filter_map(|run| run.first())
            .map(|pair| shard_of(pair.0))
            .min();
        for index in first.unwrap_or(SHARDS)..SHARDS {
            for rest in &mut rests {
                let end = rest.iter().position(|pair| shard_of(pair.0) != index);
                let (group, others) = rest.split_at(end.unwrap_or(rest.len()));
                *rest = others;
                slots.extend(group.iter().map(|&(hash, locator)| [hash, check(locator)]));
            }
            self.change(index, |shard| shard.merge(&mut slots));
            slots.clear();
            if rests.iter().all(|rest| rest.is_empty()) {
                break;
            }
        }
        assert!(rests.iter().all(|rest| rest.is_empty()), "runs are ascending");
    }

    /// How many pairs there are.
    pub fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().entries).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much memory the table has.
    pub fn memory_bytes(&self) -> u64 {
        let slots: usize = self
            .shards
            .iter()
            .map(|shard| shard.read().slots.capacity())
            .sum();
        (slots * size_of::<Slot>() + size_of_val(&*self.shards) + size_of_val(&*self.hints)) as u64
    }
}

fn shard_of(hash: u64) -> usize {
    // Twelve bits are below the number of shards.
    (hash >> (64 - SHARD_BITS)) as usize
}

fn check(locator: Locator) -> u64 {
    assert_ne!(locator.get(), 0, "no record is at address zero");
    locator.get()
}

/// Part of the table. The last slot is always empty, so that walks end.
struct Shard {
    slots: Vec<Slot>,
    entries: u64,
    /// The number of homes, in parts of a slot.
    size: u64,
}

impl Shard {
    fn new(index: usize) -> Self {
        // From 1 to 1.25 times the first size: one step of growth, spread evenly over the shards.
        let size = FIRST_SLOTS * PART + index as u64 * FIRST_SLOTS * PART / (4 * SHARDS as u64);
        Self {
            slots: Vec::new(),
            entries: 0,
            size,
        }
    }

    fn homes(&self) -> u64 {
        self.size / PART
    }

    fn home(&self, hash: u64) -> usize {
        home(hash, self.homes())
    }

    /// The first slot, from the home on, that is empty or not below the wanted one.
    fn seek(&self, wanted: Slot) -> usize {
        let mut at = self.home(wanted[0]);
        while self.slots[at] != EMPTY && self.slots[at] < wanted {
            at += 1;
        }
        at
    }

    fn insert(&mut self, slot: Slot) -> bool {
        if self.slots.is_empty() || (self.entries + 1) * 100 > self.homes() * 85 {
            self.grow(self.entries + 1);
        }
        let at = self.seek(slot);
        if self.slots[at] == slot {
            return false;
        }
        let gap = at
            + self.slots[at..]
                .iter()
                .position(|slot| *slot == EMPTY)
                .expect("the last slot is empty");
        self.slots.copy_within(at..gap, at + 1);
        self.slots[at] = slot;
        self.keep_last_empty(gap);
        self.entries += 1;
        true
    }

    fn remove(&mut self, slot: Slot) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let at = self.seek(slot);
        if self.slots[at] != slot {
            return false;
        }
        // What follows moves back until something is at its home.
        let mut end = at + 1;
        while self.slots[end] != EMPTY && self.home(self.slots[end][0]) < end {
            end += 1;
        }
        self.slots.copy_within(at + 1..end, at);
        self.slots[end - 1] = EMPTY;
        self.entries -= 1;
        true
    }

    fn has(&self, hash: u64) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let found = self.slots[self.seek([hash, 0])];
        found[0] == hash && found != EMPTY
    }

    fn candidates(&self, hash: u64) -> SmallVec<[Locator; 2]> {
        if self.slots.is_empty() {
            return SmallVec::new();
        }
        let at = self.seek([hash, 0]);
        let same = self.slots[at..]
            .iter()
            .take_while(|slot| slot[0] == hash && **slot != EMPTY);
        same.map(|slot| Locator::new(slot[1])).collect()
    }

    /// Adds many at once in one sweep. The vector is scratch.
    fn merge(&mut self, slots: &mut Vec<Slot>) {
        if slots.len() as u64 * 8 < self.entries {
            slots.iter().for_each(|slot| _ = self.insert(*slot));
            return;
        }
        slots.extend(self.slots.iter().filter(|slot| **slot != EMPTY));
        // A stable sort finds the ascending pieces that these are and merges them.
        slots.sort();
        slots.dedup();
        self.entries = slots.len() as u64;
        self.slots.fill(EMPTY);
        self.resize(self.entries);
        self.lay_out(slots.iter().copied());
    }

    /// Takes the next size at which so many entries fit, and moves all in one sweep.
    fn grow(&mut self, entries: u64) {
        let old = std::mem::take(&mut self.slots);
        self.resize(entries);
        self.lay_out(old.into_iter().filter(|slot| *slot != EMPTY));
    }

    /// Gives the array a size for so many entries; what was in it is lost if it changes.
    fn resize(&mut self, entries: u64) {
        while entries * 100 > self.homes() * 85 {
            self.size += self.size / 4;
        }
        let length = usize::try_from(self.homes()).expect("a shard fits into memory") + SLACK;
        if self.slots.len() < length {
            // `vec!` would leave the pages to be mapped twice, by the first read and again by the first write, which
            // costs more than all else when a large table is loaded.
            self.slots = Vec::with_capacity(length);
            self.slots.resize(length, EMPTY);
        }
    }

    /// Puts ascending slots into an empty array.
    fn lay_out(&mut self, slots: impl Iterator<Item = Slot>) {
        let homes = self.homes();
        let mut next = 0;
        for slot in slots {
            let at = home(slot[0], homes).max(next);
            self.keep_last_empty(at);
            self.slots[at] = slot;
            next = at + 1;
        }
    }

    fn keep_last_empty(&mut self, used: usize) {
        if used + 1 >= self.slots.len() {
            // Exactly, since `resize` alone would double a large shard.
            self.slots.reserve_exact(SLACK);
            self.slots.resize(used + 1 + SLACK, EMPTY);
        }
    }
}

/// A hash's home among so many: its share of the range, so that homes ascend with hashes.
fn home(hash: u64, homes: u64) -> usize {
    let within = hash << SHARD_BITS;
    // Below `homes`, which fits into memory.
    ((u128::from(within) * u128::from(homes)) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn mix(i: u64) -> u64 {
        key_hash(1, 2, 3, &i.to_le_bytes())
    }

    #[test]
    fn the_hash_is_fixed() {
        // Runs on disk hold these hashes: if this fails, all of them are useless.
        // The numbers are from another implementation of SipHash-1-3.
        assert_eq!(key_hash(0, 0, 0, b""), 598_074_304_807_303_390);
        assert_eq!(key_hash(1, 2, 3, b"key"), 7_195_459_425_012_620_601);
        assert_ne!(key_hash(1, 2, 3, b"key"), key_hash(2, 2, 3, b"key"));
        assert_ne!(key_hash(1, 2, 3, b"key"), key_hash(1, 3, 3, b"key"));
        assert_ne!(key_hash(1, 2, 3, b"key"), key_hash(1, 2, 4, b"key"));
    }

    #[test]
    fn many_are_found_and_others_are_not() {
        let table = KeyTable::new();
        for i in 1..=200_000 {
            assert!(table.insert(mix(i), Locator::new(i)));
        }
        assert_eq!(table.len(), 200_000);
        for i in 1..=200_000 {
            assert_eq!(table.candidates(mix(i))[..], [Locator::new(i)]);
            assert!(table.candidates(mix(i + 1_000_000)).is_empty());
        }
        for hash in (1..=200_000).map(mix) {
            let index = shard_of(hash);
            let shard = table.shards[index].read();
            let home = &raw const shard.slots[shard.home(hash)];
            assert_eq!(
                table.hints[index].home(hash).cast_const(),
                home,
                "hints follow growth"
            );
        }
        assert!(!table.insert(mix(5), Locator::new(5)), "the same again");
        assert!(table.memory_bytes() < 200_000 * 32 + (4 << 20));
    }

    #[test]
    fn shards_do_not_grow_together() {
        let table = KeyTable::new();
        let (mut grown_at, mut capacities) = (Vec::new(), vec![0; SHARDS]);
        for round in 1..=200_u64 {
            for shard in 0..SHARDS as u64 {
                let hash = (shard << 52) | (mix(round * 5000 + shard) >> 12);
                table.insert(hash, Locator::new(round));
                let homes = table.shards[shard as usize].read().homes();
                if std::mem::replace(&mut capacities[shard as usize], homes) != homes {
                    grown_at.push(round);
                }
            }
        }
        // Perfectly even shards are the worst case: of each step's 4096 growths, no round sees more than a third.
        for round in 60..=200 {
            let grown = grown_at.iter().filter(|at| **at == round).count();
            assert!(grown < SHARDS / 3, "round {round}: {grown}");
        }
    }

    #[test]
    fn loading_equals_inserting() {
        let mut pairs: Vec<_> = (1..50_000).map(|i| (mix(i % 49_000), Locator::new(i))).collect();
        let one_by_one = KeyTable::new();
        for (hash, locator) in &pairs {
            one_by_one.insert(*hash, *locator);
        }
        pairs.sort_unstable();
        let loaded = KeyTable::new();
        let parts: Vec<&[(u64, Locator)]> = pairs.chunks(7000).collect();
        loaded.load_runs(&parts);
        loaded.load_runs(&[&pairs[..1000], &[], &pairs[20_000..30_000]]);
        loaded.load_runs(&[]);
        assert_eq!(loaded.len(), one_by_one.len());
        for i in 0..49_001 {
            assert_eq!(loaded.candidates(mix(i)), one_by_one.candidates(mix(i)));
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64, u64),
        Replace(u64, u64, u64),
    }

    /// Few hashes at both ends and around of few shards, so that they pile up and run over the end.
    fn hashes() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..4_u64,
            (0..400_u64).prop_map(|i| u64::MAX - i),
            (0..40_u64).prop_map(|i| (1 << 52) - 20 + i),
            any::<u64>().prop_map(|i| i >> 12),
        ]
    }

    fn ops() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (hashes(), 1..20_u64).prop_map(|(h, l)| Op::Insert(h, l)),
            1 => (hashes(), 1..20_u64, 1..20_u64).prop_map(|(h, a, b)| Op::Replace(h, a, b)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn behaves_like_a_set(ops in prop::collection::vec(ops(), 1..1500)) {
            let table = KeyTable::new();
            let mut model = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Insert(hash, at) => {
                        prop_assert_eq!(table.insert(hash, Locator::new(at)), model.insert((hash, at)));
                    }
                    Op::Replace(hash, old, new) => {
                        let there = model.remove(&(hash, old));
                        if there {
                            model.insert((hash, new));
                        }
                        prop_assert_eq!(table.replace(hash, Locator::new(old), Locator::new(new)), there);
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len() as u64);
            let hashes: BTreeSet<u64> = model.iter().map(|pair| pair.0).collect();
            for hash in hashes {
                let found: Vec<u64> = table.candidates(hash).iter().map(|at| at.get()).collect();
                let expected: Vec<u64> = model.range((hash, 0)..=(hash, u64::MAX)).map(|pair| pair.1).collect();
                prop_assert_eq!(found, expected);
                let (below, above) = (hash.wrapping_sub(1), hash.wrapping_add(1));
                for other in [below, above] {
                    let expected = model.range((other, 0)..=(other, u64::MAX)).count();
                    prop_assert_eq!(table.candidates(other).len(), expected);
                    prop_assert_eq!(table.has(other), expected > 0);
                }
            }
        }
    }
}
