//! Accounts of clients and customers.

use std::collections::HashMap;

use ledger::{
    Account, AccountChange, AccountId, AccountNo, AccountStatus, Action, Amount, AssetName, AssetNo,
    ClientId, Code, Credit, CreditChange, Details, Done, Field, LimitChange, Micros, NewAccount, Notes,
    Owner, Plain, Purpose, Scopes,
};
use store::{AccountBalances, AccountFilter, AsOf, Listed, Page, Stamped};

use crate::check::{check_label, check_notes, check_notes_change};
use crate::problem::Problem;
use crate::vault::Keys;
use crate::write::{Idempotency, Written, new_id, no_subject};
use crate::{Caller, Service};

/// The limits of an account in one asset, as an answer shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitView {
    /// The asset.
    pub asset: AssetName,
    /// How far below zero it may go.
    pub credit: Credit,
    /// What settled plus incoming may not be raised above, in minor units.
    pub max_balance: Option<Amount>,
}

/// An account as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    pub owner: Owner,
    /// The owning client, or the client of the owning customer.
    pub client: ClientId,
    /// What it is for.
    pub purpose: Purpose,
    /// A label for people; may be empty.
    pub label: Box<str>,
    /// Whether it takes movements.
    pub status: AccountStatus,
    /// The only asset it takes, if it is bound to one.
    pub currency: Option<AssetName>,
    /// Whether it is the first of its owner and purpose.
    pub primary: bool,
    /// Limits, at most one an asset.
    pub limits: Vec<LimitView>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
}

/// An account to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAccount {
    /// Whose it is. An id alone does not say whether it is a client's or a customer's: see [`Service::owner`].
    pub owner: Owner,
    /// What it is for.
    pub purpose: Purpose,
    /// A label: 0 ..= 200 characters.
    pub label: String,
    /// The only asset it takes; a `card` account must have one.
    pub currency: Option<AssetName>,
    /// Whether it takes over as the primary one.
    pub primary: bool,
    /// Its limits, at most one an asset.
    pub limits: Vec<LimitChange>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
}

impl Service {
    /// Who has this id, a client or a customer. What is neither is taken for a customer, whom the ledger will not find.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owner(&self, caller: &Caller, id: u128) -> Result<Owner, Problem> {
        let client = ClientId(id);
        Ok(match self.store.client(caller.viewer, client).await? {
            Some(_) => Owner::Client(client),
            None => Owner::Customer(ledger::CustomerId(id)),
        })
    }

    /// Opens an account. Scope `admin`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a label or limits that are none; refusals of the ledger.
    pub async fn create_account(
        &self,
        caller: &Caller,
        input: CreateAccount,
        idempotency: Idempotency,
    ) -> Result<Written<AccountView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        check_label("label", &input.label)?;
        check_notes(&input.notes)?;
        check_limits(&input.limits, input.purpose)?;
        let home = match input.owner {
            Owner::Client(client) => Some(client),
            Owner::Customer(_) => None,
        };
        let caller = &self.at_home_of(caller, home).await?;
        let new = NewAccount {
            id: AccountId(new_id()),
            owner: input.owner,
            purpose: input.purpose,
            label: input.label.into(),
            currency: input.currency,
            primary: input.primary,
            limits: input.limits,
            notes: input.notes,
        };
        let key = idempotency.key(new.id.0);
        let command = self
            .command(caller, key, Action::CreateAccount(new), false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        let (Action::CreateAccount(made), Ok(Done::Account { primary, client, .. })) =
            (&recorded.record.action, &recorded.record.outcome)
        else {
            return Err(Problem::internal("an account was made by another action"));
        };
        let view = self
            .opened(made, *primary, *client, recorded.record.recorded_at)
            .await?;
        Ok(recorded.written(view))
    }

    /// Changes an account. Scope `admin`. Answers with the account as it is now.
    ///
    /// # Errors
    /// As [`Service::create_account`]; an account that is not visible is a refusal of the subject.
    pub async fn update_account(
        &self,
        caller: &Caller,
        change: AccountChange<Plain>,
        idempotency: Idempotency,
    ) -> Result<Written<AccountView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        let id = change.id;
        if let Some(label) = &change.label {
            check_label("label", label)?;
        }
        check_notes_change(&change.external_id, &change.metadata)?;
        if !change.limits.is_empty() {
            let account = self.store.account(caller.viewer, id, AsOf::NOW).await?;
            // One that is not there is the ledger's to refuse, so that the refusal is recorded.
            let purpose = account.map_or(Purpose::Internal, |found| found.value.account.purpose);
            check_limits(&change.limits, purpose)?;
        }
        let key = idempotency.key(new_id());
        let command = self
            .command(caller, key, Action::UpdateAccount(change), false)
            .await?;
        let missing = |refused: &ledger::Rejection| {
            refused.code == Code::AccountNotFound && refused.account == Some(id)
        };
        let recorded = self.submit(command, missing).await?;
        let now = self.store.account(caller.viewer, id, AsOf::NOW).await?;
        let now = now.ok_or_else(|| Problem::internal("an account was changed and is not there"))?;
        let view = self.account_view(caller, &now.value).await?;
        Ok(recorded.written(view))
    }

    /// An account with its balances now. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn account(&self, caller: &Caller, id: AccountId) -> Result<Stamped<AccountBalances>, Problem> {
        self.account_balances(caller, id, AsOf::NOW).await
    }

    /// Accounts in order of creation, with their balances now. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn accounts(
        &self,
        caller: &Caller,
        owner: Option<Owner>,
        external_id: Option<String>,
        page: Page,
    ) -> Result<Listed<AccountBalances>, Problem> {
        caller.require(Scopes::READ)?;
        let field = Field::AccountExternalId;
        let lookup = self.lookup(caller, field, external_id.as_deref());
        let filter = AccountFilter {
            owner,
            external_id: lookup.await?,
        };
        Ok(self.store.accounts(caller.viewer, filter, page).await?)
    }

    /// An account as an answer shows it: with its assets by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account_view(
        &self,
        caller: &Caller,
        found: &AccountBalances,
    ) -> Result<AccountView, Problem> {
        let mut views = self.account_views(caller, std::slice::from_ref(found)).await?;
        views
            .pop()
            .ok_or_else(|| Problem::internal("an account has no view"))
    }

    /// Accounts as an answer shows them: with their assets by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account_views(
        &self,
        caller: &Caller,
        found: &[AccountBalances],
    ) -> Result<Vec<AccountView>, Problem> {
        let mut names: HashMap<AssetNo, AssetName> = found
            .iter()
            .flat_map(|one| {
                let touched = one.balances.iter().map(|balance| &balance.asset);
                one.currency.iter().chain(touched)
            })
            .map(|asset| (asset.no, asset.name))
            .collect();
        // A limit may be set in an asset that the account has not touched yet.
        let mut limits = found.iter().flat_map(|one| &one.account.details().limits);
        if limits.any(|limit| !names.contains_key(&limit.asset)) {
            let assets = self.store.assets(caller.viewer).await?;
            names.extend(assets.iter().map(|asset| (asset.no, asset.name)));
        }
        let keys = self
            .keys_of_accounts(found.iter().map(|one| &*one.account))
            .await?;
        found
            .iter()
            .map(|one| view(&one.account, &names, &keys))
            .collect()
    }
}

