//! One operation per thing a user can do: scopes, clock, idempotency. It knows no HTTP and no vendor.
//!
//! Every operation takes a [`Caller`], who was authenticated ([`auth`]), and a plain input; checks the scope; asks or
//! commands the [`Store`]; and answers with what was found, or a [`Problem`] that each wire format spells in its own way.
//!
//! Reads answer with the position they were taken at. Writes answer with [`Written`]: what was made, its position, and
//! whether this was the first time ([`Idempotency`]).

pub mod auth;
pub mod clock;
pub mod config;
pub mod events;
pub mod limit;
pub mod metrics;
pub mod problem;
pub mod write;

mod accounts;
mod assets;
mod balances;
mod check;
mod cipher;
mod clients;
mod customers;
mod dated;
mod holds;
mod jwt;
mod keys;
mod rates;
mod remembered;
mod request;
mod seal;
mod setup;
mod signing;
mod texts;
mod transactions;
mod valuation;
mod vault;

use std::sync::Arc;

use ledger::Position;
use store::Store;

pub use accounts::{AccountView, CreateAccount, LimitView};
pub use assets::{AssetMade, RegisterAsset};
pub use auth::{Caller, Credentials};
pub use balances::{ClientAccount, CustomerAccount, Dues, EntryShown};
pub use clients::{ClientView, CreateClient};
pub use clock::Clock;
pub use config::Config;
pub use customers::{CreateCustomer, CustomerView, SetDunning};
pub use dated::{Opener, check_texts};
pub use events::{Event, EventKind, Events, Happened};
pub use holds::{CaptureHold, Portion, ReleaseHold};
pub use jwt::IssuedToken;
pub use keys::{CreateKey, KeyMade, KeyRotated, KeyView, OVERLAP, OVERLAP_MAX, RotateKey};
pub use limit::{Limiter, Standing};
pub use metrics::Metrics;
pub use problem::{Problem, Refusal};
pub use signing::SigningKeyView;
pub use texts::{ERASED, TransactionTexts};
pub use transactions::{
    AfterBalance, BatchDone, FindTransactions, ItemBooked, ItemDone, PostTransaction, ReverseTransaction,
    TransactionDone, TransactionShown, balances_after,
};
pub use valuation::{Valuation, Value};
pub use write::{Committed, Idempotency, OnCommit, Written};

/// Everything a user can do, on one store.
pub struct Service {
    /// Where the books are kept.
    pub store: Arc<dyn Store>,
    /// Limits and lifetimes.
    pub config: Config,
    /// What time it is.
    pub clock: Clock,
    /// Who asked how often.
    pub limiter: Limiter,
    /// What happened that nobody was told of.
    pub metrics: Metrics,
    /// Told of each commit, if somebody wants to know.
    pub on_commit: Option<OnCommit>,
    verified: remembered::Remembered<auth::Verified>,
    jwts: jwt::Jwts,
    signing: signing::Signing,
    vault: vault::Vault,
    requests: request::RequestIds,
}

impl Service {
    /// A service on `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: Config, clock: Clock) -> Self {
        Self {
            store,
            config,
            clock,
            limiter: Limiter::default(),
            metrics: Metrics::default(),
            on_commit: None,
            verified: remembered::Remembered::default(),
            jwts: jwt::Jwts::default(),
            signing: signing::Signing::default(),
            vault: vault::Vault::default(),
            requests: request::RequestIds::new(),
        }
    }

    /// Waits until the caller's book is at `position` or later, at most a second.
    ///
    /// # Errors
    /// [`Problem::PositionNotReached`] when it is not by then.
    pub async fn reach(&self, caller: &Caller, position: Position) -> Result<(), Problem> {
        Ok(self.store.reach(caller.viewer.book, position).await?)
    }

    /// Where the caller's book stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn position(&self, caller: &Caller) -> Result<Position, Problem> {
        Ok(self.store.position(caller.viewer.book).await?)
    }
}
