//! The canonical bytes of a record: the same in every store, and what a book's digest runs over.
//!
//! ```text
//! body length   u32, little-endian
//! body          rules, book, position, base, recorded time, client, key, fingerprint, action, outcome
//! text          the texts about people (names, labels, references, foreign ids, metadata), as they were sealed, in the
//!               order of the body
//! ```
//!
//! Integers are minimal-length; accounts and assets that moved are their numbers in the book. Nothing stands twice: the
//! postings of a transaction that was booked are read off its moves, and a key that is the id of what was made is a
//! tag. Names of accounts are not in it, so reading takes someone who knows them: [`Names`].

mod action;
mod outcome;
mod wire;

use crate::asset::{AssetName, AssetNo};
use crate::command::{Action, Fingerprint, Key, first_half};
use crate::id::{AccountId, AccountNo, AnyId, BookNo, ClientId, Position, TransactionId};
use crate::record::{RULES, Record};
use crate::state::State;
use crate::text::Form;
use crate::time::Micros;

use action::Shape;
pub use wire::DecodeError;
use wire::{Decoded, Reader, Writer};

/// Knows accounts and assets by their numbers.
pub trait Names {
    /// The id of an account of `book`.
    fn account(&self, book: BookNo, no: AccountNo) -> Option<AccountId>;

    /// The name of an asset that `book` sees.
    fn asset(&self, book: BookNo, no: AssetNo) -> Option<AssetName>;
}

impl Names for State {
    fn account(&self, book: BookNo, no: AccountNo) -> Option<AccountId> {
        self.book(book)
            .and_then(|book| book.slots.get(no))
            .map(|slot| slot.account.id)
    }

    fn asset(&self, book: BookNo, no: AssetNo) -> Option<AssetName> {
        self.asset_by_no(book, no).map(|asset| asset.name)
    }
}

/// Appends the canonical bytes of `record`.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut w = Writer {
        body: out,
        text: Vec::new(),
    };
    w.byte(record.rules);
    w.uint(record.book.0);
    w.uint(record.position.0);
    w.uint(record.base.0);
    w.int(record.recorded_at.0);
    w.option(record.client, |w, client| w.bytes(&client.to_bytes()));
    put_key(&mut w, record);
    w.bytes(&record.fingerprint.0);
    action::put(
        &mut w,
        &record.action,
        Shape::Record {
            booked: record.outcome.is_ok(),
        },
    );
    outcome::put(&mut w, record);
    let text = w.text;
    let len = u32::try_from(out.len() - start - 4).expect("a request is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&text);
}

/// Reads a record back. What reads back is spelled by these bytes alone: [`encode`] gives them again.
///
/// # Errors
/// What is wrong with the bytes, or that `names` does not know an account or asset.
pub fn decode(bytes: &[u8], names: &impl Names) -> Result<Record, DecodeError> {
    let (len, rest) = bytes.split_at_checked(4).ok_or(DecodeError::Short)?;
    let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
    let (body, text) = rest.split_at_checked(len).ok_or(DecodeError::Short)?;
    let mut r = Reader::new(body, text);
    let rules = r.byte()?;
    if rules > RULES {
        return Err(DecodeError::NewerRules(rules));
    }
    let book = BookNo(r.uint()?);
    let position = Position(r.uint()?);
    let base = Position(r.uint()?);
    let recorded_at = Micros(r.int()?);
    let client = r.option(|r| Ok(ClientId::from_bytes(r.array()?)))?;
    let key = take_key(&mut r)?;
    let fingerprint = Fingerprint(r.array()?);
    let mut action = action::take(&mut r)?;
    let outcome = outcome::take(&mut r, book, &mut action, names)?;
    if !r.body.is_empty() || !r.text.is_empty() {
        return Err(DecodeError::Long);
    }
    let own = own_id(&action).map(Key::Id);
    let key = match key {
        None => own,
        other => other.filter(|key| Some(*key) != own),
    };
    let key = key.ok_or(DecodeError::Invalid("key"))?;
    // Once booked, they are read off the moves.
    if r.postings[usize::from(outcome.is_err())] {
        return Err(DecodeError::Invalid("postings"));
    }
    Ok(Record {
        book,
        position,
        base,
        recorded_at,
        rules,
        client,
        key,
        fingerprint,
        action,
        outcome,
    })
}

