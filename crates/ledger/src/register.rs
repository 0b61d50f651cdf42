//! The register: clients, customers, API keys and rates, as rows; for accounts see [`crate::account`].

use crate::asset::AssetName;
use crate::id::{ApiKeyId, BookNo, ClientId, CustomerId, Position};
use crate::text::{Form, Sealed, Text};
use crate::time::Micros;
use serde::{Deserialize, Serialize};

/// What callers hang on clients, customers, accounts and transactions; the ledger never reads it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Notes<F: Form = Sealed> {
    /// The caller's own id of the thing.
    pub external_id: Option<F::Findable>,
    /// A JSON object as text, at most 4 KiB.
    pub metadata: Option<F::Text>,
}

/// A business that holds API keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The book that it is the root of, or in which it is a subsidiary.
    pub book: BookNo,
    /// The order of creation in the book; the root client is 0.
    pub no: u32,
    /// The root client, for a subsidiary.
    pub parent: Option<ClientId>,
    /// Its name in law.
    pub legal_name: Text,
    /// The IANA time zone that decides its due dates and daily limits.
    pub time_zone: Box<str>,
    /// The caller's notes.
    pub notes: Notes,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
}

/// Where a customer stands with what is owed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Dunning<F: Form = Sealed> {
    /// A label such as "Dunning Level 1".
    pub label: Option<F::Text>,
    /// Whether open claims were handed to a collection agency.
    pub in_debt_collection: bool,
}

/// A customer of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// The order of creation in the book, from 0.
    pub no: u32,
    /// The client it belongs to.
    pub client: ClientId,
    /// Its number, 1 ..= 2⁶³ − 1, unique in the book.
    pub number: i64,
    /// Its name in law.
    pub legal_name: Text,
    /// Where it stands with what is owed.
    pub dunning: Dunning,
    /// The caller's notes.
    pub notes: Notes,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
    /// When what was written about it became unreadable.
    pub erased_at: Option<Micros>,
}

/// What a key may do: a set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Scopes(pub u16);

impl Scopes {
    /// Read whatever the key's client sees.
    pub const READ: Self = Self(1);
    /// Post, capture, release and reverse.
    pub const POST: Self = Self(1 << 1);
    /// Post below the floor.
    pub const FORCE: Self = Self(1 << 2);
    /// Put rates.
    pub const RATES: Self = Self(1 << 3);
    /// Change the register: clients, customers, accounts, keys, assets.
    pub const ADMIN: Self = Self(1 << 4);
    /// The one scope of Magicline's balance endpoint.
    pub const CUSTOMER_ACCOUNT_READ: Self = Self(1 << 5);
    /// The operator's: book 0, and any book that a request names.
    pub const OPERATOR: Self = Self(1 << 6);

    /// Each scope with the word the API uses.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::READ, "read"),
        (Self::POST, "post"),
        (Self::FORCE, "ledger:force"),
        (Self::RATES, "rates"),
        (Self::ADMIN, "admin"),
        (Self::CUSTOMER_ACCOUNT_READ, "CUSTOMER_ACCOUNT_READ"),
        (Self::OPERATOR, "operator"),
    ];

    /// Whether every scope of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The words of the scopes in this set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(scope, _)| self.contains(*scope))
            .map(|(_, word)| word)
    }

    /// The scope of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(_, name)| *name == word)
            .map(|(scope, _)| scope)
    }
}

/// An API key. Its secret is kept as a hash alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, which the public half of a credential spells.
    pub id: ApiKeyId,
    /// The order of creation in the book, from 0.
    pub no: u32,
    /// The book it opens.
    pub book: BookNo,
    /// The client it acts for; `None` for an operator's key.
    pub client: Option<ClientId>,
    /// A label for people.
    pub label: Text,
    /// What it may do.
    pub scopes: Scopes,
    /// BLAKE3 of the secret.
    pub secret_hash: [u8; 32],
    /// From when on it no longer works.
    pub expires_at: Option<Micros>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

impl ApiKey {
    /// Whether the key works at `now`.
    #[must_use]
    pub fn is_live(&self, now: Micros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A rate as a decimal: `digits` × 10⁻ˢᶜᵃˡᵉ units of the quote for one unit of the base.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Decimal {
    /// All digits as one integer, 1 ..= 10³⁶ − 1.
    pub digits: u128,
    /// How many of them stand behind the point, 0 ..= 18.
    pub scale: u8,
}

/// A rate as it was put: from `as_of` on, one `base` is worth `rate` `quote`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rate {
    /// What is priced. A stablecoin without a network stands for it on every network.
    pub base: AssetName,
    /// What it is priced in.
    pub quote: AssetName,
    /// The price.
    pub rate: Decimal,
    /// From when on it counts.
    pub as_of: Micros,
    /// Who says so.
    pub source: Box<str>,
}

/// A rate in a book's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RateRow {
    /// The rate.
    pub rate: Rate,
    /// The command that put it.
    pub position: Position,
    /// When that was.
    pub recorded_at: Micros,
}
