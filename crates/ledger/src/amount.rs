//! Amounts of money: unsigned integers of minor units, at most 2¹²⁷ − 1, so that every balance is an `i128`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount in minor units (cents of USD, 10⁻⁶ of USDC): 0 ..= 2¹²⁷ − 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
// A word's alignment is enough, as of ids.
#[repr(Rust, packed(8))]
pub struct Amount(u128);

impl From<u64> for Amount {
    fn from(minor: u64) -> Self {
        Self(u128::from(minor))
    }
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount: 2¹²⁷ − 1 minor units.
    pub const MAX: Self = Self(i128::MAX as u128);

    /// An amount of `minor` units, or `None` above [`Amount::MAX`].
    #[must_use]
    pub const fn new(minor: u128) -> Option<Self> {
        if minor <= Self::MAX.0 {
            Some(Self(minor))
        } else {
            None
        }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The number of minor units as a signed number; it always fits.
    #[must_use]
    pub const fn signed(self) -> i128 {
        self.0 as i128
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` above [`Amount::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Both are below 2¹²⁷, so the machine sum can't wrap.
        Self::new(self.0 + other.0)
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Reads canonical digits: `0|[1-9][0-9]*`, no sign, no padding, no exponent.
    ///
    /// # Errors
    /// What is wrong with the text, as a sentence for the caller.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let digits = text.as_bytes();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(AmountError::NotDigits);
        }
        if digits[0] == b'0' && digits.len() > 1 {
            return Err(AmountError::LeadingZero);
        }
        // Nearly all are small, and two machine words cost several times what one costs.
        if let Ok(small) = text.parse::<u64>() {
            return Ok(Self(small.into()));
        }
        let mut value: u128 = 0;
        for digit in digits {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(u128::from(digit - b'0')))
                .filter(|v| *v <= Self::MAX.0)
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AmountError {
    /// Something other than the digits 0-9, or nothing at all.
    NotDigits,
    /// "007" and the like: one amount has one spelling.
    LeadingZero,
    /// Above 2¹²⁷ − 1.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDigits => "must be minor units in digits only, such as \"1050\" for 10.50 USD",
            Self::LeadingZero => "must not start with a zero; write \"7\", not \"007\"",
            Self::TooLarge => {
                "must be at most 170141183460469231731687303715884105727 (2^127 - 1) minor units"
            }
        })
    }
}

impl std::error::Error for AmountError {}
