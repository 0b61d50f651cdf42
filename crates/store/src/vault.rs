//! Keys of texts: beside the books, never in them, so that they can be thrown away.

use std::fmt;

/// The key that what was written about somebody is sealed under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextKey(pub [u8; 32]);

/// Never says the key.
impl fmt::Debug for TextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextKey")
    }
}
