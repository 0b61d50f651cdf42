//! Balances, and the entries that made them.

use ledger::{AccountId, CustomerId, Micros, Purpose, Scopes};
use store::{
    AccountBalances, AsOf, ClientAccounts, CustomerAccounts, CustomerRef, EntryView, Listed, Page, Purposes,
    Stamped,
};

use crate::problem::Problem;
use crate::{Caller, Service};

impl Service {
    /// An account with its balances, now or as of then. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`]; [`Problem::BadRequest`] for a position together with a time.
    pub async fn account_balances(
        &self,
        caller: &Caller,
        id: AccountId,
        as_of: AsOf,
    ) -> Result<Stamped<AccountBalances>, Problem> {
        caller.require(Scopes::READ)?;
        check_as_of(&as_of)?;
        let found = self.store.account(caller.viewer, id, as_of).await?;
        found.ok_or_else(|| Problem::not_found("account"))
    }

    /// A customer with its primary account of one purpose, if it has one. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there is no such customer, or no such account.
    pub async fn primary_account(
        &self,
        caller: &Caller,
        customer: CustomerId,
        purpose: Purpose,
    ) -> Result<Stamped<(CustomerAccounts, AccountBalances)>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self
            .store
            .customer_accounts(caller.viewer, CustomerRef::Id(customer), Purposes::of(&[purpose]))
            .await?
            .ok_or_else(|| Problem::not_found("customer"))?;
        let Stamped { mut value, position } = found;
        let primary = value.accounts.iter().position(|found| found.account.primary);
        let primary = primary.ok_or_else(|| Problem::NotFound {
            what: "account",
            detail: format!(
                "This customer has no primary {} account; open one.",
                purpose.as_str()
            ),
        })?;
        let account = value.accounts.swap_remove(primary);
        Ok(Stamped {
            value: (value, account),
            position,
        })
    }

    /// A customer with its `receivable` and `credit` accounts: what it owes, and what it has prepaid. Scope
    /// `CUSTOMER_ACCOUNT_READ`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn dues(
        &self,
        caller: &Caller,
        customer: CustomerRef,
    ) -> Result<Stamped<CustomerAccounts>, Problem> {
        caller.require(Scopes::CUSTOMER_ACCOUNT_READ)?;
        let purposes = Purposes::of(&[Purpose::Receivable, Purpose::Credit]);
        let found = self
            .store
            .customer_accounts(caller.viewer, customer, purposes)
            .await?;
        found.ok_or_else(|| Problem::not_found("customer"))
    }

    /// The caller's client and its subsidiaries, each with its primary `main` account. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn client_accounts(&self, caller: &Caller) -> Result<Stamped<ClientAccounts>, Problem> {
        caller.require(Scopes::READ)?;
        Ok(self.store.client_accounts(caller.viewer).await?)
    }

    /// An account's entries, newest first, recorded from (inclusive) to (exclusive). Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn entries(
        &self,
        caller: &Caller,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Result<Listed<EntryView>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.entries(caller.viewer, account, from, to, page).await?;
        found.ok_or_else(|| Problem::not_found("account"))
    }
}

/// A position is a moment of its own and goes with no time.
pub(crate) fn check_as_of(as_of: &AsOf) -> Result<(), Problem> {
    if as_of.position.is_some() && (as_of.recorded_at.is_some() || as_of.effective_at.is_some()) {
        return Err(Problem::bad(
            "position",
            "can't be combined with `recordedAt` or `effectiveAt`; name one of them",
        ));
    }
    Ok(())
}
