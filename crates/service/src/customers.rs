//! Customers of clients.

use ledger::{
    Action, ClientId, Code, Customer, CustomerChange, CustomerId, Done, Dunning, Field, Micros, NewCustomer,
    Notes, Plain, Scopes,
};
use store::{CustomerRef, Listed, Page, Stamped};

use crate::check::{check_notes, check_notes_change, check_text};
use crate::problem::Problem;
use crate::vault::Keys;
use crate::write::{Idempotency, Written, new_id, no_subject, subject};
use crate::{Caller, Service};

/// A customer as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerView {
    /// Its id.
    pub id: CustomerId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Its number, 1 ..= 2⁶³ − 1, unique in the book.
    pub number: i64,
    /// Its name in law.
    pub legal_name: Box<str>,
    /// Where it stands with what is owed.
    pub dunning: Dunning<Plain>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
    /// When what was written about it was erased.
    pub erased_at: Option<Micros>,
}

impl CustomerView {
    fn new(customer: &Customer, keys: &Keys) -> Result<Self, Problem> {
        Ok(Self {
            id: customer.id,
            client: customer.client,
            number: customer.number,
            legal_name: keys.customer_name(customer)?,
            dunning: keys.dunning(customer)?,
            notes: keys.customer_notes(customer)?,
            created_at: customer.created_at,
            updated_at: customer.updated_at,
            erased_at: customer.erased_at,
        })
    }
}

/// A customer to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateCustomer {
    /// The client it belongs to; the caller's own unless given.
    pub client: Option<ClientId>,
    /// Its name in law: 1 ..= 200 characters.
    pub legal_name: String,
    /// Its number, 1 ..= 2⁶³ − 1; the next one unless given.
    pub number: Option<i64>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
}

/// Where a customer stands with what is owed, said anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDunning {
    /// Whom it is about.
    pub customer: CustomerId,
    /// A label such as "Dunning Level 1"; `None` for none.
    pub label: Option<String>,
    /// Whether open claims were handed to a collection agency.
    pub in_debt_collection: bool,
}

impl Service {
    /// Makes a customer. Scope `admin`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a name or number that is none; refusals of the ledger.
    pub async fn create_customer(
        &self,
        caller: &Caller,
        input: CreateCustomer,
        idempotency: Idempotency,
    ) -> Result<Written<CustomerView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        check_text("legalName", &input.legal_name)?;
        check_notes(&input.notes)?;
        if input.number.is_some_and(|number| number < 1) {
            return Err(Problem::bad("number", "must be from 1 to 9223372036854775807"));
        }
        let caller = &self.at_home_of(caller, input.client).await?;
        let client = input.client.or(caller.viewer.client);
        let new = NewCustomer {
            id: CustomerId(new_id()),
            client: client
                .ok_or_else(|| Problem::bad("clientId", "is needed: the operator has no customers"))?,
            legal_name: input.legal_name.into(),
            number: input.number,
            notes: input.notes,
        };
        let key = idempotency.key(new.id.0);
        let command = self
            .command(caller, key, Action::CreateCustomer(new), false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        let (Action::CreateCustomer(made), Ok(Done::Customer(number))) =
            (&recorded.record.action, &recorded.record.outcome)
        else {
            return Err(Problem::internal("a customer was made by another action"));
        };
        let at = recorded.record.recorded_at;
        // As it was right then; its place in the book is not shown.
        let then = Customer {
            id: made.id,
            no: 0,
            client: made.client,
            number: *number,
            legal_name: made.legal_name.clone(),
            dunning: Dunning::default(),
            notes: made.notes.clone(),
            created_at: at,
            updated_at: at,
            erased_at: None,
        };
        Ok(recorded.written(self.customer_view(&then).await?))
    }

