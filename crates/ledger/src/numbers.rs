//! Account numbers by account id, in 11 to 14 bytes an account: of the id a part of its hash alone is kept, since the account has
//! the id and is looked at anyway. So one account among a million is found by one look into a table that is small, then one at the
//! account.

use std::hash::BuildHasher;

use crate::id::{AccountId, AccountNo};

/// Numbers by ids.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Entries, of which at most three quarters are used: 32 bits of the id's hash, then the number and one; zero
    /// is none. Each stands at its home, as far into the table as its hash is among all hashes, or in the next place behind it that was free.
    entries: Vec<u64>,
    used: usize,
    hasher: foldhash::fast::RandomState,
}

/// The fewest entries.
const FEWEST: usize = 8;

impl Numbers {
    /// The account with this id: what `look` gives for its number, and for no other.
    pub(crate) fn find<T>(&self, id: AccountId, look: impl Fn(AccountNo) -> Option<T>) -> Option<T> {
        self.candidates(self.hash(id)).find_map(look)
    }

    /// The number that an account with this id most likely has.
    pub(crate) fn guess(&self, id: AccountId) -> Option<AccountNo> {
        self.candidates(self.hash(id)).next()
    }

    /// Where a look at the id begins, to be fetched ahead.
    pub(crate) fn home(&self, id: AccountId) -> Option<&u64> {
        self.entries.get(self.places(self.hash(id)).next()?)
    }

    /// Adds the number of an id that has none yet.
    pub(crate) fn insert(&mut self, id: AccountId, no: AccountNo) {
        if 4 * (self.used + 1) > 3 * self.entries.len() {
            // They stand nearly in the order of their hashes, so the new table is filled from front to back.
            let larger = (self.entries.len() * 5 / 4).max(FEWEST);
            let entries = std::mem::replace(&mut self.entries, vec![0; larger]);
            entries
                .into_iter()
                .filter(|entry| *entry != 0)
                .for_each(|entry| self.put(entry));
        }
        self.put(u64::from(self.hash(id)) << 32 | (u64::from(no.0) + 1));
        self.used += 1;
    }

    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    fn put(&mut self, entry: u64) {
        let at = self
            .places((entry >> 32) as u32)
            .find(|at| self.entries[*at] == 0)
            .expect("a quarter of them are free");
        self.entries[at] = entry;
    }

    fn hash(&self, id: AccountId) -> u32 {
        // The upper half.
        (self.hasher.hash_one(id) >> 32) as u32
    }

    /// The numbers of which the ids may have this hash.
    fn candidates(&self, hash: u32) -> impl Iterator<Item = AccountNo> {
        self.places(hash)
            .map(|at| self.entries[at])
            .take_while(|entry| *entry != 0)
            .filter(move |entry| (entry >> 32) as u32 == hash)
            .map(|entry| AccountNo(entry as u32 - 1))
    }

    /// All places, from the home on.
    fn places(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let len = self.entries.len();
        let home = ((u64::from(hash) * len as u64) >> 32) as usize;
        (home..len).chain(0..home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids as servers make them: most of their bits are alike.
    fn id(no: u32) -> AccountId {
        AccountId(0x0190_163d_8694_739b << 64 | u128::from(no) << 7)
    }

    #[test]
    fn numbers_are_found_by_their_ids_and_others_are_not() {
        const MANY: u32 = 5_000;
        let mut numbers = Numbers::default();
        let find =
            |numbers: &Numbers, no: u32| numbers.find(id(no), |found| (found.0 == no).then_some(found));
        assert_eq!(find(&numbers, 0), None);
        for no in 0..MANY {
            numbers.insert(id(no), AccountNo(no));
            assert_eq!(find(&numbers, no / 2), Some(AccountNo(no / 2)));
            assert_eq!(find(&numbers, no + 1), None);
        }
        for no in 0..MANY {
            assert_eq!(find(&numbers, no), Some(AccountNo(no)));
        }
        assert!(4 * numbers.used <= 3 * numbers.entries.len());
        let right = (0..MANY).filter(|no| numbers.guess(id(*no)) == Some(AccountNo(*no)));
        assert!(right.count() > 4_990, "nearly all guesses are right");
    }

    #[test]
    fn those_of_one_hash_are_told_apart() {
        let mut numbers = Numbers::default();
        numbers.insert(id(1), AccountNo(7));
        let hash = u64::from(numbers.hash(id(1))) << 32;
        numbers.put(hash | 9);
        numbers.put(hash | 10);
        assert_eq!(
            numbers.find(id(1), |no| (no.0 == 9).then_some(no)),
            Some(AccountNo(9))
        );
        assert_eq!(numbers.find(id(1), |no| (no.0 == 5).then_some(no)), None);
        assert_eq!(numbers.guess(id(1)), Some(AccountNo(7)));
    }
}
