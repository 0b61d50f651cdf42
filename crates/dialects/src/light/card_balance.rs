//! `GET /v1/card-balance-accounts/{accountId}`: a `card` account.

use ledger::{AccountId, AccountStatus, ClientId, Counters, Purpose};
use service::{Metrics, Problem};
use store::{AccountBalances, Stamped};

use super::JSON;
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::{spelling, time};

pub(super) struct GetCardBalanceAccount;

/// A card account and the root client of its book.
pub(super) struct Card {
    found: Stamped<AccountBalances>,
    company: ClientId,
    label: Box<str>,
}

impl Endpoint for GetCardBalanceAccount {
    type Input = AccountId;
    type Output = Card;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        spelling::parse_uuid(&request.param(0))
            .map(AccountId)
            .map_err(|_| Problem::bad("accountId", "must be a hyphenated UUID"))
    }

    async fn run(context: Context<'_>, id: Self::Input) -> Result<Self::Output, Problem> {
        let found = context.service.account(context.caller, id).await?;
        match context.caller.root {
            Some(company) if found.value.account.purpose == Purpose::Card => {
                let label = context.service.account_label(&found.value.account).await?;
                Ok(Card {
                    found,
                    company,
                    label,
                })
            }
            _ => Err(Problem::not_found("account")),
        }
    }

    fn render(output: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let AccountBalances {
            account,
            currency,
            balances,
        } = &output.found.value;
        let currency = currency
            .as_ref()
            .ok_or_else(|| Problem::internal(format!("card account {} has no currency", account.id)))?;
        let balance = balances.iter().find(|balance| balance.asset.no == currency.no);
        let counters = balance.map_or(Counters::default(), |balance| balance.counters);
        let minor = |what: &str, value: i128| {
            i64::try_from(value).map_err(|_| {
                Problem::internal(format!(
                    "account {}: {what} is {value} {}, which int64 can't hold",
                    account.id, currency.name
                ))
            })
        };
        let available = minor("available", counters.available())?;
        let settled = minor("settled", counters.settled())?;
        let reserved = minor("reserved", counters.reserved())?;
        let touched = balances.iter().map(|balance| balance.last_at).max();
        let updated_at = touched.map_or(account.updated_at, |at| at.max(account.updated_at));

        let mut body = Json::with_capacity(512 + output.label.len());
        body.object(|body| {
            body.key("id").id(&spelling::uuid(account.id.0));
            body.key("companyEntityId").id(&spelling::uuid(account.client.0));
            body.key("companyId").id(&spelling::uuid(output.company.0));
            body.key("currency").string(currency.name.as_str());
            body.key("label").string(&output.label);
            body.key("status").string(match account.status {
                AccountStatus::Active | AccountStatus::Frozen => "ACTIVE",
                AccountStatus::Closed => "CLOSED",
            });
            body.key("balance").object(|balance| {
                balance.key("available").int(available);
                balance.key("settled").int(settled);
                balance.key("reserved").int(reserved);
                balance.key("currency").string(currency.name.as_str());
            });
            body.key("createdAt").string(&time::format(account.created_at));
            body.key("updatedAt").string(&time::format(updated_at));
            body.key("primary").bool(account.primary);
        });
        let response = Response::new(200, JSON, body.into_bytes());
        Ok(response.at(output.found.position))
    }
}
