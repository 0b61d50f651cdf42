//! The pure core of Saldo: what a command does to the books.
//!
//! [`decide()`] is a function of a command and of the rows it needs: no clock, no chance, no I/O, no floats. What it decides
//! becomes a [`Record`]; [`apply()`] leaves the record's effects in the rows and can't fail. The journal of records is the truth:
//! replaying it gives the same rows, byte for byte.
//!
//! # Invariants
//!
//! 1. **Zero sum**: over all accounts of a book, `settled` sums to zero in every asset, and so do reserved and incoming against each
//!    other: a [`Move`] debits and credits one amount.
//! 2. **Monotone**: posted counters never decrease; pending ones are never negative ([`Amount`] is unsigned).
//! 3. **Floor**: no command takes `spendable` below zero or further below, except one with `force` or a lowered limit.
//! 4. **Chain**: an [`Entry`] follows from the entry before it on the same account and asset, by its move.
//! 5. **Positions** of a book run from 1 without gaps; recorded times rise with them.
//! 6. **Replay**: the same records give the same state.
//!
//! 1, 2 and 4 hold by the types and by `Mover::make`; the stores check 3-5 on every record they read back in `verify`.

mod account;
mod amount;
mod apply;
mod asset;
mod balance;
mod balances;
mod codec;
mod command;
mod decide;
mod id;
mod numbers;
mod record;
mod register;
mod seal;
mod slots;
mod standing;
mod state;
pub mod text;
mod time;
mod valuation;
pub mod varint;

pub use account::{Account, AccountStatus, Details, Limit, Purpose};
pub use amount::{Amount, AmountError};
pub use apply::{PlainPosting, apply, apply_plain, hold_after, hold_placed, posted, posted_after};
pub use asset::{
    Asset, AssetKind, AssetName, AssetNo, CODE_MAX, EXPONENT_MAX, NETWORK_MAX, STABLECOINS, built_in,
};
pub use balance::{Balance, Counters, Credit};
pub use balances::Balances;
pub use codec::{DecodeError, Names, decode, encode, encoded_len, fingerprint, peek, peek_base};
pub use command::{
    AccountChange, Action, Capture, ClientChange, Command, CreditChange, CustomerChange, Fingerprint,
    HoldTerms, Key, KeyRotation, LimitChange, NewAccount, NewApiKey, NewClient, NewCustomer, Parts, Patch,
    Posting, Postings, Release, Reverse, Texts, Transaction,
};
pub use decide::{Decided, Decision, decide, decide_new};
pub use id::{
    AccountId, AccountNo, AnyId, ApiKeyId, BookNo, ClientId, CustomerId, Owner, Position, TransactionId,
};
pub use numbers::Numbers;
pub use record::{AccountRef, AssetRef, Booked, Code, Done, Entry, Move, Moves, RULES, Record, Rejection};
pub use register::{ApiKey, Client, Customer, Decimal, Dunning, Notes, Rate, RateRow, Scopes};
pub use slots::{Pages, Slot, Slots};
pub use standing::{HeldPosting, Hold, HoldStatus, Posted, PostedPosting};
pub use state::{Book, Completeness, Head, Map, NotLoaded, RowKey, State, Table};
pub use text::{Bytes, Field, Findable, Form, Lookup, Place, Plain, Sealed, Sealer, Subject, Text};
pub use time::Micros;
pub use valuation::{Part, ValuationError, convert, rate_pairs};
