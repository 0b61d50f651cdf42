//! One 128-bit id in every vendor's spelling.
//!
//! Parties and accounts have one id, a UUIDv7 held as a `u128`. A vendor's format spells it in its own way:
//!
//! | spelling | form                                         | example                                |
//! |----------|----------------------------------------------|----------------------------------------|
//! | UUID     | hyphenated hex                               | `0190163d-8694-739b-aea5-966c26f8ad90` |
//! | KSUID    | `cus_`, `acct_`, `client_` + 27 digits of 62 | `cus_2hrlP1toXExgz2BXxEQWaa6x3hI`      |
//! | TypeID   | `cst_` + 26 digits of 32                     | `cst_01j0b3v1mmeedtx9cpdgkfhbcg`       |
//!
//! Spelling and reading are pure, so there is no table of aliases that could disagree with the register. Each id has
//! exactly one spelling per form, save that a UUID is also read in upper case.
//!
//! A KSUID has 160 bits: a time in seconds (32 bits), then the id. The time is derived from the id, so that a KSUID
//! sorts and looks as the vendor's do, and reading checks it: a text that has the form of a KSUID but whose time isn't
//! the id's, or which exceeds 160 bits, names nothing.

use std::fmt;
use std::ops::Deref;

use uuid::Uuid;

/// Why a text is not the spelling of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpellingError {
    /// The text does not match the form's grammar: a bad request.
    #[error("this is not an id of the expected form")]
    Malformed,
    /// The text matches the grammar, but no id is ever spelled like this: not found.
    #[error("no id is spelled like this")]
    NamesNothing,
}

/// What stands before the digits of a KSUID, and says what is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `cus_`
    Customer,
    /// `acct_`
    Account,
    /// `client_`
    Client,
}

impl Prefix {
    /// Every prefix.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Account, Self::Client];

    /// The prefix as it is written, with its underscore.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "cus_",
            Self::Account => "acct_",
            Self::Client => "client_",
        }
    }
}

/// The longest spelling is the UUID's.
const LONGEST: usize = 36;

/// An id as spelled: a short ASCII text that lives on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spelled {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Spelled {
    /// Starts with `prefix`; the digits follow.
    fn new(prefix: &str, digits: &[u8]) -> Self {
        let (start, len) = (prefix.len(), prefix.len() + digits.len());
        let mut bytes = [0; LONGEST];
        bytes[..start].copy_from_slice(prefix.as_bytes());
        bytes[start..len].copy_from_slice(digits);
        // `len` has just been a valid index of `bytes`.
        Self {
            bytes,
            len: len as u8,
        }
    }

    /// The text as bytes, all of them ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("prefixes and digits are ASCII")
    }
}

