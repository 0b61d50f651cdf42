//! What strings may be, in bodies and in queries alike.

use ledger::{
    AccountId, AccountStatus, Amount, AssetKind, AssetName, ClientId, CreditChange, Decimal, HoldStatus,
    Micros, Position, Purpose, Scopes, TransactionId,
};

use super::query::whole_number;
use crate::{spelling, time};

/// What a string must be, and how it is read.
pub(super) struct Form<T> {
    /// What is expected, behind "must be".
    pub(super) expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Form<T> {
    /// Reads a string, if it is what it must be.
    pub(super) fn read(&self, text: &str) -> Option<T> {
        (self.read)(text)
    }

    /// Reads a string, or says what it must be.
    pub(super) fn parse(&self, text: &str) -> Result<T, String> {
        self.read(text)
            .ok_or_else(|| format!("must be {}", self.expected))
    }
}

/// The most characters of a reference and of a foreign id.
const REFERENCE_MAX: usize = 200;

/// The most digits of a rate on either side of the point.
const RATE_DIGITS: usize = 18;

const AN_ID: &str = "an id: a UUID, or in another spelling such as `acct_` and 27 digits";

/// Any string; who takes it says how long it may be.
pub(super) const TEXT: Form<String> = Form {
    expected: "a string",
    read: |text| Some(text.to_owned()),
};

/// A reference, or a foreign id.
pub(super) const REFERENCE: Form<String> = Form {
    expected: "a string of 1 to 200 characters, none of them U+0000",
    read: |text| {
        let sized = (1..=REFERENCE_MAX).contains(&text.chars().count());
        (sized && !text.contains('\0')).then(|| text.to_owned())
    },
};

/// An amount in minor units.
pub(super) const AMOUNT: Form<Amount> = Form {
    expected: "a string of minor units, such as \"1050\": digits alone, no zero before others, at most 2^127 - 1",
    read: |text| Amount::parse(text).ok(),
};

/// A credit limit.
pub(super) const CREDIT: Form<CreditChange> = Form {
    expected: "a string of minor units, such as \"1050\", at most 2^127 - 1, or \"unlimited\"",
    read: |text| match text {
        "unlimited" => Some(CreditChange::Unlimited),
        _ => Amount::parse(text).ok().map(CreditChange::Limit),
    },
};

/// An id in any spelling.
pub(super) const ID: Form<u128> = Form {
    expected: AN_ID,
    read: spelling::parse_any,
};

/// A client's id.
pub(super) const CLIENT: Form<ClientId> = Form {
    expected: AN_ID,
    read: |text| spelling::parse_any(text).map(ClientId),
};

/// An account's id.
pub(super) const ACCOUNT: Form<AccountId> = Form {
    expected: AN_ID,
    read: |text| spelling::parse_any(text).map(AccountId),
};

/// The id of a transaction, which the caller may choose.
pub(super) const TRANSACTION: Form<TransactionId> = Form {
    expected: "a UUID that is not nil",
    read: |text| spelling::parse_any(text).filter(|id| *id != 0).map(TransactionId),
};

/// An asset's name.
pub(super) const ASSET: Form<AssetName> = Form {
    expected: "an asset such as `USD` or `USDC@ethereum`",
    read: AssetName::parse,
};

/// A point in time.
pub(super) const TIME: Form<Micros> = Form {
    expected: "a time of RFC 3339 in UTC, such as `2026-11-20T10:39:00Z`",
    read: |text| {
        // An offset can lead beyond the years that have four digits.
        let bounds = "0001-01-01T00:00:00.000000Z"..="9999-12-31T23:59:59.999999Z";
        time::parse(text).filter(|at| bounds.contains(&time::format(*at).as_str()))
    },
};

/// A position in a book.
pub(super) const POSITION: Form<Position> = Form {
    expected: "a position: digits alone",
    read: |text| whole_number(text).map(Position),
};

/// A rate: a decimal without sign or exponent.
pub(super) const RATE: Form<Decimal> = Form {
    expected: "a decimal in a string, such as \"1.0832\": at most 18 digits before and 18 behind the point",
    read: decimal,
};

/// A purpose.
pub(super) const PURPOSE: Form<Purpose> = Form {
    expected: "one of main, receivable, credit, card, wallet, internal, external",
    read: |text| Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == text),
};

/// The status of an account.
pub(super) const ACCOUNT_STATUS: Form<AccountStatus> = Form {
    expected: "one of active, frozen, closed",
    read: |text| {
        AccountStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
    },
};

/// How a hold stands.
pub(super) const HOLD_STATUS: Form<HoldStatus> = Form {
    expected: "one of held, captured, released, expired",
    read: |text| match text {
        "held" => Some(HoldStatus::Held),
        "captured" => Some(HoldStatus::Captured),
        "released" => Some(HoldStatus::Released),
        "expired" => Some(HoldStatus::Expired),
        _ => None,
    },
};

/// The sort of an asset.
pub(super) const ASSET_KIND: Form<AssetKind> = Form {
    expected: "one of fiat, stablecoin, custom",
    read: |text| match text {
        "fiat" => Some(AssetKind::Fiat),
        "stablecoin" => Some(AssetKind::Stablecoin),
        "custom" => Some(AssetKind::Custom),
        _ => None,
    },
};

/// A scope that a client's key may have.
pub(super) const SCOPE: Form<Scopes> = Form {
    expected: "one of read, post, ledger:force, rates, admin, CUSTOMER_ACCOUNT_READ",
    read: |text| Scopes::parse(text).filter(|scope| service::auth::CLIENT_SCOPES.contains(*scope)),
};

fn decimal(text: &str) -> Option<Decimal> {
    let (whole, places) = match text.split_once('.') {
        Some((whole, places)) if !places.is_empty() => (whole, places),
        Some(_) => return None,
        None => (text, ""),
    };
    let leads = whole.len() > 1 && whole.starts_with('0');
    let sized = (1..=RATE_DIGITS).contains(&whole.len()) && places.len() <= RATE_DIGITS;
    let digits = || whole.bytes().chain(places.bytes());
    if leads || !sized || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Decimal {
        // At most 36 digits: far below 2¹²⁸.
        digits: digits().fold(0, |sum, byte| sum * 10 + u128::from(byte - b'0')),
        scale: places.len() as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_plain_decimals() {
        for (text, digits, scale) in [
            ("1.0832", 10_832, 4),
            ("0.5", 5, 1),
            ("0", 0, 0),
            ("1.50", 150, 2),
            ("999999999999999999.999999999999999999", 10_u128.pow(36) - 1, 18),
        ] {
            assert_eq!(decimal(text), Some(Decimal { digits, scale }), "{text}");
        }
        for text in [
            "",
            ".",
            ".5",
            "5.",
            "01.5",
            "00",
            "-1",
            "+1",
            "1e5",
            "1,5",
            " 1",
            "1.2.3",
            "½",
            "٣",
            "1000000000000000000",
            "0.0000000000000000001",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_years_of_four_digits() {
        for text in [
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "2026-11-20T10:39:00.5+02:00",
        ] {
            assert!(TIME.parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T10:39:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "2026-02-30T00:00:00Z",
            "1795171140",
            "2026-11-20 10:39:00Z",
        ] {
            assert!(TIME.parse(text).is_err(), "{text}");
        }
    }
}