fn view(account: &Account, names: &HashMap<AssetNo, AssetName>, keys: &Keys) -> Result<AccountView, Problem> {
    let name = |no: AssetNo| {
        let known = names.get(&no).copied();
        known
            .ok_or_else(|| Problem::internal(format!("account {} has an unknown asset {}", account.id, no.0)))
    };
    let limits = account.details().limits.iter().map(|limit| {
        Ok(LimitView {
            asset: name(limit.asset)?,
            credit: limit.credit,
            max_balance: limit.max_balance,
        })
    });
    Ok(AccountView {
        id: account.id,
        owner: account.owner,
        client: account.client,
        purpose: account.purpose,
        label: keys.account_label(account)?,
        status: account.status,
        currency: account.currency.map(name).transpose()?,
        primary: account.primary,
        limits: limits.collect::<Result<_, Problem>>()?,
        notes: keys.account_notes(account)?,
        created_at: account.created_at,
        updated_at: account.updated_at,
    })
}

impl Service {
    /// The account as it was right after it was opened.
    async fn opened(
        &self,
        new: &NewAccount,
        primary: bool,
        client: ClientId,
        at: Micros,
    ) -> Result<AccountView, Problem> {
        let limits = new.limits.iter().map(|limit| LimitView {
            asset: limit.asset,
            credit: match limit.credit {
                None => Credit::NONE,
                Some(CreditChange::Limit(amount)) => Credit::Limit(amount),
                Some(CreditChange::Unlimited) => Credit::Unlimited,
            },
            max_balance: limit.max_balance,
        });
        // Its number in the book is not shown.
        let then = Account {
            id: new.id,
            no: AccountNo(0),
            owner: new.owner,
            client,
            purpose: new.purpose,
            status: AccountStatus::Active,
            currency: None,
            primary,
            details: Details::new(new.label.clone(), Vec::new(), new.notes.clone()),
            created_at: at,
            updated_at: at,
        };
        let keys = self.keys_of_accounts([&then]).await?;
        Ok(AccountView {
            currency: new.currency,
            limits: limits.collect(),
            ..view(&then, &HashMap::new(), &keys)?
        })
    }
}

/// At most one limit an asset, and credit without end for `internal` accounts alone.
fn check_limits(limits: &[LimitChange], purpose: Purpose) -> Result<(), Problem> {
    for (index, limit) in limits.iter().enumerate() {
        if limits[..index].iter().any(|other| other.asset == limit.asset) {
            return Err(Problem::bad(
                &format!("limits[{index}].asset"),
                format!("{} has a limit already; name each asset once", limit.asset),
            ));
        }
        if limit.credit == Some(CreditChange::Unlimited) && purpose != Purpose::Internal {
            return Err(Problem::bad(
                &format!("limits[{index}].credit"),
                "may be \"unlimited\" on `internal` accounts alone; name an amount",
            ));
        }
    }
    Ok(())
}
