//! `GET /customers/{id}/account`: the customer's primary `main` account.

use ledger::{CustomerId, Purpose};
use service::{CustomerAccount, Metrics, Problem};
use store::Stamped;

use super::balances::{Available, ELEMENT, Negative};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::{self, Prefix, SpellingError};

pub(super) struct GetCustomerAccount;

impl Endpoint for GetCustomerAccount {
    type Input = CustomerId;
    type Output = Stamped<CustomerAccount>;

    fn parse(request: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        match spelling::parse_ksuid(Prefix::Customer, &request.param(0)) {
            Ok(id) => Ok(CustomerId(id)),
            Err(SpellingError::Malformed) => Err(Problem::bad("id", "must match ^cus_[a-zA-Z0-9]{27}$")),
            Err(SpellingError::NamesNothing) => Err(Problem::not_found("customer")),
        }
    }

    async fn run(context: Context<'_>, customer: Self::Input) -> Result<Self::Output, Problem> {
        context
            .service
            .primary_account(context.caller, customer, Purpose::Main)
            .await
    }

    fn render(output: &Self::Output, _: &Config, metrics: &Metrics) -> Result<Response, Problem> {
        let CustomerAccount { legal_name, account } = &output.value;
        let available = Available::of(account, metrics);
        let mut negative = Negative::default();
        let mut body = Json::with_capacity(256 + ELEMENT * available.len());
        body.object(|body| {
            body.key("id")
                .id(&spelling::ksuid(Prefix::Account, account.account.id.0));
            body.key("businessLegalName").string(legal_name);
            available.write(body.key("balances"), &mut negative);
        });
        let mut response = Response::json(200, body).at(output.position);
        negative.tell(&mut response, metrics);
        Ok(response)
    }
}