    /// Changes a customer. Scope `admin`. Answers with the customer as it is now.
    ///
    /// # Errors
    /// As [`Service::create_customer`]; a customer that is not visible is a refusal of the subject.
    pub async fn update_customer(
        &self,
        caller: &Caller,
        change: CustomerChange<Plain>,
        idempotency: Idempotency,
    ) -> Result<Written<CustomerView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        if let Some(name) = &change.legal_name {
            check_text("legalName", name)?;
        }
        check_notes_change(&change.external_id, &change.metadata)?;
        let id = change.id;
        self.change_customer(caller, id, Action::UpdateCustomer(change), idempotency)
            .await
    }

    /// Makes everything that was ever written about a customer unreadable: its name, its labels, its foreign id and metadata,
    /// those of its accounts, and the texts of transactions under its key. What it owns and owes stays. Scope `admin`.
    ///
    /// The command comes first, so that nobody's texts are erased by who may not, and the key goes before the answer; what was
    /// cut off in between is finished when the same is asked again.
    ///
    /// # Errors
    /// A customer that is not visible is a refusal of the subject.
    pub async fn erase_customer(
        &self,
        caller: &Caller,
        id: CustomerId,
        idempotency: Idempotency,
    ) -> Result<Written<CustomerView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        let key = idempotency.key(new_id());
        let command = self
            .command(caller, key, Action::EraseCustomer { id }, false)
            .await?;
        let recorded = self.submit(command, subject(Code::CustomerNotFound)).await?;
        self.forget_text_key(id.into()).await?;
        let now = self.store.customer(caller.viewer, CustomerRef::Id(id)).await?;
        let now = now.ok_or_else(|| Problem::internal("a customer was erased and is not there"))?;
        Ok(recorded.written(self.customer_view(&now.value).await?))
    }

    /// Says where a customer stands with what is owed. Scope `admin`. Answers with the customer as it is now.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a label that is too long; a customer that is not visible is a refusal of the subject.
    pub async fn set_dunning(
        &self,
        caller: &Caller,
        input: SetDunning,
        idempotency: Idempotency,
    ) -> Result<Written<CustomerView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        if let Some(label) = &input.label {
            check_text("label", label)?;
        }
        let action = Action::SetDunning {
            customer: input.customer,
            label: input.label.map(Into::into),
            in_debt_collection: input.in_debt_collection,
        };
        self.change_customer(caller, input.customer, action, idempotency)
            .await
    }

    async fn change_customer(
        &self,
        caller: &Caller,
        id: CustomerId,
        action: Action<Plain>,
        idempotency: Idempotency,
    ) -> Result<Written<CustomerView>, Problem> {
        let key = idempotency.key(new_id());
        let command = self.command(caller, key, action, false).await?;
        let recorded = self.submit(command, subject(Code::CustomerNotFound)).await?;
        let now = self.store.customer(caller.viewer, CustomerRef::Id(id)).await?;
        let now = now.ok_or_else(|| Problem::internal("a customer was changed and is not there"))?;
        Ok(recorded.written(self.customer_view(&now.value).await?))
    }

    /// A customer. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn customer(
        &self,
        caller: &Caller,
        customer: CustomerRef,
    ) -> Result<Stamped<CustomerView>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.customer(caller.viewer, customer).await?;
        let Stamped { value, position } = found.ok_or_else(|| Problem::not_found("customer"))?;
        Ok(Stamped {
            value: self.customer_view(&value).await?,
            position,
        })
    }

    async fn customer_view(&self, customer: &Customer) -> Result<CustomerView, Problem> {
        CustomerView::new(customer, &self.keys_of_customers([customer]).await?)
    }

    /// Customers in order of creation, narrowed to a foreign id if one is given. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn customers(
        &self,
        caller: &Caller,
        external_id: Option<String>,
        page: Page,
    ) -> Result<Listed<CustomerView>, Problem> {
        caller.require(Scopes::READ)?;
        let field = Field::CustomerExternalId;
        let lookup = self.lookup(caller, field, external_id.as_deref());
        let found = self.store.customers(caller.viewer, lookup.await?, page).await?;
        let keys = self
            .keys_of_customers(found.items.iter().map(|one| &**one))
            .await?;
        found.try_map(|customer| CustomerView::new(&customer, &keys))
    }
}
