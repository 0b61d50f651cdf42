//! How texts are sealed: each on its own with XChaCha20-Poly1305, bound to the place where it belongs.
//!
//! A text that is only shown has a random nonce in front and the tag behind it: 40 bytes more than the text. One that is
//! searched for stands behind its lookup, a keyed hash of the text; its nonce is made of that and of its place, so that none
//! has to be kept, and only the same text in the same place is ever sealed under the same nonce: 32 bytes more.

use std::sync::OnceLock;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use ledger::{Bytes, Field, Findable, Lookup, Place, Sealer, Subject, Text};
use store::TextKey;

use crate::problem::Problem;
use crate::vault::Keys;

const NONCE: usize = 24;
const TAG: usize = 16;

/// The longest name, in bytes as sealed, that is kept open.
const OPEN_MAX: usize = 256;

/// The key of a party, as texts are sealed under it.
#[derive(Clone, Copy)]
pub(crate) struct SealingKey([u8; 32]);

/// The key of a party, and its name, which is shown over and over, once that was opened. They are in memory together.
pub(crate) struct PartyKey {
    sealing: SealingKey,
    name: OnceLock<Name>,
}

/// A name that was opened.
struct Name {
    place: Place,
    /// As it was sealed, and behind that as it reads: in one piece, which comes from memory sooner than two.
    bytes: Box<[u8]>,
    sealed_len: usize,
}

impl Name {
    fn new(place: Place, sealed: &[u8], text: &str) -> Self {
        Self {
            place,
            bytes: [sealed, text.as_bytes()].concat().into(),
            sealed_len: sealed.len(),
        }
    }

    /// How it reads, if it is this one.
    fn text(&self, place: Place, sealed: &[u8]) -> Option<&str> {
        let (this, text) = self.bytes.split_at_checked(self.sealed_len)?;
        if (self.place, this) != (place, sealed) {
            return None;
        }
        str::from_utf8(text).ok()
    }
}

/// What a book's key is used for beside that.
pub(crate) struct BookKeys {
    /// Requests are hashed under it.
    pub(crate) fingerprint: [u8; 32],
    lookup: [u8; 32],
}

impl From<&TextKey> for SealingKey {
    fn from(key: &TextKey) -> Self {
        Self(blake3::derive_key("saldo 2026-11 texts", &key.0))
    }
}

impl From<&TextKey> for BookKeys {
    fn from(key: &TextKey) -> Self {
        Self {
            fingerprint: blake3::derive_key("saldo 2026-11 fingerprints", &key.0),
            lookup: blake3::derive_key("saldo 2026-11 lookups", &key.0),
        }
    }
}

impl BookKeys {
    /// What a text of this field is found by.
    pub(crate) fn lookup(&self, field: Field, text: &str) -> Lookup {
        let mut hasher = blake3::Hasher::new_keyed(&self.lookup);
        hasher.update(&[field as u8]).update(text.as_bytes());
        Lookup(first(&hasher))
    }
}

fn first<const N: usize>(hasher: &blake3::Hasher) -> [u8; N] {
    let mut bytes = [0; N];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn bound_to(place: Place) -> [u8; 17] {
    let mut bytes = [place.field as u8; 17];
    bytes[1..].copy_from_slice(&place.id.to_be_bytes());
    bytes
}

/// The nonce of a text that is found by `lookup`: another one in each place.
fn nonce_of(lookup: Lookup, place: Place) -> [u8; NONCE] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&lookup.0).update(&bound_to(place));
    first(&hasher)
}

impl SealingKey {
    fn seal(&self, nonce: [u8; NONCE], place: Place, text: &mut [u8]) -> [u8; TAG] {
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let tag = cipher.encrypt_inout_detached(&XNonce::from(nonce), &bound_to(place), text.into());
        tag.expect("a text is far shorter than the cipher can take")
            .into()
    }

