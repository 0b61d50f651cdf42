//! What the card names, found by the foreign ids that the world gave it.

use ledger::{AccountId, ClientId, CustomerId};
use service::{Caller, Service};
use store::Page;

use crate::failure::Failure;

/// Foreign ids of the customers and accounts that the card names.
pub(super) const MERCHANT: &str = "sandbox-merchant";
pub(super) const MEMBER: &str = "sandbox-member";
pub(super) const MAIN: &str = "sandbox-merchant-main";
pub(super) const RECEIVABLE: &str = "sandbox-member-receivable";
pub(super) const CREDIT: &str = "sandbox-member-credit";
pub(super) const CARD: &str = "sandbox-card";
pub(super) const ROOT_MAIN: &str = "sandbox-root-main";
pub(super) const EXTERNAL: &str = "sandbox-external";

/// What the card names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landmarks {
    /// The root client.
    pub(super) root: ClientId,
    /// A business with money in several assets.
    pub(super) merchant: CustomerId,
    /// The number of the gym member in dunning.
    pub(super) member: i64,
    /// The root client's own main account.
    pub(super) root_main: AccountId,
    /// The merchant's main account.
    pub(super) main: AccountId,
    /// What the member owes.
    pub(super) receivable: AccountId,
    /// What the member prepaid.
    pub(super) credit: AccountId,
    /// The card account.
    pub(super) card: AccountId,
    /// The world outside.
    pub(super) external: AccountId,
}

pub(super) async fn find(service: &Service, caller: &Caller, root: ClientId) -> Result<Landmarks, Failure> {
    let find = Find { service, caller };
    Ok(Landmarks {
        root,
        merchant: find.customer(MERCHANT).await?.0,
        member: find.customer(MEMBER).await?.1,
        root_main: find.account(ROOT_MAIN).await?,
        main: find.account(MAIN).await?,
        receivable: find.account(RECEIVABLE).await?,
        credit: find.account(CREDIT).await?,
        card: find.account(CARD).await?,
        external: find.account(EXTERNAL).await?,
    })
}

struct Find<'a> {
    service: &'a Service,
    caller: &'a Caller,
}

const FIRST: Page = Page {
    limit: 1,
    after: None,
};

impl Find<'_> {
    async fn customer(&self, external_id: &str) -> Result<(CustomerId, i64), Failure> {
        let found = self
            .service
            .customers(self.caller, Some(external_id.to_owned()), FIRST)
            .await?;
        let customer = found
            .items
            .first()
            .ok_or_else(|| missing("customer", external_id))?;
        Ok((customer.id, customer.number))
    }

    async fn account(&self, external_id: &str) -> Result<AccountId, Failure> {
        let found = self
            .service
            .accounts(self.caller, None, Some(external_id.to_owned()), FIRST)
            .await?;
        let account = found
            .items
            .first()
            .ok_or_else(|| missing("account", external_id))?;
        Ok(account.account.id)
    }
}

fn missing(what: &str, external_id: &str) -> Failure {
    Failure::new(format!(
        "the sandbox has no {what} with the externalId `{external_id}` any more; give it back, or begin anew in \
         another folder (--store)"
    ))
}
