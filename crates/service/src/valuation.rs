//! What a customer's money is worth in one currency.

use ledger::{AssetName, CustomerId, Part, RateRow, Scopes, ValuationError};
use store::{AsOf, CustomerRef, CustomerValuation, Page, Purposes, Stamped};

use crate::balances::check_as_of;
use crate::problem::Problem;
use crate::{Caller, Service};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valuation {
    /// Whose money.
    pub customer: CustomerId,
    /// Which of its accounts count.
    pub purposes: Purposes,
    /// In which currency: the text as it came, which may be none.
    pub currency: String,
    /// As of when.
    pub as_of: AsOf,
}

/// What it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The customer and what it holds in each asset.
    pub holdings: CustomerValuation,
    /// The currency.
    pub currency: AssetName,
    /// Its decimal places.
    pub exponent: u8,
    /// The value in its minor units, rounded half to even once.
    pub minor: i128,
}

impl Service {
    /// Values what a customer's accounts hold (settled), exactly, rounded once. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for the customer; [`Problem::ValuationUnavailable`] for a currency that is none or to which
    /// no rate leads, or a value beyond ±(2¹²⁷ − 1).
    pub async fn valuation(&self, caller: &Caller, input: Valuation) -> Result<Stamped<Value>, Problem> {
        caller.require(Scopes::READ)?;
        check_as_of(&input.as_of)?;
        let not_found = || Problem::not_found("customer");
        let Some(asked) = AssetName::parse(&input.currency) else {
            // Who asks about a stranger learns that first.
            let customer = CustomerRef::Id(input.customer);
            let customer = self.store.customer(caller.viewer, customer).await?;
            customer.ok_or_else(not_found)?;
            return Err(unavailable(&input.currency, "is not a currency"));
        };
        let found = self
            .store
            .valuation(caller.viewer, input.customer, input.purposes, asked, input.as_of)
            .await?
            .ok_or_else(not_found)?;
        let position = found.position;
        let value = value(found.value, asked)?;
        // A currency that nothing leads to can't be used, even for nothing.
        let holds_nothing = value
            .holdings
            .holdings
            .iter()
            .flatten()
            .all(|holding| holding.settled == 0);
        if holds_nothing && !is_priced_in(&value) && !self.is_priced(caller, asked, input.as_of).await? {
            return Err(Problem::ValuationUnavailable {
                detail: format!("no rate leads to currency \"{asked}\""),
            });
        }
        Ok(Stamped { value, position })
    }

    /// Whether any rate names this currency. Newest rates come first, so one that is in use is found at once.
    async fn is_priced(&self, caller: &Caller, currency: AssetName, as_of: AsOf) -> Result<bool, Problem> {
        let now = as_of
            .effective_at
            .or(as_of.recorded_at)
            .unwrap_or(self.clock.now());
        let mut page = Page {
            limit: RATES_AT_ONCE,
            after: None,
        };
        for _ in 0..PAGES_OF_RATES {
            let rates = self.store.rates(caller.viewer, page).await?;
            let names =
                |row: &RateRow| row.rate.as_of <= now && names(&row.rate.base, &row.rate.quote, currency);
            if rates.items.iter().any(|row| names(row)) {
                return Ok(true);
            }
            match rates.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        Ok(false)
    }
}

/// Looking for a currency that is in no rate ends after so many pages.
const PAGES_OF_RATES: usize = 10;
const RATES_AT_ONCE: usize = 1_000;

/// Whether a rate of this base and quote is about `currency`; one of its code alone is about it on every network.
fn names(base: &AssetName, quote: &AssetName, currency: AssetName) -> bool {
    [base, quote]
        .iter()
        .any(|name| **name == currency || name.network().is_none() && name.code() == currency.code())
}

/// Whether what was read for the valuation tells that the currency is one to value in: a pivot of all rates, something
/// that the customer holds, or something with a rate.
fn is_priced_in(value: &Value) -> bool {
    let currency = value.currency;
    matches!(currency.as_str(), "EUR" | "USD")
        || value
            .holdings
            .holdings
            .iter()
            .flatten()
            .any(|holding| holding.asset.name == currency)
        || value
            .holdings
            .rates
            .keys()
            .any(|(base, quote)| names(base, quote, currency))
}

fn unavailable(currency: &str, why: &str) -> Problem {
    // What came may be long; the first of it is enough to recognise it.
    let shown: String = currency.chars().take(40).collect();
    Problem::ValuationUnavailable {
        detail: format!("currency \"{shown}\" can't be used: it {why}"),
    }
}

fn value(holdings: CustomerValuation, asked: AssetName) -> Result<Value, Problem> {
    let Some(currency) = holdings.currency.clone() else {
        return Err(unavailable(asked.as_str(), "is not a currency"));
    };
    let Some(held) = &holdings.holdings else {
        return Err(unavailable(asked.as_str(), "can't hold so large a sum"));
    };
    let parts: Vec<_> = held
        .iter()
        .map(|holding| Part {
            asset: holding.asset.name,
            exponent: holding.asset.exponent,
            amount: holding.settled,
        })
        .collect();
    let rate = |base: &AssetName, quote: &AssetName| holdings.rates.get(&(*base, *quote)).copied();
    let minor = ledger::convert(&parts, &asked, currency.exponent, rate).map_err(|error| match error {
        ValuationError::NoRate(from) => Problem::ValuationUnavailable {
            detail: format!("no rate leads from {from} to currency \"{asked}\""),
        },
        ValuationError::Overflow => unavailable(asked.as_str(), "can't hold so large a sum"),
    })?;
    Ok(Value {
        currency: asked,
        exponent: currency.exponent,
        minor,
        holdings,
    })
}
