//! Assets and rates.

use std::sync::Arc;

use ledger::{Asset, AssetKind, AssetName, EXPONENT_MAX, Position, Rate, RateRow};
use service::{AssetMade, Idempotency, Metrics, Problem, RegisterAsset, Written};
use store::{Listed, Page};

use super::body::{Value, body};
use super::forms::{ASSET, ASSET_KIND, RATE, REFERENCE, TEXT, TIME};
use super::query::{idempotency, page, page_limit, query};
use super::reply;
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::time;

/// `POST /assets`
pub(super) struct Register;

impl Endpoint for Register {
    type Input = (RegisterAsset, Idempotency);
    type Output = Written<AssetMade>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let body = body(request)?;
        let [code, network, exponent, kind] = body.object(["code", "network", "exponent", "kind"])?;
        let code = code.need(|code| {
            let text = code.text(&TEXT)?;
            match AssetName::new(&text, None) {
                Some(_) => Ok(text),
                None => Err(code.fault("must be 1 to 16 of A-Z 0-9 . _ - that begin with a letter")),
            }
        })?;
        let name = network.read(|network| {
            let name = AssetName::new(&code, Some(&network.text(&TEXT)?));
            name.ok_or_else(|| network.fault("must be 1 to 16 of a-z 0-9 -"))
        })?;
        let alone =
            || AssetName::new(&code, None).ok_or_else(|| Problem::internal("a code that was one is none"));
        let input = RegisterAsset {
            name: name.map_or_else(alone, Ok)?,
            // The range was just checked.
            exponent: exponent.need(|places| places.int(0..=i64::from(EXPONENT_MAX)))? as u8,
            kind: kind.text(&ASSET_KIND)?.unwrap_or(AssetKind::Custom),
        };
        Ok((input, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (input, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.register_asset(context.caller, input, key).await
    }

    fn render(made: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let AssetMade { name, exponent, kind } = made.value;
        let body = reply::object(160, |body| asset_members(body, &name, exponent, kind));
        Ok(reply::recorded(
            Response::json(201, body),
            made.position,
            made.replayed,
        ))
    }
}

pub(super) fn asset_members(body: &mut Json, name: &AssetName, exponent: u8, kind: AssetKind) {
    body.key("asset").string(name.as_str());
    body.key("code").string(name.code());
    if let Some(network) = name.network() {
        body.key("network").string(network);
    }
    body.key("exponent").int(exponent);
    body.key("kind").string(kind.as_str());
}

/// `GET /assets`
pub(super) struct ListAssets;

/// Which part of the list: at most so many, behind that name.
pub(super) struct AssetPage {
    limit: usize,
    after: Option<AssetName>,
}

/// A part of the list.
pub(super) struct Assets {
    items: Vec<Arc<Asset>>,
    /// The last one, if there are more.
    next: Option<AssetName>,
    position: Position,
}

impl Endpoint for ListAssets {
    type Input = AssetPage;
    type Output = Assets;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [limit, cursor] = query(request, ["limit", "cursor"])?;
        Ok(AssetPage {
            limit: page_limit(limit, config)?,
            // The list is by name, so the last name is the place to go on from.
            after: cursor.read(&ASSET)?,
        })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        // Read first: the list is then at least as new.
        let position = context.service.position(context.caller).await?;
        let mut items = context.service.assets(context.caller).await?;
        items.sort_by_key(|asset| asset.name);
        items.retain(|asset| input.after.is_none_or(|after| asset.name > after));
        let more = items.len() > input.limit;
        items.truncate(input.limit);
        let next = items.last().filter(|_| more).map(|asset| asset.name);
        Ok(Assets {
            items,
            next,
            position,
        })
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let body = reply::object(64 + 96 * found.items.len(), |body| {
            body.key("items").array(|items| {
                for asset in &found.items {
                    items.object(|item| asset_members(item, &asset.name, asset.exponent, asset.kind));
                }
            });
            if let Some(next) = &found.next {
                body.key("nextCursor").string(next.as_str());
            }
        });
        Ok(reply::read(found.position, body))
    }
}

/// `PUT /rates`
pub(super) struct PutRates;

impl Endpoint for PutRates {
    type Input = (Vec<Rate>, Idempotency);
    type Output = Written<usize>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let body = body(request)?;
        let items = body.value().array()?;
        let rates: Vec<Rate> = items.each_of(config.service.batch_items, "rates", read_rate)?;
        if rates.is_empty() {
            return Err(items.fault("must hold at least one rate"));
        }
        Ok((rates, idempotency(request)?))
    }

    async fn run(context: Context<'_>, (rates, key): Self::Input) -> Result<Self::Output, Problem> {
        context.service.put_rates(context.caller, rates, key).await
    }

    fn render(put: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let body = reply::object(96, |body| {
            body.key("position").int(put.position.0);
            body.key("recordedAt").string(&time::format(put.recorded_at));
            body.key("count").int(put.value);
        });
        Ok(reply::changed(put, body))
    }
}

fn read_rate(value: Value<'_, '_>) -> Result<Rate, Problem> {
    let [base, quote, rate, as_of, source] = value.object(["base", "quote", "rate", "asOf", "source"])?;
    Ok(Rate {
        base: base.need_text(&ASSET)?,
        quote: quote.need_text(&ASSET)?,
        rate: rate.need_text(&RATE)?,
        as_of: as_of.need_text(&TIME)?,
        source: source.need_text(&REFERENCE)?.into(),
    })
}

/// `GET /rates`
pub(super) struct ListRates;

impl Endpoint for ListRates {
    type Input = Page;
    type Output = Listed<Arc<RateRow>>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let [limit, cursor] = query(request, ["limit", "cursor"])?;
        page(limit, cursor, config)
    }

    async fn run(context: Context<'_>, page: Self::Input) -> Result<Self::Output, Problem> {
        context.service.rates(context.caller, page).await
    }

    fn render(found: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        Ok(reply::list(found, 224, |items, row| {
            items.object(|item| rate_members(item, row))
        }))
    }
}

pub(super) fn rate_members(body: &mut Json, row: &RateRow) {
    let rate = &row.rate;
    body.key("base").string(rate.base.as_str());
    body.key("quote").string(rate.quote.as_str());
    // At most 36 digits: far within an i128.
    body.key("rate")
        .decimal_string(rate.rate.digits as i128, rate.rate.scale);
    body.key("asOf").string(&time::format(rate.as_of));
    body.key("source").string(&rate.source);
    body.key("position").int(row.position.0);
    body.key("recordedAt").string(&time::format(row.recorded_at));
}