impl Deref for Spelled {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Spelled {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Reads any spelling of an id; `None` for every other text.
///
/// The native API takes each id in whatever form the caller got hold of it.
pub fn parse_any(text: &str) -> Option<u128> {
    // No other spelling is as long, and this one is nearly always meant.
    if text.len() == LONGEST {
        return parse_uuid(text).ok();
    }
    let read = match text.split_once('_') {
        Some(("cst", _)) => parse_typeid(text),
        Some(("cus", _)) => parse_ksuid(Prefix::Customer, text),
        Some(("acct", _)) => parse_ksuid(Prefix::Account, text),
        Some(("client", _)) => parse_ksuid(Prefix::Client, text),
        _ => return None,
    };
    read.ok()
}

/// Spells `id` as a hyphenated UUID in lower case.
pub fn uuid(id: u128) -> Spelled {
    let mut bytes = [0; LONGEST];
    Uuid::from_u128(id).hyphenated().encode_lower(&mut bytes);
    Spelled {
        bytes,
        len: LONGEST as u8,
    }
}

/// Reads a hyphenated UUID in any case and of any version. Every failure is [`SpellingError::Malformed`].
pub fn parse_uuid(text: &str) -> Result<u128, SpellingError> {
    // The library also takes the simple, braced and URN forms; none of them has this length.
    if text.len() != LONGEST {
        return Err(SpellingError::Malformed);
    }
    match Uuid::try_parse_ascii(text.as_bytes()) {
        Ok(uuid) => Ok(uuid.as_u128()),
        Err(_) => Err(SpellingError::Malformed),
    }
}

/// Spells `id` as a KSUID under `prefix`.
pub fn ksuid(prefix: Prefix, id: u128) -> Spelled {
    Spelled::new(prefix.as_str(), &base62::encode(ksuid_time(id), id))
}

/// Reads a KSUID under `prefix`.
///
/// [`SpellingError::Malformed`] unless the text is the prefix and 27 of `[0-9A-Za-z]`;
/// [`SpellingError::NamesNothing`] if it is, and [`ksuid`] writes it for no id.
pub fn parse_ksuid(prefix: Prefix, text: &str) -> Result<u128, SpellingError> {
    let digits = text
        .strip_prefix(prefix.as_str())
        .ok_or(SpellingError::Malformed)?;
    let (time, id) = base62::decode(digits)?;
    if time == ksuid_time(id) {
        Ok(id)
    } else {
        Err(SpellingError::NamesNothing)
    }
}

/// A KSUID counts seconds from 2014-05-13T16:53:20Z.
const KSUID_EPOCH: u64 = 1_400_000_000;

/// The time in an id's KSUID: that of a UUIDv7, whose first 48 bits are Unix milliseconds.
///
/// An id may hold any 48 bits there; seconds beyond the KSUID's range wrap around. Reading compares with this same
/// function, so these ids have one spelling each like all others.
fn ksuid_time(id: u128) -> u32 {
    let milliseconds = (id >> 80) as u64;
    (milliseconds / 1000).wrapping_sub(KSUID_EPOCH) as u32
}

/// What stands before the digits of a TypeID.
const TYPEID_PREFIX: &str = "cst_";

/// 128 bits in 26 digits of 5 bits, the first of which holds 3 bits only.
const TYPEID_DIGITS: usize = 26;

/// Spells `id` as a TypeID, `cst_` and its digits.
pub fn typeid(id: u128) -> Spelled {
    let mut rest = id;
    let mut digits = [0; TYPEID_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE32[(rest & 31) as usize];
        rest >>= 5;
    }
    Spelled::new(TYPEID_PREFIX, &digits)
}

/// Reads a `cst_` TypeID. Every failure is [`SpellingError::Malformed`], also upper case and an overflow.
pub fn parse_typeid(text: &str) -> Result<u128, SpellingError> {
    let digits = text
        .strip_prefix(TYPEID_PREFIX)
        .ok_or(SpellingError::Malformed)?
        .as_bytes();
    if digits.len() != TYPEID_DIGITS || digits[0] > b'7' {
        return Err(SpellingError::Malformed);
    }
    let mut id = 0;
    for &digit in digits {
        let value = BASE32_VALUES[usize::from(digit)];
        if value == NOT_A_DIGIT {
            return Err(SpellingError::Malformed);
        }
        id = id << 5 | u128::from(value);
    }
    Ok(id)
}

/// Crockford's digits in lower case: no i, l, o, u.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
static BASE32_VALUES: [u8; 256] = values(BASE32);

/// In ASCII order, so that texts sort as the numbers do.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static BASE62_VALUES: [u8; 256] = values(BASE62);

const NOT_A_DIGIT: u8 = u8::MAX;

/// The value of every byte in a system of digits.
const fn values(digits: &[u8]) -> [u8; 256] {
    let mut values = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < digits.len() {
        values[digits[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// 160 bits in 27 digits of 62.
mod base62 {
    use super::{BASE62, BASE62_VALUES, NOT_A_DIGIT, SpellingError};

    const DIGITS: usize = 27;
    /// So many digits are one number of 64 bits: 62¹⁰ is below 2⁶⁰.
    const LONG: usize = 10;
    const LONG_SIZE: u128 = 62_u128.pow(LONG as u32);

    pub(super) fn encode(time: u32, id: u128) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        let (first, rest) = digits.split_at_mut(DIGITS - 2 * LONG);
        let (second, third) = rest.split_at_mut(LONG);
        // Half by half, so that each dividend fits.
        let high = (u128::from(time) << 64) | (id >> 64);
        let low = ((high % LONG_SIZE) << 64) | (id & u128::from(u64::MAX));
        write(third, (low % LONG_SIZE) as u64);
        let upper = ((high / LONG_SIZE) << 64) | (low / LONG_SIZE);
        write(second, (upper % LONG_SIZE) as u64);
        write(first, (upper / LONG_SIZE) as u64);
        digits
    }

    /// Writes a number with as many digits as there is room for.
    fn write(digits: &mut [u8], mut number: u64) {
        for digit in digits.iter_mut().rev() {
            *digit = BASE62[(number % 62) as usize];
            number /= 62;
        }
    }

    pub(super) fn decode(text: &str) -> Result<(u32, u128), SpellingError> {
        let digits: &[u8; DIGITS] = text.as_bytes().try_into().map_err(|_| SpellingError::Malformed)?;
        let (first, rest) = digits.split_at(DIGITS - 2 * LONG);
        let (second, third) = rest.split_at(LONG);
        let mut values = [0; 3];
        for (value, digits) in values.iter_mut().zip([first, second, third]) {
            *value = read(digits).ok_or(SpellingError::Malformed)?;
        }
        let [first, second, third] = values;
        // 17 digits take 102 bits; with the last ten, each half of these is multiplied on its own.
        let upper = u128::from(first) * LONG_SIZE + u128::from(second);
        let low = (upper & u128::from(u64::MAX)) * LONG_SIZE + u128::from(third);
        let high = (upper >> 64) * LONG_SIZE + (low >> 64);
        let time = u32::try_from(high >> 64).map_err(|_| SpellingError::NamesNothing)?;
        Ok((time, (high << 64) | (low & u128::from(u64::MAX))))
    }

    /// At most ten digits as a number.
    fn read(digits: &[u8]) -> Option<u64> {
        let mut number = 0;
        for &digit in digits {
            let value = BASE62_VALUES[usize::from(digit)];
            if value == NOT_A_DIGIT {
                return None;
            }
            number = number * 62 + u64::from(value);
        }
        Some(number)
    }
}
