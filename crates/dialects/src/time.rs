//! Points in time as RFC 3339 writes them, in UTC.

use jiff::Timestamp;
use ledger::Micros;

/// `2026-11-20T10:39:00.000001Z`: always six places, so that texts sort as times do. Times beyond the years 0001 to 9999
/// are shown as the first or last moment of these.
#[must_use]
pub fn format(time: Micros) -> String {
    let bounds = (Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
    let at = Timestamp::from_microsecond(time.0.clamp(bounds.0, bounds.1));
    format!("{:.6}", at.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Reads an RFC 3339 time with a `Z` or an offset; what is finer than a microsecond is cut off.
#[must_use]
pub fn parse(text: &str) -> Option<Micros> {
    // The library also takes RFC 9557's annotations and ISO 8601's week dates; RFC 3339 has neither.
    let plain = |byte: u8| byte.is_ascii_digit() || b"-+:.TtZz".contains(&byte);
    if !text.bytes().all(plain) || text.as_bytes().get(10).is_none_or(|byte| !b"Tt".contains(byte)) {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    Some(Micros(at.as_nanosecond().div_euclid(1000).try_into().ok()?))
}
