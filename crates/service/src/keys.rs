//! API keys.

use std::sync::Arc;

use ledger::{Action, ApiKey, ApiKeyId, ClientId, Code, Micros, NewApiKey, Scopes};
use store::{Cursor, Listed, Page};

use crate::auth::{CLIENT_SCOPES, Credentials};
use crate::check::check_label;
use crate::problem::Problem;
use crate::write::{Idempotency, Written, new_id, subject};
use crate::{Caller, Service};

/// An API key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKey {
    /// The client that it acts for; `None` for an operator's key, which the operator alone can make.
    pub client: Option<ClientId>,
    /// A label: 0 ..= 200 characters.
    pub label: String,
    /// What it may do: not nothing; `operator` for an operator's key alone.
    pub scopes: Scopes,
    /// From when on it no longer works: later than now.
    pub expires_at: Option<Micros>,
}

/// An API key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMade {
    /// Its id.
    pub id: ApiKeyId,
    /// What opens it. Only the first answer has it: nobody can be told a second time.
    pub credentials: Option<Credentials>,
}

/// An API key as an answer shows it, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The key.
    pub key: Arc<ApiKey>,
    /// Its label.
    pub label: Box<str>,
}

impl Service {
    /// Makes an API key. Scope `admin`; an operator's key: `operator`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for scopes that can't be given; a client that is not visible is a refusal of the subject.
    pub async fn create_key(
        &self,
        caller: &Caller,
        input: CreateKey,
        idempotency: Idempotency,
    ) -> Result<Written<KeyMade>, Problem> {
        caller.require(match input.client {
            Some(_) => Scopes::ADMIN,
            None => Scopes::OPERATOR,
        })?;
        check_label("label", &input.label)?;
        let may_have = match input.client {
            Some(_) => CLIENT_SCOPES,
            None => CLIENT_SCOPES.with(Scopes::OPERATOR),
        };
        if input.scopes == Scopes::default() || !may_have.contains(input.scopes) {
            return Err(Problem::bad(
                "scopes",
                "must name at least one scope; `operator` is for the operator's own keys",
            ));
        }
        if input.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Problem::bad("expiresAt", "must be later than now"));
        }
        let caller = &self.at_home_of(caller, input.client).await?;
        let id = ApiKeyId(new_id());
        let credentials = Credentials::generate(caller.viewer.book, id)?;
        let new = NewApiKey {
            id,
            client: input.client,
            label: input.label.into(),
            scopes: input.scopes,
            secret_hash: credentials.secret_hash(),
            expires_at: input.expires_at,
        };
        let key = idempotency.key(id.0);
        let command = self
            .command(caller, key, Action::CreateApiKey(new), false)
            .await?;
        let recorded = self.submit(command, subject(Code::ClientNotFound)).await?;
        let Action::CreateApiKey(made) = &recorded.record.action else {
            return Err(Problem::internal("a key was made by another action"));
        };
        let made = KeyMade {
            id: made.id,
            credentials: (!recorded.replayed).then_some(credentials),
        };
        Ok(recorded.written(made))
    }

    /// Ends an API key, at once and with all tokens signed for it. Scope `admin`.
    ///
    /// # Errors
    /// A key that is not visible is a refusal of the subject.
    pub async fn revoke_key(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        idempotency: Idempotency,
    ) -> Result<Written<ApiKeyId>, Problem> {
        caller.require(Scopes::ADMIN)?;
        let key = idempotency.key(new_id());
        let command = self
            .command(caller, key, Action::RevokeApiKey { id }, false)
            .await?;
        let recorded = self.submit(command, subject(Code::KeyNotFound)).await?;
        Ok(recorded.written(id))
    }

    /// API keys in order of creation, without their secrets. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keys(&self, caller: &Caller, page: Page) -> Result<Listed<KeyView>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.api_keys(caller.viewer, page).await?;
        self.key_views(found).await
    }

    async fn key_views(&self, found: Listed<Arc<ApiKey>>) -> Result<Listed<KeyView>, Problem> {
        let keys = self.keys_of_keys(found.items.iter().map(|key| &**key)).await?;
        found.try_map(|key| {
            let label = keys.key_label(&key)?;
            Ok(KeyView { key, label })
        })
    }

    /// The API keys of one client, in order of creation, without their secrets. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for the client.
    pub async fn keys_of(
        &self,
        caller: &Caller,
        client: ClientId,
        page: Page,
    ) -> Result<Listed<KeyView>, Problem> {
        let caller = &self.at_home_of(caller, Some(client)).await?;
        let position = self.client(caller, client).await?.position;
        let mut listed = Listed {
            items: Vec::new(),
            next: page.after,
            position,
        };
        // The store lists the keys of the whole book; there are few, so looking through them is cheap.
        loop {
            let after = listed.next;
            let some = self.store.api_keys(caller.viewer, Page { after, ..page }).await?;
            for key in some.items.into_iter().filter(|key| key.client == Some(client)) {
                if listed.items.len() == page.limit {
                    return self.key_views(listed).await;
                }
                listed.next = Some(Cursor {
                    position: key.no.into(),
                    index: 0,
                });
                listed.items.push(key);
            }
            if some.next.is_none() || listed.items.len() == page.limit {
                listed.next = some.next.and(listed.next);
                return self.key_views(listed).await;
            }
            listed.next = some.next;
        }
    }
}