    fn open(&self, nonce: [u8; NONCE], place: Place, sealed: &[u8]) -> Option<Box<str>> {
        let (text, tag) = sealed.split_last_chunk::<TAG>()?;
        let mut text = text.to_vec();
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        cipher
            .decrypt_inout_detached(
                &XNonce::from(nonce),
                &bound_to(place),
                text.as_mut_slice().into(),
                &(*tag).into(),
            )
            .ok()?;
        String::from_utf8(text).ok().map(Into::into)
    }
}

impl From<&TextKey> for PartyKey {
    fn from(key: &TextKey) -> Self {
        Self {
            sealing: key.into(),
            name: OnceLock::new(),
        }
    }
}

impl PartyKey {
    /// Opens a text that stands behind its nonce.
    fn open(&self, place: Place, sealed: &[u8]) -> Option<Box<str>> {
        let name = self.name.get();
        if let Some(text) = name.and_then(|name| name.text(place, sealed)) {
            return Some(text.into());
        }
        let (nonce, rest) = sealed.split_first_chunk()?;
        let text = self.sealing.open(*nonce, place, rest)?;
        let is_name = matches!(place.field, Field::CustomerName | Field::ClientName);
        if is_name && name.is_none() && sealed.len() <= OPEN_MAX {
            // Another request may have been faster.
            let _ = self.name.set(Name::new(place, sealed, &text));
        }
        Some(text)
    }
}

fn damaged(place: Place) -> Problem {
    Problem::internal(format!(
        "the {:?} of {:032x} does not open under its key: it is damaged or was moved",
        place.field, place.id
    ))
}

impl Keys {
    /// Opens a text; `None` when the key of `party` is gone.
    pub(crate) fn text(
        &self,
        party: Subject,
        place: Place,
        text: &Text,
    ) -> Result<Option<Box<str>>, Problem> {
        if text.is_empty() {
            return Ok(Some("".into()));
        }
        let Some(key) = self.get(party) else {
            return Ok(None);
        };
        let opened = key.open(place, text.bytes());
        opened.map(Some).ok_or_else(|| damaged(place))
    }

    /// Opens a text that is searched for.
    pub(crate) fn findable(
        &self,
        party: Subject,
        place: Place,
        text: &Findable,
    ) -> Result<Option<Box<str>>, Problem> {
        let Some(key) = self.get(party) else {
            return Ok(None);
        };
        let opened = key
            .sealing
            .open(nonce_of(text.lookup(), place), place, text.sealed());
        opened.map(Some).ok_or_else(|| damaged(place))
    }
}

/// Seals the texts of one request.
pub(crate) struct Sealing<'a> {
    keys: &'a Keys,
    book: &'a BookKeys,
    operator: &'a BookKeys,
    /// Once there is something to seal: most requests that move money hold no text.
    fresh: Option<Result<Fresh, Problem>>,
}

/// What is new with each request.
struct Fresh {
    /// A key that nobody keeps, for whom none is kept.
    nobodys: SealingKey,
    nonces: blake3::OutputReader,
}

impl Fresh {
    fn new() -> Result<Self, Problem> {
        let seed = random()?;
        Ok(Self {
            nobodys: SealingKey(blake3::derive_key("saldo 2026-11 nobody", &seed)),
            nonces: blake3::Hasher::new_keyed(&seed).finalize_xof(),
        })
    }
}

impl<'a> Sealing<'a> {
    pub(crate) fn new(keys: &'a Keys, book: &'a BookKeys, operator: &'a BookKeys) -> Self {
        Self {
            keys,
            book,
            operator,
            fresh: None,
        }
    }

    /// `None` where there is no randomness, as [`Sealing::finish`] will say.
    fn fresh(&mut self) -> Option<&mut Fresh> {
        self.fresh.get_or_insert_with(Fresh::new).as_mut().ok()
    }

    fn key(&mut self, party: Subject) -> Option<SealingKey> {
        match self.keys.get(party) {
            Some(key) => Some(key.sealing),
            None => self.fresh().map(|fresh| fresh.nobodys),
        }
    }

    /// What was made of texts that were sealed, if all of them were.
    pub(crate) fn finish<T>(self, sealed: T) -> Result<T, Problem> {
        self.fresh.transpose().map(|_| sealed)
    }
}

