//! Minimal-length integers: groups of seven bits, the lowest first, the high bit set on all but the last.

/// Appends a value.
#[inline]
pub fn put(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        put_long(out, value);
    }
}

/// What has at most eight groups, that is nearly all, is written at once.
fn put_long(out: &mut Vec<u8>, value: u64) {
    const EIGHT: u64 = 1 << 56;
    if value < EIGHT {
        let groups = (70 - value.leading_zeros()) as usize / 7;
        let bytes = spread(value) | 0x8080_8080_8080_8080 >> (72 - 8 * groups);
        let end = out.len() + groups;
        out.extend_from_slice(&bytes.to_le_bytes());
        out.truncate(end);
    } else {
        put_longest(out, value);
    }
}

#[cold]
fn put_longest(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a value of two words.
#[inline]
pub fn put_wide(out: &mut Vec<u8>, mut value: u128) {
    // Nearly all values are short, and two words cost several times what one costs.
    while value > u128::from(u64::MAX) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    put(out, value as u64);
}

/// The eight groups of seven bits, each in a byte of its own.
fn spread(value: u64) -> u64 {
    let halves = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = (halves & 0x0000_3fff_0000_3fff) | (halves & 0x0fff_c000_0fff_c000) << 2;
    (quarters & 0x007f_007f_007f_007f) | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

#[cfg(test)]
mod tests {
    use super::{put, put_wide};

    fn one_by_one(mut value: u128) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    #[test]
    fn all_groups_at_once_are_the_groups_one_by_one() {
        for bit in 0..128 {
            for value in [1 << bit, (1 << bit) - 1, (1 << bit) | (0x5a5a_u128 << bit >> 9)] {
                let mut out = vec![7];
                put_wide(&mut out, value);
                assert_eq!(out[1..], one_by_one(value), "{value}");
                if let Ok(short) = u64::try_from(value) {
                    out.clear();
                    put(&mut out, short);
                    assert_eq!(out, one_by_one(value), "{value}");
                }
            }
        }
    }
}
