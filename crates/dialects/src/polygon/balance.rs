//! `GET /v0.9/customers/{id}/balance`: what a customer has, in one ISO 4217 currency.

use ledger::CustomerId;
use service::{Metrics, Problem, Valuation, Value};
use store::{AsOf, Purposes, Stamped};

use crate::Config;
use crate::http::{Context, Request, Response};
use crate::iso;
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling;

pub(super) struct GetCustomerBalance;

/// The parameter that a 400 is about when it is the page's.
pub(super) const CUSTOMER_ID: &str = "id";

pub(super) const CURRENCY: &str = "estimatedBalanceCurrencyCode";

impl Endpoint for GetCustomerBalance {
    type Input = Valuation;
    type Output = Stamped<Value>;

    fn parse(request: &Request<'_>, config: &Config) -> Result<Self::Input, Problem> {
        let id = spelling::parse_typeid(&request.param(0))
            .map_err(|_| Problem::bad(CUSTOMER_ID, "must be `cst_` and the 26 digits of a TypeID"))?;
        let currency = request.query_value(CURRENCY);
        Ok(Valuation {
            customer: CustomerId(id),
            purposes: Purposes::of(&config.polygon.purposes),
            currency: currency.map_or_else(|| "USD".to_owned(), |text| text.into_owned()),
            as_of: AsOf::NOW,
        })
    }

    async fn run(context: Context<'_>, input: Self::Input) -> Result<Self::Output, Problem> {
        let found = context.service.valuation(context.caller, input).await?;
        if found
            .value
            .holdings
            .currency
            .as_deref()
            .is_some_and(iso::is_currency)
        {
            Ok(found)
        } else {
            Err(Problem::ValuationUnavailable {
                detail: format!(
                    "currency \"{}\" can't be used: it is not in ISO 4217",
                    found.value.currency
                ),
            })
        }
    }

    fn render(output: &Self::Output, _: &Config, _: &Metrics) -> Result<Response, Problem> {
        let value = &output.value;
        let mut body = Json::with_capacity(256);
        body.object(|body| {
            body.key("data").object(|data| {
                data.key("customerId")
                    .id(&spelling::typeid(value.holdings.customer.id.0));
                data.key("estimatedBalanceValue")
                    .decimal_string(value.minor, value.exponent);
                data.key(CURRENCY).string(value.currency.as_str());
            });
        });
        Ok(Response::json(200, body).at(output.position))
    }
}
