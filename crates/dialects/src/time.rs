//! Points in time as RFC 3339 writes them, in UTC, of the years 0001 to 9999.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use ledger::Micros;

/// In microseconds.
const DAY: i64 = 86_400_000_000;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z.
const LAST: i64 = 253_402_300_799_999_999;

/// `2026-11-20T10:39:00.000001Z`: always six places, so that texts sort as times do. A time beyond the years that can be
/// written is shown as the first or last moment of these.
#[must_use]
pub fn format(time: Micros) -> String {
    let micros = time.0.clamp(FIRST, LAST);
    let since = SignedDuration::from_hours(24 * micros.div_euclid(DAY));
    let date = EPOCH.date().saturating_add(since);
    let of_day = micros.rem_euclid(DAY);
    let seconds = of_day / 1_000_000;
    // Most answers show times, and a formatter that knows other forms too takes five times as long.
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (start, places, mut number) in [
        (0, 4, i64::from(date.year())),
        (5, 2, i64::from(date.month())),
        (8, 2, i64::from(date.day())),
        (11, 2, seconds / 3600),
        (14, 2, seconds / 60 % 60),
        (17, 2, seconds % 60),
        (20, 6, of_day % 1_000_000),
    ] {
        for digit in text[start..start + places].iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
    }
    String::from_utf8(text.to_vec()).expect("digits are ASCII")
}

/// Reads an RFC 3339 time with a `Z` or an offset; what is finer than a microsecond is cut off.
#[must_use]
pub fn parse(text: &str) -> Option<Micros> {
    if !has_form(text.as_bytes()) {
        return None;
    }
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
    let utc = local - SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
    let micros = i64::try_from(utc.as_nanos().div_euclid(1000)).ok()?;
    (FIRST..=LAST).contains(&micros).then_some(Micros(micros))
}

/// Whether the text has RFC 3339's grammar: the library also takes much of ISO 8601 and RFC 9557.
fn has_form(text: &[u8]) -> bool {
    const UP_TO_SECONDS: &[u8; 19] = b"0000-00-00T00:00:00";
    let Some((start, rest)) = text.split_at_checked(UP_TO_SECONDS.len()) else {
        return false;
    };
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'T' => b"Tt".contains(byte),
        other => byte == other,
    };
    let offset = match rest.split_first() {
        Some((b'.', places)) => {
            let digits = places.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            &places[digits..]
        }
        _ => rest,
    };
    let is_offset = match offset {
        b"Z" | b"z" => true,
        [b'+' | b'-', hours_and_minutes @ ..] => {
            hours_and_minutes.len() == 5 && hours_and_minutes.iter().zip(b"00:00").all(fits)
        }
        _ => false,
    };
    is_offset && start.iter().zip(UP_TO_SECONDS).all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_and_times() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2026-11-20T10:39:00.000001Z", 1_795_171_140_000_001),
            ("0001-01-01T00:00:00.000000Z", FIRST),
            ("9999-12-31T23:59:59.999999Z", LAST),
        ] {
            assert_eq!(
                (parse(text), format(Micros(micros))),
                (Some(Micros(micros)), text.to_owned())
            );
        }
        for (text, micros) in [
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T02:00:00+02:00", 0),
            ("1969-12-31T18:30:00.5-05:30", 500_000),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T00:00:00.123456789Z", 123_456),
            ("1969-12-31T23:59:59.999999999Z", -1),
        ] {
            assert_eq!(parse(text), Some(Micros(micros)), "{text}");
        }
        assert_eq!(format(Micros::MIN), "0001-01-01T00:00:00.000000Z");
        assert_eq!(format(Micros::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn texts_of_other_forms() {
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00,5Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+02",
            "1970-01-01T00:00:00+0200",
            "1970-01-01T00:00:00Z[UTC]",
            "1970-02-29T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "+001970-01-01T00:00:00Z",
            "1970-W01-1T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "１970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_written_as_the_library_writes_it(micros in FIRST..=LAST) {
            let there = EPOCH.saturating_add(SignedDuration::from_micros(micros));
            prop_assert_eq!(format(Micros(micros)), format!("{there:.6}Z"));
        }

        #[test]
        fn every_time_has_one_text(micros in FIRST..=LAST) {
            prop_assert_eq!(parse(&format(Micros(micros))), Some(Micros(micros)));
        }
    }
}
