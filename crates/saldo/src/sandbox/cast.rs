//! Who is in the sandbox: one client with a subsidiary, and their customers.

use ledger::AssetName;

use super::landmarks::{MEMBER, MERCHANT};

/// Which client a customer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum House {
    Root,
    Subsidiary,
}

/// A customer.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) house: House,
    /// What comes first is earned and spent most; with a month's income, in minor units.
    pub(super) holds: &'static [(&'static str, u64)],
    pub(super) external_id: &'static str,
}

pub(super) const ROOT: &str = "Harbour & Lark Payments Ltd";
pub(super) const ROOT_ZONE: &str = "Europe/London";
pub(super) const SUBSIDIARY: &str = "Harbour & Lark Europe GmbH";
pub(super) const SUBSIDIARY_ZONE: &str = "Europe/Berlin";

/// The number of the first customer; the others follow.
pub(super) const FIRST_NUMBER: i64 = 1001;

/// What the clients' own main accounts begin with, in minor units.
pub(super) const ROOT_FUNDS: &[(&str, u64)] = &[
    ("GBP", 18_450_000),
    ("USD", 42_500_000),
    ("EUR", 12_730_000),
    ("USDC@ethereum", 250_000_000_000),
    ("USDT@tron", 80_000_000_000),
];
pub(super) const SUBSIDIARY_FUNDS: &[(&str, u64)] = &[
    ("EUR", 23_180_000),
    ("USD", 6_120_000),
    ("USDC@polygon", 45_000_000_000),
];

macro_rules! people {
    ($($name:literal, $house:ident, $external:expr, $holds:expr;)*) => {
        /// The customers, in the order of their numbers.
        pub(super) const PEOPLE: &[Person] = &[$(Person {
            name: $name,
            house: House::$house,
            holds: &$holds,
            external_id: $external,
        }),*];
    };
}

people! {
    "Meridian Coffee Imports LLC", Root, MERCHANT, [
        ("USD", 4_860_000), ("EUR", 1_240_000), ("USDC@ethereum", 12_500_000_000), ("USDC@base", 3_200_000_000),
        ("RLUSD@xrpl", 1_800_000_000),
    ];
    "Jonas Weber", Subsidiary, MEMBER, [("EUR", 285_000)];
    "Ana Lucía Fernández Ortega", Root, "crm-20417", [("MXN", 3_140_000), ("USDC@polygon", 640_000_000)];
    "葵 中村", Root, "crm-20688", [("JPY", 412_000)];
    "Aurélie Dubois", Subsidiary, "crm-20713", [("EUR", 318_000), ("CHF", 90_000)];
    "Łukasz Wiśniewski", Subsidiary, "crm-20952", [("PLN", 870_000), ("EUR", 64_000)];
    "Thandiwe Nkosi", Root, "crm-21034", [("ZAR", 2_650_000), ("USDT@ethereum", 310_000_000)];
    "Ingrid Sørensen", Subsidiary, "crm-21266", [("NOK", 4_520_000)];
    "Mehmet Yılmaz", Root, "crm-21405", [("TRY", 6_890_000), ("USDT@tron", 520_000_000)];
    "Priya Raghavan", Root, "crm-21577", [("INR", 9_450_000), ("USD", 120_000)];
    "Terra Verde Exportações Ltda", Root, "crm-21804", [("BRL", 7_830_000), ("USDC@polygon", 4_100_000_000)];
    "Lim Wei Ling", Root, "crm-22019", [("SGD", 680_000), ("HKD", 950_000), ("USDC@solana", 880_000_000)];
}

/// An asset of the tables above.
pub(super) fn asset(name: &str) -> AssetName {
    AssetName::parse(name).expect("the sandbox's tables name assets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_built_in() {
        let built_in: Vec<_> = ledger::built_in(6).into_iter().map(|asset| asset.name).collect();
        let funds = ROOT_FUNDS.iter().chain(SUBSIDIARY_FUNDS);
        for (name, _) in PEOPLE.iter().flat_map(|person| person.holds).chain(funds) {
            assert!(built_in.contains(&asset(name)), "{name}");
        }
    }
}
