//! Customers.

use ledger::{AssetName, CustomerChange, CustomerId, Micros, Notes, Plain, Purpose};
use service::{
    CreateCustomer, CustomerView, Idempotency, Metrics, Problem, SetDunning, Valuation, Value as Worth,
    Written,
};
use store::{AsOf, CustomerRef, Listed, Page, Purposes, Stamped};

use super::body::{body, optional};
use super::forms::{ASSET, CLIENT, REFERENCE, TEXT, TIME};
use super::query::{idempotency, page, path_id, query};
use super::{metadata, reply};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::{Prefix, ksuid, typeid, uuid};
use crate::time;

/// `POST /customers`
pub(super) struct Create;

impl Endpoint for Create {
    type Input = (CreateCustomer, Idempotency);
    type Output = Written<CustomerView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let body = body(request)?;
        let [client, name, number, external_id, metadata] =
            body.object(["clientId", "legalName", "number", "externalId", "metadata"])?;
        let input = CreateCustomer {
            client: client.text(&CLIENT)?,
            legal_name: name.need_text(&TEXT)?,
            number: number.read(|value| value.int(1..=i64::MAX))?,
            notes: Notes {
                external_id: external_id.text(&REFERENCE)?.map(Into::into),
                metadata: metadata.read(metadata::read)?,
            },
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.create_customer(context.caller, input, key).await
    }

    fn render(made: &Self::Output, config: &Config, _: &Metrics) -> Result<Response, Problem> {
        let location = format!("{}/customers/{}", config.native.prefix, uuid(made.value.id.0));
        Ok(reply::created(made, location, customer(&made.value)))
    }
}

/// `PATCH /customers/{id}`
pub(super) struct Update;

impl Endpoint for Update {
    type Input = (CustomerChange<Plain>, Idempotency);
    type Output = Written<CustomerView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = CustomerId(path_id(request, "customer")?);
        let body = body(request)?;
        let [name, external_id, metadata] = body.object(["legalName", "externalId", "metadata"])?;
        let input = CustomerChange {
            id,
            legal_name: name.text(&TEXT)?.map(Into::into),
            external_id: external_id.patch(|value| Ok(value.text(&REFERENCE)?.into()))?,
            metadata: metadata.patch(metadata::read)?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.update_customer(context.caller, input, key).await
    }

    fn render(changed: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::changed(changed, customer(&changed.value)))
    }
}

/// `POST /customers/{id}/erase`
pub(super) struct Erase;

impl Endpoint for Erase {
    type Input = (CustomerId, Idempotency);
    type Output = Written<CustomerView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = CustomerId(path_id(request, "customer")?);
        let [] = optional(request)?.object([])?;
        Ok((id, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (id, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.erase_customer(context.caller, id, key).await
    }

    fn render(erased: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::changed(erased, customer(&erased.value)))
    }
}

/// `PUT /customers/{id}/dunning`
pub(super) struct PutDunning;

impl Endpoint for PutDunning {
    type Input = (SetDunning, Idempotency);
    type Output = Written<CustomerView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let customer = CustomerId(path_id(request, "customer")?);
        let body = body(request)?;
        let [label, in_debt_collection] = body.object(["label", "inDebtCollection"])?;
        let input = SetDunning {
            customer,
            label: label.patch(|value| value.text(&TEXT))?.flatten(),
            in_debt_collection: in_debt_collection.need(|value| value.bool())?,
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.set_dunning(context.caller, input, key).await
    }

    fn render(changed: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::changed(changed, customer(&changed.value)))
    }
}

/// `GET /customers/{id}`
pub(super) struct Get;

impl Endpoint for Get {
    type Input = CustomerId;
    type Output = Stamped<CustomerView>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let [] = query(request, [])?;
        path_id(request, "customer").map(CustomerId)
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        context
            .service
            .customer(context.caller, CustomerRef::Id(id))
            .await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::read(found.position, customer(&found.value)))
    }
}

/// `GET /customers`
pub(super) struct List;

