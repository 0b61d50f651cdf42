//! Text about people: names, labels, references, foreign ids, metadata.
//!
//! The ledger never sees it. It keeps what the service sealed, byte for byte, under a key that lies elsewhere and can be
//! thrown away; so the journal is for ever, and a name in it is not. What is searched for carries a keyed hash beside it.
//!
//! What a caller asks is an [`Action<Plain>`](crate::Action); what is decided, recorded and kept is an
//! [`Action<Sealed>`](crate::Action), and [`Action::seal`](crate::Action::seal) is the one way from the one to the other.
//! A text that would be forgotten there does not compile.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::Hash;

use crate::id::{BookNo, ClientId, CustomerId, Owner};

/// How texts are written: plain or sealed.
pub trait Form: Copy + Eq + Hash + fmt::Debug + Default + 'static {
    /// A text that is shown.
    type Text: Bytes;
    /// A text that is shown and searched for.
    type Findable: Bytes;
}

/// What a text of either form can do.
pub trait Bytes: Clone + Eq + Hash + fmt::Debug + Default + Serialize + DeserializeOwned {
    /// All of it.
    fn bytes(&self) -> &[u8];
}

/// As the caller wrote it: before sealing, and after opening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Plain;

/// As it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sealed;

impl Form for Plain {
    type Text = Box<str>;
    type Findable = Box<str>;
}

impl Form for Sealed {
    type Text = Text;
    type Findable = Findable;
}

impl Bytes for Box<str> {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A sealed text. An empty one has nothing to hide and stays empty.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Text(#[serde(with = "serde_bytes")] Box<[u8]>);

impl Text {
    /// What a sealer made.
    #[must_use]
    pub fn new(sealed: impl Into<Box<[u8]>>) -> Self {
        Self(sealed.into())
    }

    /// Whether there is no text at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Bytes for Text {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({})", self.0.escape_ascii())
    }
}

/// What a text is found by: a hash under a key of the book, which says nothing to who lacks that key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Lookup(pub [u8; 16]);

/// A sealed text behind its [`Lookup`].
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Findable(#[serde(with = "serde_bytes")] Box<[u8]>);

impl Findable {
    /// What a sealer made, found by `lookup`.
    #[must_use]
    pub fn new(lookup: Lookup, sealed: &[u8]) -> Self {
        Self([&lookup.0, sealed].concat().into())
    }

    /// The bytes of one, as a record holds them. `None` when they are too few.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk::<16>().map(|_| Self(bytes.into()))
    }

    /// What it is found by.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        Lookup(*self.0.first_chunk().expect("made with a lookup in front"))
    }

    /// What was sealed.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.0[16..]
    }
}

impl Default for Findable {
    fn default() -> Self {
        Self::new(Lookup([0; 16]), &[])
    }
}

impl Bytes for Findable {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Findable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Findable({})", self.0.escape_ascii())
    }
}

/// Whose key a text is under: a client's or customer's id, or the number of a book. Ids of parties are UUIDs of version 7,
/// which no number of a book is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Subject(pub u128);

impl Subject {
    /// The operator: what book 0 knows of nobody else.
    pub const OPERATOR: Self = Self(0);

    /// A book as a whole: its key hashes what is searched for and what was asked.
    #[must_use]
    pub const fn book(no: BookNo) -> Self {
        Self(no.0 as u128)
    }
}

impl From<ClientId> for Subject {
    fn from(id: ClientId) -> Self {
        Self(id.0)
    }
}

impl From<CustomerId> for Subject {
    fn from(id: CustomerId) -> Self {
        Self(id.0)
    }
}

impl From<Owner> for Subject {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Client(id) => id.into(),
            Owner::Customer(id) => id.into(),
        }
    }
}

/// Which text of a thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Field {
    /// A client's name.
    ClientName = 1,
    /// A client's foreign id.
    ClientExternalId = 2,
    /// A client's metadata.
    ClientMetadata = 3,
    /// A key's label.
    KeyLabel = 4,
    /// A customer's name.
    CustomerName = 5,
    /// A customer's foreign id.
    CustomerExternalId = 6,
    /// A customer's metadata.
    CustomerMetadata = 7,
    /// Where a customer stands with what is owed.
    DunningLabel = 8,
    /// An account's label.
    AccountLabel = 9,
    /// An account's foreign id.
    AccountExternalId = 10,
    /// An account's metadata.
    AccountMetadata = 11,
    /// A transaction's reference.
    Reference = 12,
    /// A transaction's foreign id.
    TransactionExternalId = 13,
    /// A transaction's metadata.
    TransactionMetadata = 14,
}

/// Where a text belongs: sealed with it, so that no text can be put in the place of another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// Which text.
    pub field: Field,
    /// The id of the client, key, customer, account or transaction.
    pub id: u128,
}

/// Makes sealed texts of plain ones.
pub trait Sealer {
    /// Seals `plain` under the key of `party`.
    fn text(&mut self, party: Subject, place: Place, plain: &str) -> Text;

    /// The same, for a text that is searched for.
    fn findable(&mut self, party: Subject, place: Place, plain: &str) -> Findable;
}
