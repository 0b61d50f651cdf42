//! Rates: what one asset is worth in another.

use std::sync::Arc;

use ledger::{Action, Rate, RateRow, Scopes};
use store::{Listed, Page};

use crate::problem::Problem;
use crate::write::{Idempotency, Written, new_id, no_subject};
use crate::{Caller, Service};

impl Service {
    /// Puts rates: the operator's are defaults for every book, a book's own go before them. Scope `rates`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for none or too many; refusals of the ledger.
    pub async fn put_rates(
        &self,
        caller: &Caller,
        rates: Vec<Rate>,
        idempotency: Idempotency,
    ) -> Result<Written<usize>, Problem> {
        caller.require(Scopes::RATES)?;
        let count = rates.len();
        if count == 0 {
            return Err(Problem::BadRequest {
                field: None,
                detail: "must hold at least one rate".to_owned(),
            });
        }
        if count > self.config.batch_items {
            return Err(Problem::TooLarge {
                what: "rates",
                limit: self.config.batch_items,
            });
        }
        let command = self
            .command(caller, idempotency.key(new_id()), Action::PutRates(rates), false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        Ok(recorded.written(count))
    }

    /// The rates of the caller's book and the defaults, newest `as_of` first. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rates(&self, caller: &Caller, page: Page) -> Result<Listed<Arc<RateRow>>, Problem> {
        caller.require(Scopes::READ)?;
        Ok(self.store.rates(caller.viewer, page).await?)
    }
}
