//! Whole numbers of up to 128 bits as PostgreSQL's `numeric`, in its binary form: digits of base 10,000, the highest first.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use ledger::Amount;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

const BASE: u128 = 10_000;
const NEGATIVE: u16 = 0x4000;

/// A whole number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Numeric(pub(crate) i128);

impl From<Amount> for Numeric {
    fn from(amount: Amount) -> Self {
        Self(amount.signed())
    }
}

impl Numeric {
    /// The number as an amount, if it is one.
    pub(crate) fn amount(self) -> Option<Amount> {
        u128::try_from(self.0).ok().and_then(Amount::new)
    }
}

/// A whole number of any size, modulo 2¹²⁸: sums on the way to one that fits may not fit themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wrapped(pub(crate) i128);

type Failed = Box<dyn Error + Sync + Send>;

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        let mut digits = Vec::with_capacity(10);
        let mut rest = self.0.unsigned_abs();
        while rest > 0 {
            digits.push(u16::try_from(rest % BASE)?);
            rest /= BASE;
        }
        let count = i16::try_from(digits.len())?;
        out.put_i16(count);
        out.put_i16((count - 1).max(0));
        out.put_u16(if self.0 < 0 { NEGATIVE } else { 0 });
        out.put_u16(0);
        digits.iter().rev().for_each(|digit| out.put_u16(*digit));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }

    to_sql_checked!();
}

/// The digits of base 10,000, with their sign, the highest first.
fn digits(raw: &[u8]) -> Result<impl Iterator<Item = i128>, Failed> {
    let mut words = raw
        .chunks_exact(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    let mut word = || words.next().ok_or("a numeric ends too early");
    let (count, weight, sign, _) = (usize::from(word()?), word()?.cast_signed(), word()?, word()?);
    let places = usize::try_from(i32::from(weight) + 1).unwrap_or_default();
    if (sign != 0 && sign != NEGATIVE) || count > places || words.len() != count {
        return Err("a numeric is no whole number".into());
    }
    let sign = if sign == NEGATIVE { -1 } else { 1 };
    // Zeros at the end are not sent.
    let sent = words.chain(std::iter::repeat(0)).take(places);
    Ok(sent
        .map(move |digit| i128::from(digit) * sign)
        .collect::<Vec<_>>()
        .into_iter())
}

impl<'a> FromSql<'a> for Numeric {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        let mut value = 0i128;
        for digit in digits(raw)? {
            let next = value
                .checked_mul(10_000)
                .and_then(|value| value.checked_add(digit));
            value = next.ok_or("a numeric is no i128")?;
        }
        Ok(Self(value))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }
}

impl<'a> FromSql<'a> for Wrapped {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        let push = |value: i128, digit| value.wrapping_mul(10_000).wrapping_add(digit);
        Ok(Self(digits(raw)?.fold(0, push)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        for number in [
            0,
            1,
            -1,
            9_999,
            10_000,
            -10_000,
            123_456_789_000_000,
            i128::MAX,
            i128::MIN,
        ] {
            let mut bytes = BytesMut::new();
            Numeric(number)
                .to_sql(&Type::NUMERIC, &mut bytes)
                .expect("it is written");
            let back = Numeric::from_sql(&Type::NUMERIC, &bytes).expect("it is read");
            assert_eq!(back, Numeric(number));
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        // 0.5: one digit of weight -1.
        let half = [0, 1, 0xff, 0xff, 0, 0, 0, 1, 0x13, 0x88];
        assert!(Numeric::from_sql(&Type::NUMERIC, &half).is_err());
        assert!(Numeric::from_sql(&Type::NUMERIC, &half[..3]).is_err());
    }
}
