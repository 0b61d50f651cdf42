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

/// The longest text, in bytes as sealed, that is kept open.
const OPEN_MAX: usize = 256;

/// The key of a party, as texts are sealed under it.
#[derive(Clone, Copy)]
pub(crate) struct SealingKey([u8; 32]);

/// The key of a party, with the text that was shown first since it was looked up, opened: nearly always a name, and shown over
/// and over. It is in memory for as long as its key is, which tells as much.
pub(crate) struct PartyKey {
    key: SealingKey,
    shown: OnceLock<Shown>,
}

/// A text that was opened.
struct Shown {
    place: Place,
    /// As it was sealed, and behind that as it reads: in one piece, which is fetched from memory at once.
    both: Box<[u8]>,
    sealed: usize,
}

impl Shown {
    fn new(place: Place, sealed: &[u8], text: &str) -> Self {
        Self {
            place,
            both: [sealed, text.as_bytes()].concat().into(),
            sealed: sealed.len(),
        }
    }

    /// How it reads, if it is this one.
    fn text(&self, place: Place, sealed: &[u8]) -> Option<&str> {
        let (this, text) = self.both.split_at_checked(self.sealed)?;
        let same = self.place == place && this == sealed;
        str::from_utf8(text).ok().filter(|_| same)
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
            key: key.into(),
            shown: OnceLock::new(),
        }
    }
}

impl PartyKey {
    /// Opens a text that stands behind its nonce.
    fn open(&self, place: Place, sealed: &[u8]) -> Option<Box<str>> {
        let shown = self.shown.get();
        if let Some(text) = shown.and_then(|shown| shown.text(place, sealed)) {
            return Some(text.into());
        }
        let (nonce, rest) = sealed.split_first_chunk()?;
        let text = self.key.open(*nonce, place, rest)?;
        if shown.is_none() && sealed.len() <= OPEN_MAX {
            // Another request may have been faster.
            let _ = self.shown.set(Shown::new(place, sealed, &text));
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
        let opened = key.key.open(nonce_of(text.lookup(), place), place, text.sealed());
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
            Some(key) => Some(key.key),
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

    #[test]
    fn a_text_that_was_opened_opens_again_where_it_stands_and_nowhere_else() {
        let key = PartyKey::from(&TextKey([7; 32]));
        let place = Place {
            field: Field::CustomerName,
            id: 1,
        };
        let sealed = |nonce: u8, name: &str| {
            let mut text = name.as_bytes().to_vec();
            let tag = key.key.seal([nonce; NONCE], place, &mut text);
            [&[nonce; NONCE][..], &text, &tag].concat()
        };
        let open = |place, sealed: &[u8]| key.open(place, sealed).map(String::from);
        let (first, other) = (sealed(1, "Ana"), sealed(2, "Bo"));
        for _ in 0..2 {
            assert_eq!(open(place, &first).as_deref(), Some("Ana"));
            assert_eq!(open(place, &other).as_deref(), Some("Bo"));
            assert_eq!(open(Place { id: 2, ..place }, &first), None);
            for nth in 0..first.len() {
                let mut damaged = first.clone();
                damaged[nth] ^= 1;
                assert_eq!(open(place, &damaged), None, "byte {nth}");
            }
            assert_eq!(open(place, &first[..first.len() - 1]), None);
            assert_eq!(open(place, &[]), None);
        }
        let kept = key.shown.get().and_then(|shown| shown.text(place, &first));
        assert_eq!(kept, Some("Ana"), "the first");
    }

    #[test]
    fn a_long_text_is_not_kept_open() {
        let key = PartyKey::from(&TextKey([7; 32]));
        let place = Place {
            field: Field::CustomerMetadata,
            id: 1,
        };
        let mut text = vec![b'x'; OPEN_MAX];
        let tag = key.key.seal([1; NONCE], place, &mut text);
        let opened = key.open(place, &[&[1; NONCE][..], &text, &tag].concat());
        assert_eq!(opened.map(|text| text.len()), Some(OPEN_MAX));
        assert!(key.shown.get().is_none());
    }
}
