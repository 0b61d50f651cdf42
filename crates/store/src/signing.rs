//! The keys that sign tokens: beside the books, never in them. The newest signs; those before it are known until no token
//! that they signed works any more.
//!
//! As bytes, the same in every store, so that damage is told from another key:
//!
//! ```text
//! 0   8  magic "SALDOSGN"
//! 8   2  version, 1; numbers are little-endian
//! 10  2  how many keys, the oldest first
//! 12     each: id 8, secret 32, when it was made 8, when it ends 8 (the highest number: it does not)
//!     8  the first bytes of the BLAKE3 of all before
//! ```

use std::fmt;

use ledger::Micros;

/// The most that are kept at once.
pub const SIGNING_KEYS_MAX: usize = 16;

const MAGIC: &[u8; 8] = b"SALDOSGN";
const VERSION: u16 = 1;
const HEAD: usize = 12;
const KEY: usize = 56;
const SUM: usize = 8;

/// A key that signs tokens, or did.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// What tokens call it; random.
    pub id: u64,
    /// The secret.
    pub secret: [u8; 32],
    /// When it was made.
    pub made_at: Micros,
    /// From when on none of its tokens is accepted; `None` for the one that signs.
    pub ends_at: Option<Micros>,
}

/// Never says the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("made_at", &self.made_at)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new one, of random bytes.
    #[must_use]
    pub fn new(id: [u8; 8], secret: [u8; 32], made_at: Micros) -> Self {
        Self {
            id: u64::from_be_bytes(id),
            secret,
            made_at,
            ends_at: None,
        }
    }
}

/// All keys of a store, the oldest first: at least one, and the last one signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// Those of a new store.
    #[must_use]
    pub fn of(first: SigningKey) -> Self {
        Self(vec![first])
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[SigningKey] {
        &self.0
    }

    /// The one that signs.
    #[must_use]
    pub fn newest(&self) -> &SigningKey {
        self.0.last().expect("there is at least one")
    }

    /// These with a new one, which signs from now on. The one that did ends at `until`; those that have ended are dropped, and
    /// without `until` all that were there. `None` when too many are left.
    #[must_use]
    pub fn rotated(&self, new: SigningKey, until: Option<Micros>) -> Option<Self> {
        let mut keys = Vec::new();
        if let Some(until) = until {
            let now = new.made_at;
            keys.extend(self.0.iter().cloned());
            keys.iter_mut().for_each(|key| {
                key.ends_at = key.ends_at.or(Some(until));
            });
            keys.retain(|key| key.ends_at > Some(now));
        }
        keys.push(new);
        (keys.len() <= SIGNING_KEYS_MAX).then_some(Self(keys))
    }

    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u16::try_from(self.0.len()).expect("they are few");
        let mut bytes = Vec::with_capacity(HEAD + self.0.len() * KEY + SUM);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        for key in &self.0 {
            bytes.extend_from_slice(&key.id.to_le_bytes());
            bytes.extend_from_slice(&key.secret);
            bytes.extend_from_slice(&key.made_at.0.to_le_bytes());
            bytes.extend_from_slice(&key.ends_at.unwrap_or(Micros::MAX).0.to_le_bytes());
        }
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(&sum.as_bytes()[..SUM]);
        bytes
    }

    /// The keys of bytes that were kept.
    ///
    /// # Errors
    /// What is wrong with them, behind "the signing keys".
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        const DAMAGED: &str = "are damaged: they don't match their checksum";
        if bytes.len() >= HEAD && bytes.starts_with(MAGIC) && bytes[8..10] != VERSION.to_le_bytes() {
            return Err("are of a version that this program does not know");
        }
        let (body, sum) = bytes.split_last_chunk::<SUM>().ok_or(DAMAGED)?;
        if blake3::hash(body).as_bytes()[..SUM] != *sum || !body.starts_with(MAGIC) {
            return Err(DAMAGED);
        }
        let keys = body.get(HEAD..).unwrap_or_default();
        let keys: Vec<_> = keys.chunks_exact(KEY).filter_map(take).collect();
        let one_signs = keys.split_last().is_some_and(|(last, before)| {
            last.ends_at.is_none() && before.iter().all(|key| key.ends_at.is_some())
        });
        match one_signs && HEAD + keys.len() * KEY == body.len() {
            true => Ok(Self(keys)),
            false => Err(DAMAGED),
        }
    }
}