impl Endpoint for List {
    type Input = (Option<String>, Page);
    type Output = Listed<CustomerView>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [external_id, limit, cursor] = query(request, ["externalId", "limit", "cursor"])?;
        Ok((external_id.read(&REFERENCE)?, page(limit, cursor, config)?))
    }

    async fn run(context: Context<'_>, (external_id, page): Self::Input) -> Result<Self::Output, Problem> {
        context.service.customers(context.caller, external_id, page).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 640, |items, one| {
            items.object(|item| customer_members(item, one));
        }))
    }
}

fn customer(view: &CustomerView) -> Json {
    let size = 640 + view.legal_name.len() + reply::notes_size(&view.notes);
    reply::object(size, |body| customer_members(body, view))
}

pub(super) fn customer_members(body: &mut Json, view: &CustomerView) {
    reply::id(body, "id", view.id.0);
    body.key("number").int(view.number);
    reply::id(body, "clientId", view.client.0);
    body.key("legalName").string(&view.legal_name);
    body.key("dunning").object(|dunning| {
        if let Some(label) = &view.dunning.label {
            dunning.key("label").string(label);
        }
        dunning
            .key("inDebtCollection")
            .bool(view.dunning.in_debt_collection);
    });
    reply::notes(body, &view.notes);
    body.key("spellings").object(|spellings| {
        reply::id(spellings, "uuid", view.id.0);
        spellings.key("ksuid").id(&ksuid(Prefix::Customer, view.id.0));
        spellings.key("typeid").id(&typeid(view.id.0));
    });
    body.key("createdAt").string(&time::format(view.created_at));
    body.key("updatedAt").string(&time::format(view.updated_at));
    if let Some(at) = view.erased_at {
        body.key("erasedAt").string(&time::format(at));
    }
}

/// `GET /customers/{id}/valuation`
pub(super) struct GetValuation;

/// What counts as a customer's money: not the client's own books, nor the world outside.
const WORTH: [Purpose; 5] = [
    Purpose::Main,
    Purpose::Receivable,
    Purpose::Credit,
    Purpose::Card,
    Purpose::Wallet,
];

/// The question and its answer.
pub(super) struct Valued {
    effective_at: Option<Micros>,
    recorded_at: Option<Micros>,
    worth: Stamped<Worth>,
}

impl Endpoint for GetValuation {
    type Input = (CustomerId, AssetName, AsOf);
    type Output = Valued;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let id = CustomerId(path_id(request, "customer")?);
        let [currency, effective_at, recorded_at] =
            query(request, ["currency", "effectiveAt", "recordedAt"])?;
        let as_of = AsOf {
            effective_at: effective_at.read(&TIME)?,
            recorded_at: recorded_at.read(&TIME)?,
            position: None,
        };
        Ok((id, currency.need(&ASSET)?, as_of))
    }

    async fn run(
        context: Context<'_>,
        (customer, currency, as_of): Self::Input,
    ) -> Result<Self::Output, Problem> {
        let input = Valuation {
            customer,
            purposes: Purposes::of(&WORTH),
            currency: currency.as_str().to_owned(),
            as_of,
        };
        Ok(Valued {
            effective_at: as_of.effective_at,
            recorded_at: as_of.recorded_at,
            worth: context.service.valuation(context.caller, input).await?,
        })
    }

    fn render(output: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let Stamped { value, position } = &output.worth;
        let body = reply::object(512, |body| {
            reply::id(body, "customerId", value.holdings.customer.id.0);
            body.key("currency").string(value.currency.as_str());
            body.key("value").decimal_string(value.minor, value.exponent);
            body.key("exponent").int(value.exponent);
            for (name, at) in [
                ("effectiveAt", output.effective_at),
                ("recordedAt", output.recorded_at),
            ] {
                if let Some(at) = at {
                    body.key(name).string(&time::format(at));
                }
            }
            body.key("holdings").array(|holdings| {
                for holding in value.holdings.holdings.iter().flatten() {
                    holdings.object(|one| {
                        one.key("asset").string(holding.asset.name.as_str());
                        one.key("settled").int_string(holding.settled);
                    });
                }
            });
            body.key("position").int(position.0);
        });
        Ok(reply::read(*position, body))
    }
}
