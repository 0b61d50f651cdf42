//! Holds and transactions as later commands see them.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::amount::Amount;
use crate::id::{Position, TransactionId};
use crate::record::{AccountRef, AssetRef};
use crate::time::Micros;

/// One posting of a hold, and what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldPosting {
    /// Whose money is reserved.
    pub from: AccountRef,
    /// Whom it is for.
    pub to: AccountRef,
    /// What is held.
    pub asset: AssetRef,
    /// How much was held at first.
    pub amount: Amount,
    /// How much was captured; above `amount` after an over-capture.
    pub captured: Amount,
    /// How much is still held.
    pub remaining: Amount,
}

/// How a hold stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum HoldStatus {
    /// Something is still held.
    Held,
    /// Nothing is held any more, and something was captured.
    Captured,
    /// Nothing is held any more: all was let go by a release.
    Released,
    /// Nothing is held any more: what was left was let go because its time was over.
    Expired,
}

impl HoldStatus {
    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// A hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// Its id: that of the transaction.
    pub id: TransactionId,
    /// The position of the command that placed it.
    pub position: Position,
    /// When that was.
    pub recorded_at: Micros,
    /// The position of the last command that changed it.
    pub last: Position,
    /// From when on it is over.
    pub expires_at: Option<Micros>,
    /// Its postings.
    pub postings: SmallVec<[HeldPosting; 1]>,
    /// How it stands.
    pub status: HoldStatus,
}

impl Hold {
    /// When it expires, with "never" as the last time of all.
    #[must_use]
    pub fn due(&self) -> Micros {
        self.expires_at.unwrap_or(Micros::MAX)
    }
}

/// One posting of a posted transaction, and what was reversed of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostedPosting {
    /// The account that was debited.
    pub from: AccountRef,
    /// The account that was credited.
    pub to: AccountRef,
    /// What moved.
    pub asset: AssetRef,
    /// How much was posted; zero where money was reserved or let go.
    pub amount: Amount,
    /// How much was reversed since.
    pub reversed: Amount,
}

/// A transaction as later commands see it.
#[derive(Clone, PartialEq, Debug)]
pub struct Posted {
    /// Its id.
    pub id: TransactionId,
    /// The position of its command.
    pub position: Position,
    /// The position of the last command that changed this row.
    pub last: Position,
    /// Its postings with what was posted; nothing where it is a hold, a release, an expiry.
    pub postings: SmallVec<[PostedPosting; 1]>,
}

impl PostedPosting {
    /// How much can still be reversed.
    #[must_use]
    pub fn left(&self) -> Amount {
        self.amount.checked_sub(self.reversed).unwrap_or_default()
    }
}

impl Posted {
    /// Whether anything was posted.
    #[must_use]
    pub fn has_posted(&self) -> bool {
        self.postings.iter().any(|posting| !posting.amount.is_zero())
    }
}
