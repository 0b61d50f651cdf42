//! `saldo balance`: what is on an account.

use clap::Args;

use super::Ask;
use super::args::Read;
use super::call::Call;
use super::failed::Failed;

#[derive(Args)]
pub(crate) struct Balance {
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// As it was known at this time
    #[arg(long, value_name = "TIME")]
    recorded_at: Option<String>,
    /// As it counts for this time
    #[arg(long, value_name = "TIME")]
    effective_at: Option<String>,
    /// As it was at this position of the book
    #[arg(long, value_name = "POSITION")]
    position: Option<String>,
    #[command(flatten)]
    read: Read,
}

impl Ask for Balance {
    fn call(self) -> Result<Call, Failed> {
        Ok(Call::get(&["accounts", &self.account, "balances"], self.read)
            .query("recordedAt", self.recorded_at)
            .query("effectiveAt", self.effective_at)
            .query("position", self.position))
    }
}
