//! Records: what a command did, for ever. The journal is made of them; every balance follows from them.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::amount::Amount;
use crate::asset::{AssetName, AssetNo};
use crate::balance::{Counters, Credit};
use crate::command::{Action, Command, Fingerprint, Key, Transaction};
use crate::id::{AccountId, AccountNo, BookNo, ClientId, Position, TransactionId};
use crate::register::Scopes;
use crate::time::Micros;
use smallvec::SmallVec;

/// The rules by which this version decides; a record names those it was decided by.
pub const RULES: u8 = 1;

/// A decided command with its outcome.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// The book.
    pub book: BookNo,
    /// Its number in the book.
    pub position: Position,
    /// The position of book 0 at which it was decided; in book 0 its own predecessor.
    pub base: Position,
    /// When the book took it.
    pub recorded_at: Micros,
    /// The rules it was decided by.
    pub rules: u8,
    /// The client that acted; `None` is the operator or the server itself.
    pub client: Option<ClientId>,
    /// Its idempotency key.
    pub key: Key,
    /// What was asked, hashed.
    pub fingerprint: Fingerprint,
    /// What was asked.
    pub action: Action,
    /// What became of it.
    pub outcome: Result<Done, Rejection>,
}

/// What an accepted command did, beyond what it asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Done {
    /// A change of the register; all of it is in the command.
    Changed,
    /// A root client: its book.
    Book(BookNo),
    /// A customer: its number.
    Customer(i64),
    /// An account: its number in the book, and whether it is primary.
    Account {
        /// Its number in the book.
        no: AccountNo,
        /// Whether it became the primary one.
        primary: bool,
        /// Its client.
        client: ClientId,
    },
    /// An API key that took the place of another one.
    Rotated {
        /// The client of both.
        client: Option<ClientId>,
        /// What both may do.
        scopes: Scopes,
        /// From when on the old one no longer works.
        old_ends_at: Micros,
    },
    /// Money moved, or was reserved or let go: one transaction, or those of a batch in order.
    Moved(Vec<Booked>),
}

/// A transaction as it was booked.
#[derive(Clone, PartialEq, Debug)]
pub struct Booked {
    /// Its id.
    pub id: TransactionId,
    /// What moved, in order.
    pub moves: Moves,
}

/// The moves of one transaction; most have one.
pub type Moves = SmallVec<[Move; 1]>;

/// An account by both its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountRef {
    /// Its number in the book.
    pub no: AccountNo,
    /// Its id.
    pub id: AccountId,
}

/// An asset by both its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AssetRef {
    /// Its number.
    pub no: AssetNo,
    /// How it is written.
    pub name: AssetName,
}

/// What one posting did to its two accounts. A plain posting posts; a hold reserves; a capture frees and posts; a
/// release or expiry frees. Each side's counters after it are its entry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Move {
    /// Which posting of the transaction, hold or original this is about.
    pub index: u32,
    /// The debited account.
    pub from: AccountRef,
    /// The credited account.
    pub to: AccountRef,
    /// What moved.
    pub asset: AssetRef,
    /// Added to what is posted.
    pub post: Amount,
    /// Added to what is pending.
    pub reserve: Amount,
    /// Taken from what is pending.
    pub free: Amount,
    /// The debited account after it.
    pub from_after: Entry,
    /// The credited account after it.
    pub to_after: Entry,
}

/// One account's side of a move: its counters after it, and the credit that it had then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The four counters.
    pub counters: Counters,
    /// The credit in force.
    pub credit: Credit,
}

impl Entry {
    /// Whether the account stands below its floor.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.credit
            .spendable(&self.counters)
            .is_some_and(|spendable| spendable < 0)
    }
}

impl Record {
    /// The transactions that were booked.
    #[must_use]
    pub fn booked(&self) -> &[Booked] {
        match &self.outcome {
            Ok(Done::Moved(booked)) => booked,
            _ => &[],
        }
    }

    /// The transaction as it was asked for, where the command posts or holds: the `nth` of a batch.
    #[must_use]
    pub fn transaction(&self, nth: usize) -> Option<&Transaction> {
        match &self.action {
            Action::Post(transaction) if nth == 0 => Some(transaction),
            Action::PostBatch(transactions) => transactions.get(nth),
            _ => None,
        }
    }

    /// The command that this is the record of, stamped with the time at which it was recorded.
    #[must_use]
    pub fn into_command(self) -> Command {
        Command {
            book: self.book,
            client: self.client,
            key: self.key,
            fingerprint: self.fingerprint,
            stamp: self.recorded_at,
            action: self.action,
        }
    }

    /// For what time the `nth` transaction of the record counts.
    #[must_use]
    pub fn effective_at(&self, nth: usize) -> Micros {
        self.transaction(nth)
            .and_then(|transaction| transaction.effective_at)
            .unwrap_or(self.recorded_at)
    }
}