impl Sealer for Sealing<'_> {
    fn text(&mut self, party: Subject, place: Place, plain: &str) -> Text {
        let mut nonce = [0; NONCE];
        let Some(fresh) = self.fresh() else {
            return Text::default();
        };
        fresh.nonces.fill(&mut nonce);
        let Some(key) = self.key(party) else {
            return Text::default();
        };
        let mut bytes = Vec::with_capacity(NONCE + plain.len() + TAG);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(plain.as_bytes());
        let tag = key.seal(nonce, place, &mut bytes[NONCE..]);
        bytes.extend_from_slice(&tag);
        Text::new(bytes)
    }

    fn findable(&mut self, party: Subject, place: Place, plain: &str) -> Findable {
        // The operator looks through the clients of all books.
        let keys = match place.field {
            Field::ClientExternalId => self.operator,
            _ => self.book,
        };
        let lookup = keys.lookup(place.field, plain);
        let Some(key) = self.key(party) else {
            return Findable::new(lookup, &[]);
        };
        let mut bytes = Vec::with_capacity(plain.len() + TAG);
        bytes.extend_from_slice(plain.as_bytes());
        let tag = key.seal(nonce_of(lookup, place), place, &mut bytes);
        bytes.extend_from_slice(&tag);
        Findable::new(lookup, &bytes)
    }
}

/// 32 bytes from the system's randomness.
pub(crate) fn random() -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(format!("no randomness: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Place = Place {
        field: Field::CustomerName,
        id: 1,
    };

    fn key(byte: u8) -> PartyKey {
        PartyKey::from(&TextKey([byte; 32]))
    }

    fn sealed(key: &PartyKey, nonce: u8, place: Place, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        let tag = key.sealing.seal([nonce; NONCE], place, &mut text);
        [&[nonce; NONCE][..], &text, &tag].concat()
    }

    #[test]
    fn a_name_that_was_opened_opens_again_where_it_stands_and_nowhere_else() {
        let key = key(7);
        let open = |place, sealed: &[u8]| key.open(place, sealed).map(String::from);
        let (first, other) = (sealed(&key, 1, NAME, b"Ana"), sealed(&key, 2, NAME, b"Bo"));
        for _ in 0..2 {
            assert_eq!(open(NAME, &first).as_deref(), Some("Ana"));
            assert_eq!(open(NAME, &other).as_deref(), Some("Bo"));
            assert_eq!(open(Place { id: 2, ..NAME }, &first), None);
            for nth in 0..first.len() {
                let mut damaged = first.clone();
                damaged[nth] ^= 1;
                assert_eq!(open(NAME, &damaged), None, "byte {nth}");
            }
            assert_eq!(open(NAME, &first[..first.len() - 1]), None);
            assert_eq!(open(NAME, &[]), None);
        }
    }

    #[test]
    fn a_name_that_was_opened_is_not_deciphered_again() {
        let key = key(7);
        let (first, other) = (sealed(&key, 1, NAME, b"Ana"), sealed(&key, 2, NAME, b"Bo"));
        assert!(key.open(NAME, &first).is_some());
        let without = PartyKey {
            sealing: self::key(8).sealing,
            name: key.name,
        };
        assert_eq!(without.open(NAME, &first).as_deref(), Some("Ana"));
        assert_eq!(without.open(NAME, &other), None);
    }

    #[test]
    fn only_names_of_some_length_are_kept_open() {
        let longest = OPEN_MAX - NONCE - TAG;
        for (field, length, is_kept) in [
            (Field::CustomerName, longest, true),
            (Field::CustomerName, longest + 1, false),
            (Field::ClientName, 1, true),
            (Field::AccountLabel, 1, false),
            (Field::CustomerMetadata, 1, false),
        ] {
            let (key, place) = (key(7), Place { field, ..NAME });
            let sealed = sealed(&key, 1, place, &vec![b'x'; length]);
            assert_eq!(key.open(place, &sealed).map(|text| text.len()), Some(length));
            assert_eq!(key.name.get().is_some(), is_kept, "{field:?}, {length} bytes");
        }
    }
}
