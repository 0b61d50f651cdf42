//! Making a store: what happens before the first key exists.

use ledger::{Action, EXPONENT_MAX, Key};

use crate::Service;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::write::{Written, no_subject};

impl Service {
    /// Makes the store, with `rlusd_exponent` decimal places for RLUSD. The same again is a replay.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for too many places; [`Problem::Conflict`] when it was made with others.
    pub async fn initialise(&self, rlusd_exponent: u8) -> Result<Written<()>, Problem> {
        if rlusd_exponent > EXPONENT_MAX {
            return Err(Problem::bad(
                "rlusd-exponent",
                format!("must be from 0 to {EXPONENT_MAX}"),
            ));
        }
        let action = Action::Initialise { rlusd_exponent };
        let command = self
            .command(&Caller::server(), Key::named("initialise"), action, false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        Ok(recorded.written(()))
    }
}
