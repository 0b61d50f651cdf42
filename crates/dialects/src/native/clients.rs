//! Clients and their API keys.

use ledger::{ApiKeyId, ClientChange, ClientId, Micros, Notes, Plain};
use service::{
    ClientView, CreateClient, CreateKey, Credentials, Idempotency, KeyMade, KeyRotated, KeyView, Metrics,
    OVERLAP, OVERLAP_MAX, Problem, RotateKey, Written,
};
use store::{Listed, Page, Stamped};

use super::body::{body, optional};
use super::forms::{CLIENT, REFERENCE, SCOPE, TEXT, TIME};
use super::query::{idempotency, page, path_id, query};
use super::{metadata, reply};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::{Prefix, ksuid, uuid};
use crate::time;

/// `POST /clients`
pub(super) struct Create;

impl Endpoint for Create {
    type Input = (CreateClient, Idempotency);
    type Output = Written<ClientView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let body = body(request)?;
        let [name, parent, zone, external_id, metadata] =
            body.object(["legalName", "parentId", "timeZone", "externalId", "metadata"])?;
        let input = CreateClient {
            legal_name: name.need_text(&TEXT)?,
            parent: parent.text(&CLIENT)?,
            time_zone: zone.text(&TEXT)?,
            notes: Notes {
                external_id: external_id.text(&REFERENCE)?.map(Into::into),
                metadata: metadata.read(metadata::read)?,
            },
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.create_client(context.caller, input, key).await
    }

    fn render(made: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        let location = format!("{}/clients/{}", config.native.prefix, uuid(made.value.id.0));
        Ok(reply::created(made, location, client(&made.value)))
    }
}

/// `PATCH /clients/{id}`
pub(super) struct Update;

impl Endpoint for Update {
    type Input = (ClientChange<Plain>, Idempotency);
    type Output = Written<ClientView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = ClientId(path_id(request, "client")?);
        let body = body(request)?;
        let [name, zone, external_id, metadata] =
            body.object(["legalName", "timeZone", "externalId", "metadata"])?;
        let input = ClientChange {
            id,
            legal_name: name.text(&TEXT)?.map(Into::into),
            time_zone: zone.text(&TEXT)?.map(Into::into),
            external_id: external_id.patch(|value| Ok(value.text(&REFERENCE)?.into()))?,
            metadata: metadata.patch(metadata::read)?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.update_client(context.caller, input, key).await
    }

    fn render(changed: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::changed(changed, client(&changed.value)))
    }
}

/// `GET /clients/{id}`
pub(super) struct Get;

impl Endpoint for Get {
    type Input = ClientId;
    type Output = Stamped<ClientView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let [] = query(request, [])?;
        path_id(request, "client").map(ClientId)
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        context.service.client(context.caller, id).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::read(found.position, client(&found.value)))
    }
}

/// `GET /clients`
pub(super) struct List;

impl Endpoint for List {
    type Input = (Option<String>, Page);
    type Output = Listed<ClientView>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [external_id, limit, cursor] = query(request, ["externalId", "limit", "cursor"])?;
        Ok((external_id.read(&REFERENCE)?, page(limit, cursor, config)?))
    }

    async fn run(context: Context<'_>, (external_id, page): Self::Input) -> Result<Self::Output, Problem> {
        context.service.clients(context.caller, external_id, page).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 512, |items, one| {
            items.object(|item| client_members(item, one));
        }))
    }
}

fn client(view: &ClientView) -> Json {
    let size = 448 + view.legal_name.len() + reply::notes_size(&view.notes);
    reply::object(size, |body| client_members(body, view))
}

pub(super) fn client_members(body: &mut Json, view: &ClientView) {
    reply::id(body, "id", view.id.0);
    if let Some(parent) = view.parent {
        reply::id(body, "parentId", parent.0);
    }
    body.key("legalName").string(&view.legal_name);
    body.key("timeZone").string(&view.time_zone);
    reply::notes(body, &view.notes);
    body.key("spellings").object(|spellings| {
        reply::id(spellings, "uuid", view.id.0);
        spellings.key("ksuid").id(&ksuid(Prefix::Client, view.id.0));
    });
    body.key("createdAt").string(&time::format(view.created_at));
    body.key("updatedAt").string(&time::format(view.updated_at));
}

/// `POST /clients/{id}/keys`
pub(super) struct MakeKey;

/// What was asked for a key besides its credentials, which the answer repeats.
pub(super) struct MadeKey {
    asked: CreateKey,
    made: Written<KeyMade>,
}

impl Endpoint for MakeKey {
    type Input = (CreateKey, Idempotency);
    type Output = MadeKey;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let client = ClientId(path_id(request, "client")?);
        let body = body(request)?;
        let [label, scopes, expires_at] = body.object(["label", "scopes", "expiresAt"])?;
        let label = label.need_text(&TEXT)?;
        let scopes: Vec<_> = scopes.need(|scopes| {
            let items = scopes.array()?;
            let scopes: Vec<_> = items.each(|scope| scope.text(&SCOPE))?;
            match scopes.is_empty() {
                true => Err(items.fault("must name at least one scope")),
                false => Ok(scopes),
            }
        })?;
        let input = CreateKey {
            client: Some(client),
            label,
            scopes: scopes.into_iter().fold(Default::default(), ledger::Scopes::with),
            expires_at: expires_at.text(&TIME)?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (asked, key): Self::Input) -> Result<Self::Output, Problem> {
        let made = context.service.create_key(context.caller, asked.clone(), key);
        let made = made.await?;
        Ok(MadeKey { asked, made })
    }

