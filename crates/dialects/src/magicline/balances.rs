//! `GET /v1/customers/{customerId}/account/balances`: the primary `receivable` and `credit` accounts of a member.

use ledger::{Asset, Purpose};
use service::{Dues, Metrics, Problem};
use store::{AccountBalances, CustomerRef, Stamped};

use crate::Config;
use crate::http::{Context, Request, Response};
use crate::iso;
use crate::json::Json;
use crate::route::Endpoint;

pub(super) struct GetAccountBalances;

impl Endpoint for GetAccountBalances {
    type Input = i64;
    type Output = Stamped<Dues>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        let text = request.param(0);
        // Rust also reads a plus sign, which the grammar has not.
        let number = text.parse().ok().filter(|_| !text.starts_with('+'));
        number.ok_or_else(|| Problem::bad("customerId", "must be an integer of at most 64 bits"))
    }

    async fn run(context: Context<'_>, number: Self::Input) -> Result<Self::Output, Problem> {
        if number < 1 {
            return Err(Problem::not_found("customer"));
        }
        context
            .service
            .dues(context.caller, CustomerRef::Number(number))
            .await
    }

    fn render(output: &Self::Output, config: &Config, metrics: &Metrics) -> Result<Response, Problem> {
        let Dues { dunning, accounts } = &output.value;
        let primary = |purpose: Purpose| {
            let of_purpose =
                |found: &&AccountBalances| found.account.purpose == purpose && found.account.primary;
            match accounts.iter().find(of_purpose) {
                Some(found) => settled(found, metrics),
                None => Ok(None),
            }
        };
        let mut owed = primary(Purpose::Receivable)?;
        if config.magicline.negate_account_balance {
            owed = owed.map(|(amount, currency)| (-amount, currency));
        }
        let prepaid = primary(Purpose::Credit)?;
        let mut body = Json::with_capacity(256);
        body.object(|body| {
            for (name, data) in [("accountBalance", owed), ("consumptionCredit", prepaid)] {
                let Some((amount, currency)) = data else { continue };
                body.key(name).object(|data| {
                    data.key("amount").decimal(amount, currency.exponent);
                    data.key("currency").string(currency.name.code());
                });
            }
            if let Some(label) = &dunning.label {
                body.key("dunningLevel").string(label);
            }
            body.key("inDebtCollection").bool(dunning.in_debt_collection);
        });
        Ok(Response::json(200, body).at(output.position))
    }
}

/// What is settled on an account, in its one currency. Settled is within ±(2¹²⁷ − 1), so its sign can be turned.
///
/// The currency is the account's, else that of its one balance which is not zero, else that of the last entry. `None`
/// where there is none, or none of ISO 4217.
fn settled<'a>(found: &'a AccountBalances, metrics: &Metrics) -> Result<Option<(i128, &'a Asset)>, Problem> {
    let (shown, left_out): (Vec<_>, Vec<_>) = found
        .balances
        .iter()
        .partition(|balance| iso::is_currency(&balance.asset));
    metrics.balances_left_out.add(left_out.len() as u64);
    if let Some(currency) = &found.currency {
        let amount = shown.iter().find(|balance| balance.asset.no == currency.no);
        let amount = amount.map_or(0, |balance| balance.counters.settled());
        return Ok(iso::is_currency(currency).then_some((amount, &**currency)));
    }
    let mut standing = shown.iter().filter(|balance| balance.counters.settled() != 0);
    let one = match (standing.next(), standing.next()) {
        (Some(_), Some(_)) => {
            return Err(Problem::Conflict {
                code: "several_currencies",
                detail: format!(
                    "The {} account has balances in several currencies, of which this answer can show one; give each its \
                     own account.",
                    found.account.purpose.as_str()
                ),
            });
        }
        (Some(one), None) => Some(one),
        (None, _) => shown.iter().max_by_key(|balance| balance.last),
    };
    Ok(one.map(|balance| (balance.counters.settled(), &*balance.asset)))
}
