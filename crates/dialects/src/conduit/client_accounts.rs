//! `GET /clients/accounts`: the primary `main` accounts of the caller's client and its subsidiaries, and their total.

use ledger::ClientId;
use service::{ClientAccount, Metrics, Problem};
use store::Stamped;

use super::balances::{Available, ELEMENT, Negative};
use crate::Config;
use crate::http::{Context, Request, Response};
use crate::json::Json;
use crate::route::Endpoint;
use crate::spelling::{self, Prefix};

pub(super) struct ListClientAccounts;

/// About how many bytes a row takes beside its balances and name.
const ROW: usize = 160;

impl Endpoint for ListClientAccounts {
    type Input = ();
    /// The rows, the caller's own first.
    type Output = Stamped<Vec<ClientAccount>>;

    fn parse(_: &Request<'_>, _: &Config) -> Result<Self::Input, Problem> {
        Ok(())
    }

    async fn run(context: Context<'_>, (): Self::Input) -> Result<Self::Output, Problem> {
        let found = context.service.client_accounts(context.caller).await?;
        let own: Option<ClientId> = context.caller.viewer.client;
        match found.value.first() {
            Some(first) if Some(first.client) == own => Ok(found),
            _ => Err(Problem::Forbidden {
                scope: None,
                detail: "This key's client has no primary main account of its own; open one.".to_owned(),
            }),
        }
    }

    fn render(output: &Self::Output, _: &Config, metrics: &Metrics) -> Result<Response, Problem> {
        let rows = &output.value;
        let each: Vec<_> = rows
            .iter()
            .map(|row| Available::of(&row.account, metrics))
            .collect();
        // The true values are summed and shown as zero at the end alone, so that a transfer between two of these
        // accounts never moves the total.
        let mut total = Available::default();
        for available in &each {
            total.add(available)?;
        }
        let (Some(own), Some(available)) = (rows.first(), each.first()) else {
            return Err(Problem::internal("a list of client accounts is empty"));
        };
        let elements = total.len() * (rows.len() + 2);
        let names: usize = rows.iter().map(|row| row.legal_name.len()).sum();
        let mut negative = Negative::default();
        let mut body = Json::with_capacity(256 + ROW * rows.len() + ELEMENT * elements + names);
        body.object(|body| {
            body.key("id")
                .id(&spelling::ksuid(Prefix::Account, own.account.account.id.0));
            body.key("clientId")
                .id(&spelling::ksuid(Prefix::Client, own.client.0));
            body.key("businessLegalName").string(&own.legal_name);
            available.write(body.key("balances"), &mut negative);
            body.key("data").array(|data| {
                for (one, available) in rows.iter().zip(&each) {
                    data.object(|row| {
                        row.key("id").id(&spelling::ksuid(Prefix::Client, one.client.0));
                        row.key("accountId")
                            .id(&spelling::ksuid(Prefix::Account, one.account.account.id.0));
                        row.key("businessLegalName").string(&one.legal_name);
                        available.write(row.key("balances"), &mut negative);
                    });
                }
            });
            total.write(body.key("totalBalances"), &mut negative);
        });
        let mut response = Response::json(200, body).at(output.position);
        negative.tell(&mut response, metrics);
        Ok(response)
    }
}
