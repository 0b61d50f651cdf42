//! JSON bodies, written once into a buffer of the caller's size.
//!
//! Numbers go from integers to digits; no float is on the way. Commas come by themselves.
//!
//! ```
//! use dialects::json::Json;
//!
//! let mut body = Json::with_capacity(64);
//! body.object(|balance| {
//!     balance.key("label").string("Petty \"cash\"");
//!     balance.key("settled").int(1050);
//!     balance.key("parts").array(|parts| {
//!         parts.decimal(-1050, 2);
//!         parts.decimal_string(5, 2);
//!     });
//! });
//! assert_eq!(body.into_bytes(), br#"{"label":"Petty \"cash\"","settled":1050,"parts":[-10.50,"0.05"]}"#);
//! ```

use crate::spelling::Spelled;

/// Writes one JSON text from left to right.
///
/// The caller minds the grammar: a key before each member of an object, nowhere else. There is no `null`: what is
/// absent is left out.
#[derive(Debug, Default)]
pub struct Json {
    body: Vec<u8>,
}

impl Json {
    /// An empty body with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            body: Vec::with_capacity(bytes),
        }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.body
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// An object, whose members `members` writes: each a [`key`](Self::key) and a value.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.body.push(b'{');
        members(self);
        self.body.push(b'}');
    }

    /// An array, whose items `items` writes.
    pub fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.separate();
        self.body.push(b'[');
        items(self);
        self.body.push(b']');
    }

    /// The name of the next value: one of the format's own, which are spelled without anything to escape.
    pub fn key(&mut self, name: &'static str) -> &mut Self {
        self.separate();
        self.body.push(b'"');
        self.body.extend_from_slice(name.as_bytes());
        self.body.extend_from_slice(b"\":");
        self
    }

    /// The name of the next value, whoever chose it.
    pub fn any_key(&mut self, name: &str) -> &mut Self {
        self.string(name);
        self.body.push(b':');
        self
    }

    /// A string, escaped where RFC 8259 asks for it.
    pub fn string(&mut self, text: &str) {
        self.quoted(|body| escape(body, text.as_bytes()));
    }

    /// An id as a string: nothing in its spelling is escaped.
    pub fn id(&mut self, id: &Spelled) {
        self.quoted(|body| body.extend_from_slice(id.as_bytes()));
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.separate();
        self.body
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An integer of any type as a number.
    pub fn int(&mut self, value: impl Integer) {
        self.separate();
        push_int(&mut self.body, value);
    }

    /// An integer of any type as a string.
    pub fn int_string(&mut self, value: impl Integer) {
        self.quoted(|body| push_int(body, value));
    }

    /// An amount in minor units as a number in major units: see [`push_decimal`].
    pub fn decimal(&mut self, minor: i128, places: u8) {
        self.separate();
        push_decimal(&mut self.body, minor, places);
    }

    /// An amount in minor units as a string in major units: see [`push_decimal`].
    pub fn decimal_string(&mut self, minor: i128, places: u8) {
        self.quoted(|body| push_decimal(body, minor, places));
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &str) {
        self.separate();
        self.body.extend_from_slice(json.as_bytes());
    }

    fn quoted(&mut self, text: impl FnOnce(&mut Vec<u8>)) {
        self.separate();
        self.body.push(b'"');
        text(&mut self.body);
        self.body.push(b'"');
    }

    /// A comma, unless the next value is the first of its object or array, or follows its key.
    ///
    /// The last byte tells, since text ends with a quotation mark and can't be mistaken for structure.
    fn separate(&mut self) {
        if !matches!(self.body.last(), None | Some(b'{' | b'[' | b':')) {
            self.body.push(b',');
        }
    }
}

/// An integer of any type.
pub trait Integer: itoa::Integer + Copy + TryInto<i64> {}

impl<T: itoa::Integer + Copy + TryInto<i64>> Integer for T {}

/// Appends an integer's digits.
pub fn push_int(out: &mut Vec<u8>, value: impl Integer) {
    let mut digits = itoa::Buffer::new();
    // Nearly all are small, and two machine words cost several times what one costs.
    let digits = match value.try_into() {
        Ok(small) => digits.format(small),
        Err(_) => digits.format(value),
    };
    out.extend_from_slice(digits.as_bytes());
}

/// Appends an amount of `minor` units in major units with exactly `places` decimals: -1050 with 2 is `-10.50`.
pub fn push_decimal(out: &mut Vec<u8>, minor: i128, places: u8) {
    if minor < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(minor.unsigned_abs()).as_bytes();
    let places = usize::from(places);
    let (major, decimals) = digits.split_at(digits.len().saturating_sub(places));
    out.extend_from_slice(if major.is_empty() { b"0" } else { major });
    if places > 0 {
        out.push(b'.');
        out.resize(out.len() + places - decimals.len(), b'0');
        out.extend_from_slice(decimals);
    }
}

/// How many bytes of a string's text stand before the first that does not stand for itself: a quotation mark, a backslash
/// or a control character. Eight are looked at together: strings are mostly so short that a library's search would take
/// longer to begin than to end.
pub(crate) fn ordinary(text: &[u8]) -> usize {
    let mut before = 0;
    for word in text.as_chunks().0 {
        if let Some(found) = first_special(word) {
            return before + found;
        }
        before += word.len();
    }
    // The last eight again, of which the first ones are known to be ordinary.
    match text.last_chunk() {
        Some(last) => text.len() - first_special(last).map_or(0, |found| last.len() - found),
        None => text.iter().position(is_special).unwrap_or(text.len()),
    }
}

const fn is_special(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..b' ')
}

/// The first of eight bytes that is special.
fn first_special(bytes: &[u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let word = u64::from_le_bytes(*bytes);
    // The highest bit of each byte that is below `limit`, and no other below the lowest of these: a borrow makes mistakes above
    // it alone.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let found = (is(b'"') | is(b'\\') | below(word, b' ')) & HIGHS;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Appends what stands between a string's quotation marks.
fn escape(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let (plain, rest) = text.split_at(ordinary(text));
        out.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else {
            return;
        };
        text = rest;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            0x08 => out.extend_from_slice(br"\b"),
            0x0c => out.extend_from_slice(br"\f"),
            _ => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_special_is_found() {
        let text = "0123456789abcdef\u{7f}é1234567";
        for len in 0..text.len() {
            assert_eq!(ordinary(&text.as_bytes()[..len]), len);
            for at in 0..len {
                for found in [b'"', b'\\', 0, 0x1f] {
                    let mut text = text.as_bytes()[..len].to_vec();
                    text[at] = found;
                    text[len - 1] = if at == len - 1 { found } else { b' ' };
                    assert_eq!(ordinary(&text), at);
                }
            }
        }
    }
}
