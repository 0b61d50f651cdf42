//! Balances, and the entries that made them.

use ledger::{AccountId, ClientId, CustomerId, Dunning, Micros, Plain, Purpose, Scopes};
use store::{
    AccountBalances, AsOf, CustomerAccounts, CustomerRef, EntryView, Listed, Page, Purposes, Stamped,
};

use crate::problem::Problem;
use crate::vault::Keys;
use crate::{Caller, Service};

/// A customer's account as an answer shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerAccount {
    /// The customer's name in law.
    pub legal_name: Box<str>,
    /// The account.
    pub account: AccountBalances,
}

/// What a customer owes and has prepaid.
#[derive(Clone, Debug, PartialEq)]
pub struct Dues {
    /// Where it stands with what is owed.
    pub dunning: Dunning<Plain>,
    /// The accounts.
    pub accounts: Vec<AccountBalances>,
}

/// A client's account as an answer shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientAccount {
    /// The client.
    pub client: ClientId,
    /// Its name in law.
    pub legal_name: Box<str>,
    /// The account.
    pub account: AccountBalances,
}

/// An entry as an answer shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryShown {
    /// The entry.
    pub view: EntryView,
    /// What the caller calls its transaction.
    pub reference: Option<Box<str>>,
}

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
    ) -> Result<Stamped<CustomerAccount>, Problem> {
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
        let customer = &*value.customer;
        let legal_name = self
            .keys_of_customers([customer])
            .await?
            .customer_name(customer)?;
        Ok(Stamped {
            value: CustomerAccount { legal_name, account },
            position,
        })
    }

    /// A customer with its `receivable` and `credit` accounts: what it owes, and what it has prepaid. Scope
    /// `CUSTOMER_ACCOUNT_READ`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn dues(&self, caller: &Caller, customer: CustomerRef) -> Result<Stamped<Dues>, Problem> {
        caller.require(Scopes::CUSTOMER_ACCOUNT_READ)?;
        let purposes = Purposes::of(&[Purpose::Receivable, Purpose::Credit]);
        let found = self
            .store
            .customer_accounts(caller.viewer, customer, purposes)
            .await?;
        let Stamped { value, position } = found.ok_or_else(|| Problem::not_found("customer"))?;
        let CustomerAccounts { customer, accounts } = value;
        // Only few have a label, and nothing else of the customer is shown.
        let keys = match &customer.dunning.label {
            Some(_) => self.keys_of_customers([&*customer]).await?,
            None => Keys::default(),
        };
        let dunning = keys.dunning(&customer)?;
        Ok(Stamped {
            value: Dues { dunning, accounts },
            position,
        })
    }

    /// The caller's client and its subsidiaries, each with its primary `main` account. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn client_accounts(&self, caller: &Caller) -> Result<Stamped<Vec<ClientAccount>>, Problem> {
        caller.require(Scopes::READ)?;
        let Stamped { value, position } = self.store.client_accounts(caller.viewer).await?;
        let clients = value.rows.iter().map(|(client, _)| &**client);
        let keys = self.keys_of_clients(clients).await?;
        let rows = value.rows.into_iter().map(|(client, account)| {
            Ok(ClientAccount {
                client: client.id,
                legal_name: keys.client_name(&client)?,
                account,
            })
        });
        Ok(Stamped {
            value: rows.collect::<Result<_, Problem>>()?,
            position,
        })
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
    ) -> Result<Listed<EntryShown>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.entries(caller.viewer, account, from, to, page).await?;
        let found = found.ok_or_else(|| Problem::not_found("account"))?;
        let all = found.items.iter().map(|view| (&*view.record, view.nth));
        let keys = self.keys_of_transactions(all).await?;
        found.try_map(|view| {
            let reference = keys.reference(&view.record, view.nth)?;
            Ok(EntryShown { view, reference })
        })
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