    fn render(output: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        let MadeKey { asked, made } = output;
        let body = reply::object(640, |body| {
            reply::id(body, "id", made.value.id.0);
            let client = asked.client.unwrap_or_default();
            key_members(body, Some(client), &asked.label, asked.scopes, asked.expires_at);
            secrets(body, made.value.credentials.as_ref());
            body.key("createdAt").string(&time::format(made.recorded_at));
        });
        let location = format!("{}/keys/{}", config.native.prefix, uuid(made.value.id.0));
        Ok(reply::created(made, location, body).with("cache-control", "no-store"))
    }
}

fn key_members(
    body: &mut Json,
    client: Option<ClientId>,
    label: &str,
    scopes: ledger::Scopes,
    expires_at: Option<Micros>,
) {
    if let Some(client) = client {
        reply::id(body, "clientId", client.0);
    }
    body.key("label").string(label);
    body.key("scopes")
        .array(|words| scopes.words().for_each(|word| words.string(word)));
    if let Some(end) = expires_at {
        body.key("expiresAt").string(&time::format(end));
    }
}

/// A replay can't show them: the store keeps a hash alone.
fn secrets(body: &mut Json, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        body.key("token").string(&credentials.token());
        body.key("apiKey").string(&credentials.api_key());
        body.key("apiSecret").string(&credentials.api_secret());
    }
}

/// `POST /keys/{id}/rotate`
pub(super) struct Rotate;

impl Endpoint for Rotate {
    type Input = (RotateKey, Idempotency);
    type Output = Written<KeyRotated>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let old = ApiKeyId(path_id(request, "key")?);
        let body = optional(request)?;
        let [overlap, expires_at] = body.object(["overlapSeconds", "expiresAt"])?;
        let overlap = overlap.read(|value| value.int(0..=OVERLAP_MAX.into()))?;
        let input = RotateKey {
            old,
            overlap: overlap
                .and_then(|seconds| seconds.try_into().ok())
                .unwrap_or(OVERLAP),
            expires_at: expires_at.text(&TIME)?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.rotate_key(context.caller, input, key).await
    }

    fn render(made: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        let KeyRotated {
            new: KeyView { key, label },
            credentials,
            old,
            old_ends_at,
        } = &made.value;
        let body = reply::object(768, |body| {
            reply::id(body, "id", key.id.0);
            key_members(body, key.client, label, key.scopes, key.expires_at);
            secrets(body, credentials.as_ref());
            body.key("createdAt").string(&time::format(key.created_at));
            body.key("replaces").object(|body| {
                reply::id(body, "id", old.0);
                body.key("endsAt").string(&time::format(*old_ends_at));
            });
        });
        let location = format!("{}/keys/{}", config.native.prefix, uuid(key.id.0));
        Ok(reply::created(made, location, body).with("cache-control", "no-store"))
    }
}

/// `GET /keys`, and `GET /clients/{id}/keys`
pub(super) struct ListKeys;

impl Endpoint for ListKeys {
    type Input = (Option<ClientId>, Page);
    type Output = Listed<KeyView>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let client = match request.params.is_empty() {
            true => None,
            false => Some(ClientId(path_id(request, "client")?)),
        };
        let [limit, cursor] = query(request, ["limit", "cursor"])?;
        Ok((client, page(limit, cursor, config)?))
    }

    async fn run(context: Context<'_>, (client, page): Self::Input) -> Result<Self::Output, Problem> {
        match client {
            Some(client) => context.service.keys_of(context.caller, client, page).await,
            None => context.service.keys(context.caller, page).await,
        }
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 320, |items, one| {
            items.object(|item| key_item(item, one));
        }))
    }
}

pub(super) fn key_item(body: &mut Json, KeyView { key, label }: &KeyView) {
    reply::id(body, "id", key.id.0);
    key_members(body, key.client, label, key.scopes, key.expires_at);
    body.key("createdAt").string(&time::format(key.created_at));
    if let Some(end) = key.revoked_at {
        body.key("revokedAt").string(&time::format(end));
    }
}

/// `DELETE /keys/{id}`
pub(super) struct RevokeKey;

impl Endpoint for RevokeKey {
    type Input = (ApiKeyId, Idempotency);
    type Output = Written<ApiKeyId>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        Ok((ApiKeyId(path_id(request, "key")?), idempotency(request)?))
    }

    async fn run(context: Context<'_>, (id, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.revoke_key(context.caller, id, key).await
    }

    fn render(ended: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::recorded(
            Response::empty(204),
            ended.position,
            ended.replayed,
        ))
    }
}
