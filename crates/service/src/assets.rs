//! Assets: what money is counted in.

use std::sync::Arc;

use ledger::{Action, Asset, AssetKind, AssetName, EXPONENT_MAX, Scopes};

use crate::problem::Problem;
use crate::write::{Idempotency, Written, new_id, no_subject};
use crate::{Caller, Service};

/// An asset to be registered: by the operator for every book, by a client for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAsset {
    /// How it is written.
    pub name: AssetName,
    /// Decimal places, 0 ..= 30; they never change.
    pub exponent: u8,
    /// What sort it is.
    pub kind: AssetKind,
}

/// An asset that was registered.
pub type AssetMade = RegisterAsset;

impl Service {
    /// Registers an asset. Scope `admin`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for too many places; refusals of the ledger.
    pub async fn register_asset(
        &self,
        caller: &Caller,
        input: RegisterAsset,
        idempotency: Idempotency,
    ) -> Result<Written<AssetMade>, Problem> {
        caller.require(Scopes::ADMIN)?;
        if input.exponent > EXPONENT_MAX {
            return Err(Problem::bad(
                "exponent",
                format!("must be from 0 to {EXPONENT_MAX}"),
            ));
        }
        let RegisterAsset { name, exponent, kind } = input;
        let action = Action::RegisterAsset { name, exponent, kind };
        let command = self
            .command(caller, idempotency.key(new_id()), action, false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        Ok(recorded.written(input))
    }

    /// The assets that the caller's book sees, by name. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn assets(&self, caller: &Caller) -> Result<Vec<Arc<Asset>>, Problem> {
        caller.require(Scopes::READ)?;
        Ok(self.store.assets(caller.viewer).await?)
    }
}
