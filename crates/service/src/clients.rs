//! Clients: businesses that hold API keys.

use ledger::{Action, Client, ClientChange, ClientId, Code, Field, Micros, NewClient, Notes, Plain, Scopes};
use store::{Listed, Page, Stamped};

use crate::check::{check_notes, check_notes_change, check_text, check_time_zone};
use crate::problem::Problem;
use crate::vault::Keys;
use crate::write::{Idempotency, Written, new_id, no_subject, subject};
use crate::{Caller, Service};

/// A client as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// Its id.
    pub id: ClientId,
    /// The root client, for a subsidiary.
    pub parent: Option<ClientId>,
    /// Its name in law.
    pub legal_name: Box<str>,
    /// Its IANA time zone.
    pub time_zone: Box<str>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
}

impl ClientView {
    fn new(client: &Client, keys: &Keys) -> Result<Self, Problem> {
        Ok(Self {
            id: client.id,
            parent: client.parent,
            legal_name: keys.client_name(client)?,
            time_zone: client.time_zone.clone(),
            notes: keys.client_notes(client)?,
            created_at: client.created_at,
            updated_at: client.updated_at,
        })
    }
}

/// A client to be made. Without a parent the operator makes a root client and its book, a client its own subsidiary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateClient {
    /// The parent, a root client.
    pub parent: Option<ClientId>,
    /// Its name in law: 1 ..= 200 characters.
    pub legal_name: String,
    /// Its IANA time zone; UTC unless given.
    pub time_zone: Option<String>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
}

impl Service {
    /// Makes a client. Scope `admin`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a name or time zone that is none; refusals of the ledger.
    pub async fn create_client(
        &self,
        caller: &Caller,
        input: CreateClient,
        idempotency: Idempotency,
    ) -> Result<Written<ClientView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        check_text("legalName", &input.legal_name)?;
        let time_zone = input.time_zone.as_deref().unwrap_or("UTC");
        check_time_zone(time_zone)?;
        check_notes(&input.notes)?;
        // A client's key makes subsidiaries of that client; a subsidiary's is told by the ledger that it can't.
        let parent = input.parent.or(caller.viewer.client);
        let caller = &self.at_home_of(caller, parent).await?;
        let new = NewClient {
            id: ClientId(new_id()),
            parent,
            legal_name: input.legal_name.into(),
            time_zone: time_zone.into(),
            notes: input.notes,
        };
        let key = idempotency.key(new.id.0);
        let command = self
            .command(caller, key, Action::CreateClient(new), false)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        let Action::CreateClient(made) = &recorded.record.action else {
            return Err(Problem::internal("a client was made by another action"));
        };
        let at = recorded.record.recorded_at;
        // As it was right then; neither its book nor its place there is shown.
        let then = Client {
            id: made.id,
            book: caller.viewer.book,
            no: 0,
            parent: made.parent,
            legal_name: made.legal_name.clone(),
            time_zone: made.time_zone.clone(),
            notes: made.notes.clone(),
            created_at: at,
            updated_at: at,
        };
        Ok(recorded.written(self.client_view(&then).await?))
    }

    /// The caller, or, for the operator acting on a root client from book 0, the operator in that client's book.
    pub(crate) async fn at_home_of(
        &self,
        caller: &Caller,
        client: Option<ClientId>,
    ) -> Result<Caller, Problem> {
        match client {
            Some(root) if caller.is_operator() => match self.store.book_of(root).await? {
                Some(_) => self.in_book(caller.clone(), root).await,
                None => Ok(caller.clone()),
            },
            _ => Ok(caller.clone()),
        }
    }

    /// Changes a client. Scope `admin`. Answers with the client as it is now.
    ///
    /// # Errors
    /// As [`Service::create_client`]; a client that is not visible is a refusal of the subject.
    pub async fn update_client(
        &self,
        caller: &Caller,
        change: ClientChange<Plain>,
        idempotency: Idempotency,
    ) -> Result<Written<ClientView>, Problem> {
        caller.require(Scopes::ADMIN)?;
        if let Some(name) = &change.legal_name {
            check_text("legalName", name)?;
        }
        if let Some(zone) = &change.time_zone {
            check_time_zone(zone)?;
        }
        check_notes_change(&change.external_id, &change.metadata)?;
        let caller = &self.at_home_of(caller, Some(change.id)).await?;
        let key = idempotency.key(new_id());
        let id = change.id;
        let command = self
            .command(caller, key, Action::UpdateClient(change), false)
            .await?;
        let recorded = self.submit(command, subject(Code::ClientNotFound)).await?;
        let now = self.store.client(caller.viewer, id).await?;
        let now = now.ok_or_else(|| Problem::internal("a client was changed and is not there"))?;
        Ok(recorded.written(self.client_view(&now.value).await?))
    }

    /// A client. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn client(&self, caller: &Caller, id: ClientId) -> Result<Stamped<ClientView>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.client(caller.viewer, id).await?;
        let Stamped { value, position } = found.ok_or_else(|| Problem::not_found("client"))?;
        Ok(Stamped {
            value: self.client_view(&value).await?,
            position,
        })
    }

    async fn client_view(&self, client: &Client) -> Result<ClientView, Problem> {
        ClientView::new(client, &self.keys_of_clients([client]).await?)
    }

    /// Clients in order of creation, narrowed to a foreign id if one is given. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clients(
        &self,
        caller: &Caller,
        external_id: Option<String>,
        page: Page,
    ) -> Result<Listed<ClientView>, Problem> {
        caller.require(Scopes::READ)?;
        // The operator looks through the clients of all books, so all are found by one key.
        let field = Field::ClientExternalId;
        let lookup = match external_id {
            Some(id) => Some(self.operator_keys().await?.lookup(field, &id)),
            None => None,
        };
        let found = self.store.clients(caller.viewer, lookup, page).await?;
        let keys = self.keys_of_clients(found.items.iter().map(|one| &**one)).await?;
        found.try_map(|client| ClientView::new(&client, &keys))
    }
}
