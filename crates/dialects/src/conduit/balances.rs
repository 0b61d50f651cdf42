//! `available[]`: what the page's closed objects can say, in the order of its enums.

use ledger::{AssetName, CODE_MAX, NETWORK_MAX};
use service::{Metrics, Problem};
use store::AccountBalances;

use crate::http::Response;
use crate::json::Json;

/// The page's `AssetCode`: fiat, then stablecoins.
pub(super) const FIAT: [&str; 11] = [
    "USD", "MXN", "BRL", "COP", "EUR", "NGN", "ARS", "GBP", "AED", "SGD", "HKD",
];
pub(super) const STABLECOINS: [&str; 3] = ["USDT", "USDC", "RLUSD"];
/// The page's `NetworkName`.
pub(super) const NETWORKS: [&str; 6] = ["ethereum", "tron", "solana", "polygon", "base", "xrpl"];

/// About how many bytes an element takes.
pub(super) const ELEMENT: usize = 48 + CODE_MAX + NETWORK_MAX;

/// The place of an asset: of its code, then of its network.
type Rank = (usize, usize);

/// The place of an asset in the page's enums: fiat without a network, a stablecoin with one; `None` for all others.
fn rank(asset: &AssetName) -> Option<Rank> {
    match asset.network() {
        None => FIAT
            .iter()
            .position(|code| *code == asset.code())
            .map(|code| (code, 0)),
        Some(network) => {
            let coin = STABLECOINS.iter().position(|code| *code == asset.code())?;
            let network = NETWORKS.iter().position(|name| *name == network)?;
            Some((FIAT.len() + coin, network))
        }
    }
}

/// Amounts in minor units, true ones, in the order of their assets in the page's enums. Most accounts have one.
#[derive(Default)]
pub(super) struct Available(Vec<(Rank, AssetName, i128)>);

impl Available {
    /// What is available on an account. What the page can't name is left out and counted.
    pub(super) fn of(account: &AccountBalances, metrics: &Metrics) -> Self {
        let mut available = Self::default();
        for balance in &account.balances {
            let name = balance.asset.name;
            match rank(&name) {
                Some(rank) => *available.amount(rank, name) = balance.counters.available(),
                None => metrics.balances_left_out.add_one(),
            }
        }
        available
    }

    /// The amount of an asset, which begins at 0.
    fn amount(&mut self, rank: Rank, name: AssetName) -> &mut i128 {
        let at = match self.0.binary_search_by_key(&rank, |(rank, ..)| *rank) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (rank, name, 0));
                at
            }
        };
        &mut self.0[at].2
    }

    /// Adds another account's.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Problem> {
        for (rank, name, amount) in &other.0 {
            let sum = self.amount(*rank, *name);
            *sum = sum
                .checked_add(*amount)
                .ok_or_else(|| Problem::internal(format!("the total of {name} is beyond 128 bits")))?;
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes `{"available":[…]}`, and notes what is negative.
    pub(super) fn write(&self, body: &mut Json, negative: &mut Negative) {
        body.object(|body| {
            body.key("available").array(|elements| {
                for (_, name, amount) in &self.0 {
                    elements.object(|element| {
                        element.key("asset").string(name.code());
                        if let Some(network) = name.network() {
                            element.key("network").string(network);
                        }
                        element.key("amount").int_string((*amount).max(0));
                    });
                    if *amount < 0 {
                        negative.note(name);
                    }
                }
            });
        });
    }
}

/// The assets whose amounts were shown as zero for being negative.
#[derive(Default)]
pub(super) struct Negative {
    names: Vec<AssetName>,
    count: u64,
}

impl Negative {
    fn note(&mut self, name: &AssetName) {
        self.count += 1;
        if !self.names.contains(name) {
            self.names.push(*name);
        }
    }

    /// Names them in a header, and counts them.
    pub(super) fn tell(&self, response: &mut Response, metrics: &Metrics) {
        if self.count > 0 {
            let names: Vec<_> = self.names.iter().map(AssetName::as_str).collect();
            response.set("saldo-negative-balance", names.join(", "));
            metrics.balances_clamped.add(self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_page_has_a_place_and_no_other() {
        let name = |text| AssetName::parse(text).unwrap();
        let places = [
            "USD",
            "MXN",
            "HKD",
            "USDT@ethereum",
            "USDT@tron",
            "USDC@ethereum",
            "USDC@base",
            "RLUSD@xrpl",
        ];
        let ranks: Vec<_> = places.iter().map(|text| rank(&name(text)).unwrap()).collect();
        assert!(ranks.is_sorted());
        for other in ["JPY", "USDC", "USD@ethereum", "USDC@arbitrum", "POINTS"] {
            assert_eq!(rank(&name(other)), None, "{other}");
        }
    }
}
