//! Numbers, ids and rows between the ledger's types and the database's.

use ledger::{
    AccountNo, Amount, AssetNo, Balance, BookNo, ClientId, Counters, HoldStatus, Key, Lookup, Micros, Notes,
    Owner, Position, TransactionId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::{Failure, corrupt};
use crate::numeric::Numeric;

/// The form of rows; a row of another form is not read.
const FORM: u8 = 2;

/// A row of the register, or a hold, as bytes.
pub(crate) fn pack<T: Serialize>(row: &T) -> Vec<u8> {
    postcard::to_extend(row, vec![FORM]).expect("rows are plain data, and a vector grows")
}

/// A row from its bytes.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    match bytes.split_first() {
        Some((&FORM, bytes)) => {
            postcard::from_bytes(bytes).map_err(|error| corrupt(format!("a row: {error}")))
        }
        _ => Err(corrupt("a row is of a form that this version does not know")),
    }
}

// Numbers of books, accounts and assets are dense and far below 2³¹; the database has no unsigned integers.
pub(crate) fn book(no: BookNo) -> i32 {
    no.0.cast_signed()
}

pub(crate) fn account(no: AccountNo) -> i32 {
    no.0.cast_signed()
}

pub(crate) fn asset(no: AssetNo) -> i32 {
    no.0.cast_signed()
}

pub(crate) fn position(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

pub(crate) fn number(no: u32) -> i32 {
    no.cast_signed()
}

pub(crate) fn id(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

/// What a text is found by.
pub(crate) fn lookup(lookup: Lookup) -> Uuid {
    Uuid::from_bytes(lookup.0)
}

/// What the foreign id of a row is found by.
pub(crate) fn external_id(notes: &Notes) -> Option<Uuid> {
    notes.external_id.as_ref().map(|text| lookup(text.lookup()))
}

/// An owner's id; clients and customers don't share ids.
pub(crate) fn owner(owner: Owner) -> Uuid {
    match owner {
        Owner::Client(client) => id(client.0),
        Owner::Customer(customer) => id(customer.0),
    }
}

pub(crate) fn status(status: HoldStatus) -> i16 {
    match status {
        HoldStatus::Held => 0,
        HoldStatus::Captured => 1,
        HoldStatus::Released => 2,
        HoldStatus::Expired => 3,
    }
}

pub(crate) fn get_position(row: &Row, column: usize) -> Position {
    Position(row.get::<_, i64>(column).cast_unsigned())
}

pub(crate) fn get_number(row: &Row, column: usize) -> u32 {
    row.get::<_, i32>(column).cast_unsigned()
}

pub(crate) fn get_id(row: &Row, column: usize) -> u128 {
    row.get::<_, Uuid>(column).as_u128()
}

/// The columns of a balance, in the order of [`get_balance`].
macro_rules! balance_columns {
    () => {
        "b.account, b.asset, b.last, b.last_at, \
         b.debits_posted, b.debits_pending, b.credits_posted, b.credits_pending"
    };
}
pub(crate) use balance_columns;

/// A balance from its columns.
pub(crate) fn get_balance(row: &Row) -> Result<(AccountNo, AssetNo, Balance), Failure> {
    let amount = |column: usize| -> Result<Amount, Failure> {
        let amount = row.get::<_, Numeric>(column).amount();
        amount.ok_or_else(|| corrupt("a balance is outside its range"))
    };
    let balance = Balance {
        counters: Counters {
            debits_posted: amount(4)?,
            debits_pending: amount(5)?,
            credits_posted: amount(6)?,
            credits_pending: amount(7)?,
        },
        last: get_position(row, 2),
        last_at: Micros(row.get(3)),
    };
    Ok((
        AccountNo(get_number(row, 0)),
        AssetNo(get_number(row, 1)),
        balance,
    ))
}

/// What a command is found by, beyond its own key and id.
#[derive(Clone, Copy)]
pub(crate) enum Mention {
    /// One of several transactions of a command.
    Id(TransactionId),
    /// A transaction's reference.
    Reference(Lookup),
    /// A transaction's foreign id.
    ExternalId(Lookup),
    /// The transaction that it reverses.
    Reversal(TransactionId),
}

impl Mention {
    /// Its hash. Books are told apart by their column.
    pub(crate) fn hash(self) -> Uuid {
        let mut hasher = blake3::Hasher::new();
        match self {
            Self::Id(id) => hasher.update(b"i").update(&id.to_bytes()),
            Self::Reference(lookup) => hasher.update(b"r").update(&lookup.0),
            Self::ExternalId(lookup) => hasher.update(b"e").update(&lookup.0),
            Self::Reversal(id) => hasher.update(b"v").update(&id.to_bytes()),
        };
        half(&hasher)
    }
}

/// The hash of an idempotency key in its key space.
pub(crate) fn key_hash(client: Option<ClientId>, key: Key) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[b'k', u8::from(client.is_some())]);
    hasher.update(&client.unwrap_or_default().to_bytes());
    let (kind, bytes) = match key {
        Key::Named(hash) => (0, hash),
        Key::Id(id) => (1, id.to_bytes()),
        Key::Expiry(hold) => (2, hold.to_bytes()),
    };
    hasher.update(&[kind]).update(&bytes);
    half(&hasher)
}

fn half(hasher: &blake3::Hasher) -> Uuid {
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    Uuid::from_bytes(half)
}
