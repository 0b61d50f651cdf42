//! Accounts, their balances, and the entries that made these.

use ledger::{AccountChange, AccountId, Credit, LimitChange, Micros, Notes, Owner, Plain};
use service::{AccountView, CreateAccount, EntryShown, Idempotency, Metrics, Problem, Written};
use store::{AccountBalances, AsOf, Direction, EntryKind, Listed, Page, Stamped};

use super::body::{Member, Value, body};
use super::forms::{ACCOUNT_STATUS, AMOUNT, ASSET, CREDIT, ID, POSITION, PURPOSE, REFERENCE, TEXT, TIME};
use super::query::{idempotency, page, path_id, query};
use super::{metadata, reply, transactions};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::{Prefix, ksuid, uuid};
use crate::time;

/// `POST /accounts`
pub(super) struct Create;

/// An account to be opened, whose owner is a client or a customer.
pub(super) struct Asked {
    owner: u128,
    account: CreateAccount,
    key: Idempotency,
}

impl Endpoint for Create {
    type Input = Asked;
    type Output = Written<AccountView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let body = body(request)?;
        let [
            owner,
            purpose,
            label,
            currency,
            primary,
            limits,
            external_id,
            metadata,
        ] = body.object([
            "ownerId",
            "purpose",
            "label",
            "currency",
            "primary",
            "limits",
            "externalId",
            "metadata",
        ])?;
        let owner = owner.need_text(&ID)?;
        let account = CreateAccount {
            // Which of the two it is, the register knows.
            owner: Owner::Customer(ledger::CustomerId(owner)),
            purpose: purpose.need_text(&PURPOSE)?,
            label: label.text(&TEXT)?.unwrap_or_default(),
            currency: currency.text(&ASSET)?,
            primary: primary.flag()?,
            limits: read_limits(limits)?,
            notes: Notes {
                external_id: external_id.text(&REFERENCE)?.map(Into::into),
                metadata: metadata.read(metadata::read)?,
            },
        };
        let key = idempotency(request)?;
        Ok(Asked { owner, account, key })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        let Asked {
            owner,
            mut account,
            key,
        } = input;
        account.owner = context.service.owner(context.caller, owner).await?;
        context.service.create_account(context.caller, account, key).await
    }

    fn render(made: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        let location = format!("{}/accounts/{}", config.native.prefix, uuid(made.value.id.0));
        Ok(reply::created(made, location, account(&made.value)))
    }
}

fn read_limits(limits: Member<'_, '_>) -> Result<Vec<LimitChange>, Problem> {
    let limits = limits.read(|limits| limits.array()?.each(read_limit))?;
    Ok(limits.unwrap_or_default())
}

fn read_limit(limit: Value<'_, '_>) -> Result<LimitChange, Problem> {
    let [asset, credit, max_balance] = limit.object(["asset", "credit", "maxBalance"])?;
    Ok(LimitChange {
        asset: asset.need_text(&ASSET)?,
        credit: credit.text(&CREDIT)?,
        max_balance: max_balance.text(&AMOUNT)?,
    })
}

/// `PATCH /accounts/{id}`
pub(super) struct Update;

impl Endpoint for Update {
    type Input = (AccountChange<Plain>, Idempotency);
    type Output = Written<AccountView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = AccountId(path_id(request, "account")?);
        let body = body(request)?;
        let [label, status, limits, primary, external_id, metadata] =
            body.object(["label", "status", "limits", "primary", "externalId", "metadata"])?;
        let primary = primary.read(|value| match value.bool()? {
            true => Ok(true),
            false => Err(value.fault("must be true; another account takes over by its own `primary`")),
        })?;
        let input = AccountChange {
            id,
            label: label.text(&TEXT)?.map(Into::into),
            status: status.text(&ACCOUNT_STATUS)?,
            limits: read_limits(limits)?,
            primary: primary.unwrap_or(false),
            external_id: external_id.patch(|value| Ok(value.text(&REFERENCE)?.into()))?,
            metadata: metadata.patch(metadata::read)?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.update_account(context.caller, input, key).await
    }

    fn render(changed: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::changed(changed, account(&changed.value)))
    }
}

/// `GET /accounts/{id}`
pub(super) struct Get;

impl Endpoint for Get {
    type Input = AccountId;
    type Output = Stamped<AccountView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let [] = query(request, [])?;
        path_id(request, "account").map(AccountId)
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        let found = context.service.account(context.caller, id).await?;
        Ok(Stamped {
            value: context.service.account_view(context.caller, &found.value).await?,
            position: found.position,
        })
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::read(found.position, account(&found.value)))
    }
}

/// `GET /accounts`
pub(super) struct List;

/// Which accounts.
pub(super) struct Filter {
    owner: Option<u128>,
    external_id: Option<String>,
    page: Page,
}

impl Endpoint for List {
    type Input = Filter;
    type Output = Listed<AccountView>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [owner, external_id, limit, cursor] =
            query(request, ["ownerId", "externalId", "limit", "cursor"])?;
        Ok(Filter {
            owner: owner.read(&ID)?,
            external_id: external_id.read(&REFERENCE)?,
            page: page(limit, cursor, config)?,
        })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        let (service, caller) = (context.service, context.caller);
        let owner = match input.owner {
            Some(id) => Some(service.owner(caller, id).await?),
            None => None,
        };
        let found = service
            .accounts(caller, owner, input.external_id, input.page)
            .await?;
        Ok(Listed {
            items: service.account_views(caller, &found.items).await?,
            next: found.next,
            position: found.position,
        })
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 640, |items, one| {
            items.object(|item| account_members(item, one));
        }))
    }
}

