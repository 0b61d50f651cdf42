//! A balance: four counters per account and asset, and the numbers that are read off them.

use crate::amount::Amount;
use crate::id::Position;
use crate::time::Micros;
use serde::{Deserialize, Serialize};

/// The four counters of an account in one asset, in minor units. Posted ones never decrease.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// What has left the account, ever.
    pub debits_posted: Amount,
    /// What holds keep back from leaving twice.
    pub debits_pending: Amount,
    /// What has come in, ever.
    pub credits_posted: Amount,
    /// What holds promise to bring in.
    pub credits_pending: Amount,
}

impl Counters {
    /// Credits posted less debits posted: what is on the account. Within ±(2¹²⁷ − 1).
    #[must_use]
    pub const fn settled(&self) -> i128 {
        self.credits_posted.signed() - self.debits_posted.signed()
    }

    /// What holds reserve.
    #[must_use]
    pub const fn reserved(&self) -> i128 {
        self.debits_pending.signed()
    }

    /// What holds of others will bring in.
    #[must_use]
    pub const fn incoming(&self) -> i128 {
        self.credits_pending.signed()
    }

    /// Settled less reserved; `None` where it is no `i128`, which no command may leave behind (`overflow`).
    #[must_use]
    pub const fn checked_available(&self) -> Option<i128> {
        self.settled().checked_sub(self.reserved())
    }

    /// Settled less reserved.
    #[must_use]
    pub const fn available(&self) -> i128 {
        self.settled().saturating_sub(self.reserved())
    }
}

/// How far below zero an account's available balance may go in an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Credit {
    /// Down to minus this amount; zero where nothing was agreed.
    Limit(Amount),
    /// Without end: `external` and `receivable` accounts, and `internal` ones where so configured.
    Unlimited,
}

impl Credit {
    /// No credit at all.
    pub const NONE: Self = Self::Limit(Amount::ZERO);

    /// Available plus the credit limit, or `None` where there is no floor to count from.
    #[must_use]
    pub const fn spendable(self, counters: &Counters) -> Option<i128> {
        match self {
            Self::Limit(limit) => Some(counters.available().saturating_add(limit.signed())),
            Self::Unlimited => None,
        }
    }

    /// Whether available and spendable are both `i128`s, and still will be when all that is reserved is let go: a release
    /// or an expiry can't overflow. If not, the command is refused with `overflow`.
    #[must_use]
    pub const fn is_exact(self, counters: &Counters) -> bool {
        match (counters.checked_available(), self) {
            (Some(_), Self::Limit(limit)) => counters.settled().checked_add(limit.signed()).is_some(),
            (Some(_), Self::Unlimited) => true,
            (None, _) => false,
        }
    }
}

/// A balance as it stands: the counters, and the entry that left them so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Balance {
    /// The four counters.
    pub counters: Counters,
    /// The position of the last entry; 0 when there was none, and the account has not touched the asset.
    pub last: Position,
    /// When the last entry was recorded.
    pub last_at: Micros,
}