fn take(bytes: &[u8]) -> Option<SigningKey> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    let (made_at, rest) = rest.split_first_chunk()?;
    let ends_at = Micros(i64::from_le_bytes(rest.try_into().ok()?));
    Some(SigningKey {
        id: u64::from_le_bytes(*id),
        secret: *secret,
        made_at: Micros(i64::from_le_bytes(*made_at)),
        ends_at: (ends_at != Micros::MAX).then_some(ends_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(nth: u8, made_at: i64) -> SigningKey {
        SigningKey::new([nth; 8], [nth; 32], Micros(made_at))
    }

    fn ids(keys: &SigningKeys) -> Vec<u8> {
        keys.all().iter().map(|key| key.secret[0]).collect()
    }

    #[test]
    fn the_newest_signs_and_those_before_it_go_when_their_time_is_over() {
        let first = SigningKeys::of(key(1, 0));
        let second = first.rotated(key(2, 10), Some(Micros(110))).expect("few");
        assert_eq!((ids(&second), second.newest().secret[0]), (vec![1, 2], 2));
        assert_eq!(second.all()[0].ends_at, Some(Micros(110)));
        let third = second.rotated(key(3, 109), Some(Micros(209))).expect("few");
        let ends: Vec<_> = third.all().iter().map(|key| key.ends_at).collect();
        assert_eq!(
            ends,
            [Some(Micros(110)), Some(Micros(209)), None],
            "the first end stays"
        );
        let fourth = third.rotated(key(4, 110), Some(Micros(210))).expect("few");
        assert_eq!(ids(&fourth), [2, 3, 4]);
        let alone = fourth.rotated(key(5, 111), None).expect("one");
        assert_eq!(ids(&alone), [5]);
    }

    #[test]
    fn there_are_never_too_many() {
        let mut keys = SigningKeys::of(key(0, 0));
        for nth in 1..16 {
            keys = keys
                .rotated(key(nth, nth.into()), Some(Micros(100 + i64::from(nth))))
                .expect("few");
        }
        assert_eq!(keys.rotated(key(16, 50), Some(Micros(150))), None);
        assert!(keys.rotated(key(16, 50), None).is_some());
        // The first of them ends at 101.
        let again = keys
            .rotated(key(16, 101), Some(Micros(200)))
            .expect("one has gone");
        assert_eq!(again.all().len(), SIGNING_KEYS_MAX);
    }

    #[test]
    fn bytes_come_back_and_none_of_them_may_change() {
        let one = SigningKeys::of(key(1, -5));
        let two = one.rotated(key(2, 10), Some(Micros(110))).expect("few");
        for keys in [one, two] {
            let bytes = keys.to_bytes();
            assert_eq!(SigningKeys::from_bytes(&bytes), Ok(keys.clone()));
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut wrong = bytes.clone();
                    wrong[at] ^= 1 << bit;
                    assert!(SigningKeys::from_bytes(&wrong).is_err(), "byte {at}, bit {bit}");
                }
                assert!(SigningKeys::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
            }
            let long = [&bytes[..], &[0]].concat();
            assert!(SigningKeys::from_bytes(&long).is_err());
            assert!(!format!("{keys:?}").contains("secret"));
        }
        let mut newer = MAGIC.to_vec();
        newer.extend_from_slice(&[2, 0, 0, 0]);
        let why = SigningKeys::from_bytes(&newer).expect_err("another version");
        assert!(why.contains("version"), "{why}");
        for other in [&[][..], &[7; 32], b"SALDOSGN"] {
            assert!(SigningKeys::from_bytes(other).is_err());
        }
    }
}
