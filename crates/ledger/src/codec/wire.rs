//! The small parts that records are written with: minimal-length integers, bytes, texts.

use crate::amount::Amount;
use crate::text::{Bytes, Findable, Text};
use crate::varint;

/// Writes a record's two sections: `body`, and the texts about people, which stand apart.
pub(super) struct Writer<'a> {
    pub(super) body: &'a mut Vec<u8>,
    pub(super) text: Vec<u8>,
}

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) {
        self.body.push(byte);
    }

    pub(super) fn uint(&mut self, value: impl Into<u128>) {
        varint::put_wide(self.body, value.into());
    }

    /// A signed integer, folded so that small ones of either sign stay short.
    pub(super) fn int(&mut self, value: i64) {
        let folded = (value << 1) ^ (value >> 63);
        varint::put(self.body, folded.cast_unsigned());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }

    /// A word that is about nobody: an asset's name, a time zone, the source of a rate.
    pub(super) fn word(&mut self, word: &str) {
        self.uint(word.len() as u128);
        self.bytes(word.as_bytes());
    }

    /// A text about people, into the section of its own.
    pub(super) fn text(&mut self, text: &impl Bytes) {
        varint::put(&mut self.text, text.bytes().len() as u64);
        self.text.extend_from_slice(text.bytes());
    }

    /// Whether there is something, then it.
    pub(super) fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.uint(items.len() as u128);
        for item in items {
            put(self, item);
        }
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// They end too early.
    Short,
    /// They go on behind the end.
    Long,
    /// A tag, a number or a text is outside its range.
    Invalid(&'static str),
    /// An account or asset number that nobody could name.
    Unnamed,
    /// Decided by rules that this version does not know.
    NewerRules(u8),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("the record ends too early"),
            Self::Long => f.write_str("the record goes on behind its end"),
            Self::Invalid(what) => write!(f, "the record's {what} is outside its range"),
            Self::Unnamed => f.write_str("the record names an account or asset that its book does not have"),
            Self::NewerRules(rules) => {
                write!(
                    f,
                    "the record was decided by rules {rules}; this version knows up to {}",
                    crate::RULES
                )
            }
        }
    }
}

impl std::error::Error for DecodeError {}

pub(super) type Decoded<T> = Result<T, DecodeError>;

/// Reads a record's two sections.
pub(super) struct Reader<'a> {
    pub(super) body: &'a [u8],
    pub(super) text: &'a [u8],
    /// Whether transactions so far had postings of their own, and whether some had none.
    pub(super) postings: [bool; 2],
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> Decoded<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len).ok_or(DecodeError::Short)?;
    *from = rest;
    Ok(taken)
}

pub(super) fn take_varint(from: &mut &[u8]) -> Decoded<u128> {
    let mut value: u128 = 0;
    for shift in (0..128).step_by(7) {
        let byte = take(from, 1)?[0];
        let bits = u128::from(byte & 0x7f);
        let placed = bits << shift;
        let minimal = byte != 0 || shift == 0;
        if placed >> shift != bits || !minimal {
            return Err(DecodeError::Invalid("integer"));
        }
        value |= placed;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::Invalid("integer"))
}

fn take_counted<'a>(from: &mut &'a [u8]) -> Decoded<&'a [u8]> {
    let len = usize::try_from(take_varint(from)?).map_err(|_| DecodeError::Short)?;
    take(from, len)
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8], text: &'a [u8]) -> Self {
        Self {
            body,
            text,
            postings: [false; 2],
        }
    }

    pub(super) fn byte(&mut self) -> Decoded<u8> {
        Ok(take(&mut self.body, 1)?[0])
    }

    pub(super) fn uint<T: TryFrom<u128>>(&mut self) -> Decoded<T> {
        T::try_from(take_varint(&mut self.body)?).map_err(|_| DecodeError::Invalid("integer"))
    }

    pub(super) fn int(&mut self) -> Decoded<i64> {
        let folded: u64 = self.uint()?;
        Ok((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }

    pub(super) fn amount(&mut self) -> Decoded<Amount> {
        Amount::new(self.uint()?).ok_or(DecodeError::Invalid("amount"))
    }

    /// One that a flag says is there: zero has no flag.
    pub(super) fn some_amount(&mut self) -> Decoded<Amount> {
        let amount = Some(self.amount()?).filter(|amount| !amount.is_zero());
        amount.ok_or(DecodeError::Invalid("amount"))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(take(&mut self.body, N)?);
        Ok(array)
    }

    pub(super) fn flag(&mut self) -> Decoded<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("flag")),
        }
    }

    pub(super) fn word(&mut self) -> Decoded<Box<str>> {
        let word = std::str::from_utf8(take_counted(&mut self.body)?);
        word.map(Into::into).map_err(|_| DecodeError::Invalid("word"))
    }

    pub(super) fn text(&mut self) -> Decoded<Text> {
        take_counted(&mut self.text).map(Text::new)
    }

    pub(super) fn findable(&mut self) -> Decoded<Findable> {
        Findable::from_bytes(take_counted(&mut self.text)?).ok_or(DecodeError::Invalid("text"))
    }

    pub(super) fn option<T>(&mut self, get: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<Option<T>> {
        if self.flag()? {
            get(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn list<T, L: FromIterator<T>>(
        &mut self,
        mut get: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<L> {
        let len: usize = self.uint()?;
        // No list is allocated ahead of its bytes, so a wrong length ends as `Short`.
        (0..len).map(|_| get(self)).collect()
    }
}
