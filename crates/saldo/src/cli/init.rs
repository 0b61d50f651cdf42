//! `saldo init`: makes a store.

use ledger::Scopes;
use service::{Caller, Clock, Config, CreateKey, Idempotency, Service};

use crate::failure::Failure;
use crate::place::{self, Content};

/// Makes a store.
#[derive(clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    store: super::Store,
    /// Decimal places of RLUSD in this store, 0 to 30; they never change
    #[arg(long, env = "SALDO_RLUSD_EXPONENT", value_name = "N", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u8).range(..=i64::from(ledger::EXPONENT_MAX)))]
    rlusd_exponent: u8,
}

impl Init {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let place = self.store.store;
        place.create().await?;
        let store = place.open().await?;
        let service = Service::new(store, Config::default(), Clock::System);
        // A store without a key is of no use to anybody: an earlier `init` was interrupted, and this one goes on.
        let made = match place::content(&service).await? {
            Content::Nothing => make(&service, self.rlusd_exponent).await,
            Content::Sandbox | Content::Books => Err(Failure::new(format!(
                "there is a store in {place} already; nothing was changed"
            ))),
        };
        service.store.close().await?;
        let token = made?;
        eprintln!(
            "Made a store in {place}; RLUSD has {} decimal places in it.\n",
            self.rlusd_exponent
        );
        eprintln!("The operator's token, shown this once:\n");
        println!("{token}");
        eprintln!("\nNext: saldo serve --store {place}");
        Ok(())
    }
}

/// Makes the store and the operator's key; answers with its token.
async fn make(service: &Service, rlusd_exponent: u8) -> Result<String, Failure> {
    service.initialise(rlusd_exponent).await?;
    let operator = CreateKey {
        client: None,
        label: "first operator key".to_owned(),
        scopes: Scopes::OPERATOR,
        expires_at: None,
    };
    let made = service
        .create_key(&Caller::server(), operator, Idempotency::default())
        .await?;
    let credentials = made.value.credentials;
    Ok(credentials
        .ok_or_else(|| Failure::new("the key was made before"))?
        .token())
}
