//! API keys.

use std::sync::Arc;

use ledger::{
    Action, ApiKey, ApiKeyId, ClientId, Code, Done, KeyRotation, Micros, NewApiKey, Record, Scopes,
};
use store::{Cursor, Listed, Page, visible};

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

/// An API key that is to take the place of another one, for the same client, with its label and scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateKey {
    /// The key that it takes the place of.
    pub old: ApiKeyId,
    /// For how many seconds the old one goes on, unless it ends before; at most [`OVERLAP_MAX`]. 0 revokes it.
    pub overlap: u32,
    /// From when on the new one no longer works: later than now.
    pub expires_at: Option<Micros>,
}

/// For how many seconds a key that was rotated goes on unless it is said: a day.
pub const OVERLAP: u32 = 86_400;

/// For how many it may at most: thirty days.
pub const OVERLAP_MAX: u32 = 30 * 86_400;

/// An API key that took the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotated {
    /// The new key, as it was made.
    pub new: KeyView,
    /// What opens it. Only the first answer has it.
    pub credentials: Option<Credentials>,
    /// The key whose place it took.
    pub old: ApiKeyId,
    /// From when on that one no longer works.
    pub old_ends_at: Micros,
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
        self.check_end(input.expires_at)?;
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

    /// Makes an API key in place of another one, which goes on for a while. Scope `admin`; an operator's key: `operator`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for an overlap that is too long; a key that is not visible, or has ended, is a refusal of the
    /// subject.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        input: RotateKey,
        idempotency: Idempotency,
    ) -> Result<Written<KeyRotated>, Problem> {
        // The keys of book 0 are operators', and whoever rotates one gets what it may do.
        caller.require(match caller.viewer.client {
            Some(_) => Scopes::ADMIN,
            None => Scopes::OPERATOR,
        })?;
        if input.overlap > OVERLAP_MAX {
            let most = format!("must be at most {OVERLAP_MAX}");
            return Err(Problem::bad("overlapSeconds", most));
        }
        self.check_end(input.expires_at)?;
        let id = ApiKeyId(new_id());
        let credentials = Credentials::generate(caller.viewer.book, id)?;
        let rotation = KeyRotation {
            old: input.old,
            id,
            label: self.label_for(caller, input.old).await?,
            secret_hash: credentials.secret_hash(),
            overlap: input.overlap,
            expires_at: input.expires_at,
        };
        let key = idempotency.key(id.0);
        let command = self
            .command(caller, key, Action::RotateApiKey(rotation), false)
            .await?;
        let recorded = self.submit(command, subject(Code::KeyNotFound)).await?;
        let made = self.key_rotated(&recorded.record).await?;
        Ok(recorded.written(KeyRotated {
            credentials: (!recorded.replayed).then_some(credentials),
            ..made
        }))
    }

    /// What a rotation made, without what opens it.
    async fn key_rotated(&self, record: &Record) -> Result<KeyRotated, Problem> {
        let (
            Action::RotateApiKey(made),
            Ok(Done::Rotated {
                client,
                scopes,
                old_ends_at,
            }),
        ) = (&record.action, &record.outcome)
        else {
            return Err(Problem::internal("a key was rotated by another action"));
        };
        // As it was right then; its place in its book is not shown.
        let key = ApiKey {
            id: made.id,
            no: 0,
            book: record.book,
            client: *client,
            label: made.label.clone(),
            scopes: *scopes,
            secret_hash: made.secret_hash,
            expires_at: made.expires_at,
            created_at: record.recorded_at,
            revoked_at: None,
        };
        let label = self.keys_of_keys([&key]).await?.key_label(&key)?;
        Ok(KeyRotated {
            new: KeyView {
                key: Arc::new(key),
                label,
            },
            credentials: None,
            old: made.old,
            old_ends_at: *old_ends_at,
        })
    }

    /// The label of a key, for one that takes its place. Where the caller sees no such key the rotation will be refused.
    async fn label_for(&self, caller: &Caller, id: ApiKeyId) -> Result<Box<str>, Problem> {
        let viewer = caller.viewer;
        let holder = self.store.api_key(viewer.book, id).await?;
        let is_seen = |key: &ApiKey| {
            key.client
                .is_none_or(|client| visible(viewer, caller.root, client))
        };
        match holder.filter(|holder| is_seen(&holder.key)) {
            Some(holder) => self.keys_of_keys([&*holder.key]).await?.key_label(&holder.key),
            None => Ok(Box::default()),
        }
    }

    fn check_end(&self, expires_at: Option<Micros>) -> Result<(), Problem> {
        match expires_at {
            Some(end) if end <= self.clock.now() => Err(Problem::bad("expiresAt", "must be later than now")),
            _ => Ok(()),
        }
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