fn account(view: &AccountView) -> Json {
    let size = 576 + view.label.len() + 128 * view.limits.len() + reply::notes_size(&view.notes);
    reply::object(size, |body| account_members(body, view))
}

pub(super) fn account_members(body: &mut Json, view: &AccountView) {
    reply::id(body, "id", view.id.0);
    let (owner, kind) = match view.owner {
        Owner::Client(id) => (id.0, "client"),
        Owner::Customer(id) => (id.0, "customer"),
    };
    reply::id(body, "ownerId", owner);
    body.key("ownerType").string(kind);
    reply::id(body, "clientId", view.client.0);
    body.key("purpose").string(view.purpose.as_str());
    body.key("label").string(&view.label);
    body.key("status").string(view.status.as_str());
    if let Some(currency) = &view.currency {
        body.key("currency").string(currency.as_str());
    }
    body.key("primary").bool(view.primary);
    body.key("limits").array(|limits| {
        for limit in &view.limits {
            limits.object(|one| {
                one.key("asset").string(limit.asset.as_str());
                match limit.credit {
                    Credit::Limit(amount) => one.key("credit").int_string(amount.get()),
                    Credit::Unlimited => one.key("credit").string("unlimited"),
                }
                if let Some(most) = limit.max_balance {
                    one.key("maxBalance").int_string(most.get());
                }
            });
        }
    });
    reply::notes(body, &view.notes);
    body.key("spellings").object(|spellings| {
        reply::id(spellings, "uuid", view.id.0);
        spellings.key("ksuid").id(&ksuid(Prefix::Account, view.id.0));
    });
    body.key("createdAt").string(&time::format(view.created_at));
    body.key("updatedAt").string(&time::format(view.updated_at));
}

/// `GET /accounts/{id}/balances`
pub(super) struct GetBalances;

/// Balances, as of then.
pub(super) struct Balances {
    as_of: AsOf,
    found: Stamped<AccountBalances>,
}

impl Endpoint for GetBalances {
    type Input = (AccountId, AsOf);
    type Output = Balances;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = AccountId(path_id(request, "account")?);
        let [recorded_at, effective_at, position] =
            query(request, ["recordedAt", "effectiveAt", "position"])?;
        let as_of = AsOf {
            recorded_at: recorded_at.read(&TIME)?,
            effective_at: effective_at.read(&TIME)?,
            position: position.read(&POSITION)?,
        };
        Ok((id, as_of))
    }

    async fn run(context: Context<'_>, (id, as_of): Self::Input) -> Result<Self::Output, Problem> {
        let found = context.service.account_balances(context.caller, id, as_of);
        let found = found.await?;
        Ok(Balances { as_of, found })
    }

    fn render(output: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let Stamped { value, position } = &output.found;
        let body = reply::object(96 + 192 * value.balances.len(), |body| {
            reply::id(body, "accountId", value.account.id.0);
            body.key("position").int(position.0);
            body.key("balances").array(|balances| {
                for balance in &value.balances {
                    balances.object(|one| {
                        one.key("asset").string(balance.asset.name.as_str());
                        if output.as_of.effective_at.is_some() {
                            // Holds have no effective time: of the four numbers only this one has a meaning then.
                            one.key("settled").int_string(balance.counters.settled());
                        } else {
                            reply::counters(one, &balance.counters, balance.credit);
                        }
                    });
                }
            });
        });
        Ok(reply::read(*position, body))
    }
}

/// `GET /accounts/{id}/entries`
pub(super) struct ListEntries;

/// Which entries.
pub(super) struct Window {
    account: AccountId,
    from: Option<Micros>,
    to: Option<Micros>,
    page: Page,
}

impl Endpoint for ListEntries {
    type Input = Window;
    type Output = Listed<EntryShown>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let account = AccountId(path_id(request, "account")?);
        let [from, to, limit, cursor] = query(request, ["from", "to", "limit", "cursor"])?;
        Ok(Window {
            account,
            from: from.read(&TIME)?,
            to: to.read(&TIME)?,
            page: page(limit, cursor, config)?,
        })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        let Window {
            account,
            from,
            to,
            page,
        } = input;
        context
            .service
            .entries(context.caller, account, from, to, page)
            .await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 512, |items, one| {
            items.object(|item| entry(item, one))
        }))
    }
}

fn entry(body: &mut Json, EntryShown { view, reference }: &EntryShown) {
    let (record, made) = (&view.record, view.made_by());
    let (direction, other) = match view.direction {
        Direction::Debit => ("debit", made.to.id),
        Direction::Credit => ("credit", made.from.id),
    };
    reply::id(body, "transactionId", record.booked()[view.nth].id.0);
    body.key("type").string(EntryKind::of(record, view.nth).as_str());
    body.key("direction").string(direction);
    body.key("asset").string(view.asset.name.as_str());
    transactions::moved(body, made);
    reply::id(body, "counterpartyId", other.0);
    body.key("position").int(record.position.0);
    body.key("recordedAt").string(&time::format(record.recorded_at));
    body.key("effectiveAt")
        .string(&time::format(record.effective_at(view.nth)));
    if let Some(reference) = reference {
        body.key("reference").string(reference);
    }
    let after = view.after();
    body.key("balance")
        .object(|balance| reply::counters(balance, &after.counters, after.credit));
}