/// Why a command was refused: the code, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// The code.
    pub code: Code,
    /// Which transaction of an atomic batch.
    pub item: Option<u32>,
    /// Which posting.
    pub posting: Option<u32>,
    /// Which account.
    pub account: Option<AccountId>,
}

impl From<Code> for Rejection {
    fn from(code: Code) -> Self {
        Self {
            code,
            item: None,
            posting: None,
            account: None,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal, $cure:literal;)*) => {
        /// The codes of refusals: closed, in the order in which they are checked (the register's first).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word the API uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What was wrong and what to do, in a sentence.
            #[must_use]
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure,)* }
            }
        }
    };
}

codes! {
    /// No such client, or not visible.
    ClientNotFound = 1, "client_not_found", "There is no such client that this key can see; check the id.";
    /// No such customer, or not visible.
    CustomerNotFound = 2, "customer_not_found", "There is no such customer that this key can see; check the id.";
    /// No such transaction, or not visible.
    TransactionNotFound = 3, "transaction_not_found", "There is no such transaction that this key can see; check the id.";
    /// No such API key, or not visible.
    KeyNotFound = 4, "key_not_found", "There is no such API key that this key can see, or it has ended and can't be rotated any more; check the id, or make a new key.";
    /// A subsidiary can't have subsidiaries.
    ParentNotRoot = 5, "parent_not_root", "The parent is itself a subsidiary; name the root client as the parent.";
    /// Another customer of the book has the number.
    NumberTaken = 6, "number_taken", "Another customer of this book has that number, or none is left above the highest; choose one that is free.";
    /// The asset is registered.
    AssetExists = 7, "asset_exists", "That asset exists already; use it, or choose another code or network.";
    /// A closed account must be empty.
    AccountNotEmpty = 8, "account_not_empty", "The account still has a balance or holds; move the money and resolve the holds, then close it.";
    /// A card account has one currency.
    CurrencyRequired = 9, "currency_required", "A card account needs a `currency`; name one.";
    /// A rate out of range.
    RateInvalid = 10, "rate_invalid", "A rate must be above zero, between two known assets that differ; correct it.";
    /// What was written about the customer was erased.
    CustomerErased = 11, "customer_erased", "What was written about this customer was erased for good; leave out names, labels, foreign ids and metadata, or make a new customer.";
    /// The key was used with another request.
    IdempotencyConflict = 32, "idempotency_conflict", "This idempotency key was used with a different request; send the first request again, or use a new key.";
    /// The id belongs to another transaction.
    IdTaken = 33, "id_taken", "Another transaction has this id; choose a new one.";
    /// No such account, or not visible.
    AccountNotFound = 34, "account_not_found", "There is no such account that this key can see; check the id.";
    /// No such asset.
    AssetNotFound = 35, "asset_not_found", "There is no such asset; check its spelling (`USD`, `USDC@ethereum`), or register it.";
    /// Nothing to move.
    AmountZero = 36, "amount_zero", "An amount must be above zero.";
    /// From and to are one.
    SameAccount = 37, "same_account", "A posting needs two different accounts.";
    /// The account takes another asset.
    CurrencyMismatch = 38, "currency_mismatch", "The account takes one currency alone, and this is another; use an account of that currency.";
    /// The account is closed.
    AccountClosed = 39, "account_closed", "The account is closed; use another one.";
    /// The account is frozen.
    AccountFrozen = 40, "account_frozen", "The account is frozen and takes no new debits or holds; set its status to `active` first.";
    /// No such hold, or not visible.
    HoldNotFound = 41, "hold_not_found", "There is no such hold that this key can see; check the id.";
    /// Nothing is held any more.
    HoldResolved = 42, "hold_resolved", "The hold was captured or released before; nothing of it is left.";
    /// Its time is over.
    HoldExpired = 43, "hold_expired", "The hold's time is over; place a new one, or post the money.";
    /// More than is left.
    CaptureExceedsHold = 44, "capture_exceeds_hold", "That is more than is left of the hold; name less, or set `allowOver`.";
    /// Only what was posted can be reversed.
    NotPosted = 45, "not_posted", "Only a posted transaction can be reversed; release a hold, or reverse its captures.";
    /// More than is left to reverse.
    ReversalExceeds = 46, "reversal_exceeds", "That is more than is left to reverse of the transaction; name less.";
    /// The money is not there.
    InsufficientFunds = 47, "insufficient_funds", "The account has not enough to spend; credit it first, move less, or raise its credit limit.";
    /// The account may not hold that much.
    BalanceLimit = 48, "balance_limit", "The account would hold more than its maximum balance; move less, or raise `maxBalance`.";
    /// Too much for a counter.
    Overflow = 49, "overflow", "A counter would exceed 2^127 - 1 minor units; spread the money over more accounts.";
}

impl Code {
    /// The code of a number, as records carry it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| *code as u8 == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