/// A record's book, position and recorded time, without reading the rest.
///
/// # Errors
/// What is wrong with the bytes.
pub fn peek(bytes: &[u8]) -> Result<(BookNo, Position, Micros), DecodeError> {
    let body = bytes.get(4..).ok_or(DecodeError::Short)?;
    let mut r = Reader::new(body, &[]);
    r.byte()?;
    let (book, position) = (BookNo(r.uint()?), Position(r.uint()?));
    let _base: u64 = r.uint()?;
    Ok((book, position, Micros(r.int()?)))
}

/// The position of book 0 at which a record was decided, without reading the rest.
///
/// # Errors
/// What is wrong with the bytes.
pub fn peek_base(bytes: &[u8]) -> Result<Position, DecodeError> {
    let body = bytes.get(4..).ok_or(DecodeError::Short)?;
    let mut r = Reader::new(body, &[]);
    r.byte()?;
    let _book: u32 = r.uint()?;
    let _position: u64 = r.uint()?;
    Ok(Position(r.uint()?))
}

/// How many bytes an action takes in a record that refuses it, the longest form.
#[must_use]
pub fn encoded_len(action: &Action) -> usize {
    let mut body = Vec::new();
    let mut w = Writer {
        body: &mut body,
        text: Vec::new(),
    };
    action::put(&mut w, action, Shape::Record { booked: false });
    w.text.len() + body.len()
}

/// The hash of what a caller asked: the action without ids and secrets that the server made. `id_given` says whether
/// the id of a transaction came from the caller. It is of the texts as they were before they were sealed, which differ each
/// time; so it is under `key`, or who has the journal could try names against it.
#[must_use]
pub fn fingerprint<F: Form>(action: &Action<F>, id_given: bool, key: &[u8; 32]) -> Fingerprint {
    let mut body = Vec::with_capacity(256);
    let mut w = Writer {
        body: &mut body,
        text: Vec::new(),
    };
    action::put(&mut w, action, Shape::Request { id_given });
    let text = w.text;
    body.extend_from_slice(&text);
    Fingerprint(first_half(blake3::keyed_hash(key, &body)))
}

/// The id of what an action makes, where that can be its key.
fn own_id(action: &Action) -> Option<AnyId> {
    Some(match action {
        Action::CreateClient(new) => new.id.into(),
        Action::CreateApiKey(new) => new.id.into(),
        Action::RotateApiKey(rotation) => rotation.id.into(),
        Action::CreateCustomer(new) => new.id.into(),
        Action::CreateAccount(new) => new.id.into(),
        Action::Post(transaction) => transaction.id.into(),
        Action::Capture(capture) => capture.id.into(),
        Action::Release(release) => release.id.into(),
        Action::Reverse(reverse) => reverse.id.into(),
        _ => return None,
    })
}

const KEY_OWN_ID: u8 = 0;
const KEY_NAMED: u8 = 1;
const KEY_OTHER_ID: u8 = 2;
const KEY_EXPIRY: u8 = 3;

fn put_key(w: &mut Writer<'_>, record: &Record) {
    match record.key {
        Key::Id(id) if own_id(&record.action) == Some(id) => w.byte(KEY_OWN_ID),
        Key::Named(hash) => {
            w.byte(KEY_NAMED);
            w.bytes(&hash);
        }
        Key::Id(id) => {
            w.byte(KEY_OTHER_ID);
            w.bytes(&id.to_bytes());
        }
        Key::Expiry(hold) => {
            w.byte(KEY_EXPIRY);
            w.bytes(&hold.to_bytes());
        }
    }
}

/// The key; `None` is the id of what is made.
fn take_key(r: &mut Reader<'_>) -> Decoded<Option<Key>> {
    Ok(match r.byte()? {
        KEY_OWN_ID => None,
        KEY_NAMED => Some(Key::Named(r.array()?)),
        KEY_OTHER_ID => Some(Key::Id(AnyId::from_bytes(r.array()?))),
        KEY_EXPIRY => Some(Key::Expiry(TransactionId::from_bytes(r.array()?))),
        _ => return Err(DecodeError::Invalid("key")),
    })
}
