//! Assets: what money is counted in. ISO 4217 fiat and the common stablecoins are built in; more can be registered.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};

use iso_currency::IntoEnumIterator;

/// The number of an asset, as entries and balances carry it.
///
/// 0-999 is the ISO 4217 numeric code; 1000-1099 the built-in stablecoins in the order of [`STABLECOINS`];
/// above that the registered ones: even numbers are the operator's, odd ones a book's own, in order of
/// registration. So a number means the same in every store that holds the book.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AssetNo(pub u32);

impl AssetNo {
    const FIRST_REGISTERED: u32 = 1100;

    /// The number of the `nth` asset (from 0) that the operator (`shared`) or a book registered.
    #[must_use]
    pub const fn registered(shared: bool, nth: u32) -> Self {
        Self(Self::FIRST_REGISTERED + 2 * nth + if shared { 0 } else { 1 })
    }

    /// Whether every book sees this asset: built in, or registered by the operator.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.0 < Self::FIRST_REGISTERED || self.0.is_multiple_of(2)
    }
}

/// The longest asset code, in characters.
pub const CODE_MAX: usize = 16;
/// The longest network name, in characters.
pub const NETWORK_MAX: usize = 16;

/// A code and an optional network as they are written: `USD`, `USDC@ethereum`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssetName {
    text: [u8; CODE_MAX + 1 + NETWORK_MAX],
    code_len: u8,
    len: u8,
}

impl Hash for AssetName {
    /// The first sixteen bytes at once: few names have more.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, rest) = self.text.split_first_chunk::<16>().expect("a name has more room");
        state.write_u128(u128::from_le_bytes(*first));
        if usize::from(self.len) > first.len() {
            state.write(rest);
        }
    }
}

impl AssetName {
    /// Reads `CODE` or `CODE@network`: the code 1-16 of `A-Z 0-9 . _ -` beginning with a letter, the network 1-16 of
    /// `a-z 0-9 -`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (code, network) = match text.split_once('@') {
            Some((code, network)) => (code, Some(network)),
            None => (text, None),
        };
        Self::new(code, network)
    }

    /// A name from its parts; see [`AssetName::parse`] for what they may hold.
    #[must_use]
    pub fn new(code: &str, network: Option<&str>) -> Option<Self> {
        let code_ok = (1..=CODE_MAX).contains(&code.len())
            && code.as_bytes()[0].is_ascii_uppercase()
            && code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"._-".contains(&b));
        let network_ok = network.is_none_or(|network| {
            (1..=NETWORK_MAX).contains(&network.len())
                && network
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
        if !code_ok || !network_ok {
            return None;
        }
        let mut name = Self {
            text: [0; CODE_MAX + 1 + NETWORK_MAX],
            code_len: code.len() as u8,
            len: code.len() as u8,
        };
        name.text[..code.len()].copy_from_slice(code.as_bytes());
        if let Some(network) = network {
            name.text[code.len()] = b'@';
            let start = code.len() + 1;
            name.text[start..start + network.len()].copy_from_slice(network.as_bytes());
            name.len = (start + network.len()) as u8;
        }
        Some(name)
    }

    /// The whole name, as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.part(0, self.len)
    }

    /// The part before the `@`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.part(0, self.code_len)
    }

    /// The part after the `@`, if there is one.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        (self.code_len < self.len).then(|| self.part(self.code_len + 1, self.len))
    }

    /// All of it is ASCII.
    fn part(&self, start: u8, end: u8) -> &str {
        std::str::from_utf8(&self.text[usize::from(start)..usize::from(end)]).unwrap_or_default()
    }
}

impl Serialize for AssetName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AssetName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an asset's name"))
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What sort of thing an asset is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum AssetKind {
    /// An ISO 4217 currency.
    Fiat,
    /// A token that follows a currency.
    Stablecoin,
    /// Anything else that is counted: points, minutes, units of a fund.
    Custom,
}

impl AssetKind {
    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fiat => "fiat",
            Self::Stablecoin => "stablecoin",
            Self::Custom => "custom",
        }
    }
}

/// The most decimal places an asset may have.
pub const EXPONENT_MAX: u8 = 30;

/// An asset. Its exponent never changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Its number.
    pub no: AssetNo,
    /// How it is written.
    pub name: AssetName,
    /// Decimal places: a minor unit is 10⁻ᵉˣᵖᵒⁿᵉⁿᵗ of the asset; 0 ..= 30.
    pub exponent: u8,
    /// What sort it is.
    pub kind: AssetKind,
}

/// The built-in stablecoins: code, network, exponent as their issuers define it. RLUSD's is chosen when a store is
/// created (its issuer publishes none for the XRP Ledger); 6 stands here.
pub const STABLECOINS: [(&str, &str, u8); 7] = [
    ("USDC", "ethereum", 6),
    ("USDC", "base", 6),
    ("USDC", "polygon", 6),
    ("USDC", "solana", 6),
    ("USDT", "ethereum", 6),
    ("USDT", "tron", 6),
    ("RLUSD", "xrpl", 6),
];

/// The assets that every store knows, with `rlusd_exponent` places for RLUSD. ISO 4217 codes without a minor unit (gold,
/// test codes, funds) are not money here and are left out.
#[must_use]
pub fn built_in(rlusd_exponent: u8) -> Vec<Asset> {
    let fiat = iso_currency::Currency::iter()
        .filter_map(|currency| {
            let exponent = currency.exponent().and_then(|places| u8::try_from(places).ok())?;
            let name = AssetName::new(currency.code(), None)?;
            Some(Asset {
                no: AssetNo(u32::from(currency.numeric())),
                name,
                exponent,
                kind: AssetKind::Fiat,
            })
        })
        .collect::<Vec<_>>();
    let coins = STABLECOINS
        .iter()
        .zip(1000..)
        .filter_map(|((code, network, exponent), no)| {
            let exponent = if *code == "RLUSD" {
                rlusd_exponent
            } else {
                *exponent
            };
            let name = AssetName::new(code, Some(network))?;
            Some(Asset {
                no: AssetNo(no),
                name,
                exponent,
                kind: AssetKind::Stablecoin,
            })
        });
    fiat.into_iter().chain(coins).collect()
}
