//! Names of things: one 128-bit id for every party, account and transaction; dense numbers inside a book.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        // A word's alignment is enough: by that of `u128`, an id that may be missing would take 32 bytes instead of 24.
        #[repr(Rust, packed(8))]
        pub struct $name(pub u128);

        impl $name {
            /// The sixteen bytes of the id, most significant first, as in a UUID.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// An id from its sixteen bytes, most significant first.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }
    )*};
}

ids! {
    /// A client: a business that holds API keys.
    ClientId;
    /// A customer of a client.
    CustomerId;
    /// An account of a client or a customer.
    AccountId;
    /// A transaction; a hold is one, and so are its captures, releases and its expiry.
    TransactionId;
    /// An API key.
    ApiKeyId;
    /// The id of any of these, as a key.
    AnyId;
}

macro_rules! any {
    ($($name:ident)*) => {$(
        impl From<$name> for AnyId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }
    )*};
}

any! { ClientId CustomerId AccountId TransactionId ApiKeyId }

impl From<u128> for AnyId {
    fn from(id: u128) -> Self {
        Self(id)
    }
}

impl TransactionId {
    /// The ids that begin so are kept for expiries, which make theirs from the hold's: nobody may take them before.
    /// UUIDv7s get there in the year 10889, and one random id in 2⁴⁸ does.
    const RESERVED: u128 = 0xffff_ffff_ffff << 80;

    /// The id of an expiry, from a hash.
    #[must_use]
    pub(crate) const fn reserved(hash: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(hash) | Self::RESERVED)
    }

    /// Whether the id is kept for expiries.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 & Self::RESERVED == Self::RESERVED
    }
}

fn write_uuid(id: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = |shift: u32, digits: u32| (id >> shift) & ((1 << (4 * digits)) - 1);
    write!(
        f,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        hex(96, 8),
        hex(80, 4),
        hex(64, 4),
        hex(48, 4),
        hex(0, 12)
    )
}

/// The number of a book. Book 0 is the operator's; every root client has one of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct BookNo(pub u32);

impl BookNo {
    /// The operator's own book: root clients, operator keys, shared assets, default rates.
    pub const OPERATOR: Self = Self(0);
}

impl fmt::Display for BookNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a command in its book: from 1, without gaps; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an account in its book, in order of creation, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AccountNo(pub u32);

/// Who owns an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Owner {
    /// The client itself.
    Client(ClientId),
    /// A customer of a client.
    Customer(CustomerId),
}
