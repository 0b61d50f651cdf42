//! What was verified before: to find it again takes less than to read and hash a secret anew, and every request shows who sends
//! it.
//!
//! It is found by a hash of 128 bits under a key that this process drew, SipHash-2-4: a pseudo-random function (Aumasson and
//! Bernstein, 2012), so that nobody finds a text with the hash of one that they do not know. The texts are not kept.

use ledger::Map;
use parking_lot::RwLock;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

/// At most so much is remembered.
const MOST: usize = 16_384;

/// What was verified, by what was shown.
pub(crate) struct Remembered<T> {
    /// Without randomness for a key, nothing is remembered.
    hasher: Option<SipHasher24>,
    all: RwLock<Map<u128, T>>,
}

/// What somebody showed, hashed.
#[derive(Clone, Copy)]
pub(crate) struct Shown(Option<u128>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        let mut key = [0; 16];
        let drawn = getrandom::fill(&mut key);
        Self {
            hasher: drawn.is_ok().then(|| SipHasher24::new_with_key(&key)),
            all: RwLock::default(),
        }
    }
}

impl<T: Copy> Remembered<T> {
    /// The hash of texts that are shown together.
    pub(crate) fn hash(&self, texts: &[&str]) -> Shown {
        let hashed = self.hasher.map(|mut hasher| {
            for text in texts {
                hasher.write_u64(text.len() as u64);
                hasher.write(text.as_bytes());
            }
            hasher.finish128().as_u128()
        });
        Shown(hashed)
    }

    pub(crate) fn get(&self, shown: Shown) -> Option<T> {
        self.all.read().get(&shown.0?).copied()
    }

    /// Remembers what was verified. Where there is too much, what need not be `kept` is forgotten, or all of it: to verify again
    /// takes microseconds.
    pub(crate) fn put(&self, shown: Shown, verified: T, kept: impl Fn(&T) -> bool) {
        let Some(hash) = shown.0 else { return };
        let mut all = self.all.write();
        if all.len() >= MOST {
            all.retain(|_, verified| kept(verified));
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(hash, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_is_found() {
        let remembered = Remembered::default();
        let pair = remembered.hash(&["key", "secret"]);
        assert_eq!(remembered.get(pair), None);
        remembered.put(pair, 1, |_| true);
        assert_eq!(remembered.get(remembered.hash(&["key", "secret"])), Some(1));
        for other in [
            &["keysecret"][..],
            &["keys", "ecret"],
            &["key", "secreu"],
            &["key"],
        ] {
            assert_eq!(remembered.get(remembered.hash(other)), None);
        }
        let elsewhere = Remembered::<u32>::default();
        assert_ne!(
            elsewhere.hash(&["key"]).0,
            remembered.hash(&["key"]).0,
            "each has a key of its own"
        );
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let remembered = Remembered::default();
        for number in 0..=MOST {
            remembered.put(remembered.hash(&[&number.to_string()]), number, |number| {
                number % 2 == 0
            });
        }
        let all = remembered.all.read().len();
        assert_eq!(all, MOST / 2 + 1);
        for number in 0..=2 * MOST {
            let number = 2 * number;
            remembered.put(remembered.hash(&[&number.to_string()]), number, |_| true);
            assert!(remembered.all.read().len() <= MOST);
        }
    }
}
