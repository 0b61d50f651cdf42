//! The words of the tables' language: amounts, assets, times, limits, parts.

use ledger::{Amount, AssetName, CreditChange, Key, LimitChange, Parts};

/// A second in µs.
pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn hash(text: &str) -> [u8; 16] {
    match Key::named(text) {
        Key::Named(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn seconds(text: &str) -> i64 {
    let number = text.strip_suffix('s').expect("seconds, as 60s");
    number.parse::<i64>().expect("seconds, as 60s") * SECOND
}

pub(crate) fn amount(text: &str) -> Amount {
    if let Some(below) = text.strip_prefix("max") {
        let below = below.strip_prefix('-').unwrap_or("0");
        return Amount::MAX.checked_sub(amount(below)).expect("an amount");
    }
    if let Some(power) = text.strip_prefix("2^") {
        return Amount::new(1 << power.parse::<u32>().expect("a power")).expect("an amount");
    }
    Amount::parse(text).unwrap_or_else(|error| panic!("{text:?} {error}"))
}

pub(crate) fn signed(text: &str) -> i128 {
    match text.strip_prefix('-') {
        Some(digits) => -amount(digits).signed(),
        None => amount(text).signed(),
    }
}

pub(crate) fn asset(text: &str) -> AssetName {
    AssetName::parse(text).unwrap_or_else(|| panic!("{text:?} is no asset"))
}

/// The words of a line: those with `=` are options, single words are flags where the verb knows them.
pub(crate) struct Words<'a> {
    pub(crate) plain: Vec<&'a str>,
    pub(crate) options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let is_option = |word: &&str| word.contains('=');
        Self {
            plain: text.split_whitespace().filter(|word| !is_option(word)).collect(),
            options: text
                .split_whitespace()
                .filter(is_option)
                .filter_map(|word| word.split_once('='))
                .collect(),
        }
    }

    pub(crate) fn option(&self, name: &str) -> Option<&'a str> {
        self.options
            .iter()
            .find(|(option, _)| *option == name)
            .map(|(_, value)| *value)
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.plain.len();
        self.plain.retain(|word| *word != name);
        self.plain.len() < before
    }

    pub(crate) fn limits(&self) -> Vec<LimitChange> {
        let limits = self.options.iter().filter(|(name, _)| *name == "limit");
        limits.map(|(_, limit)| parse_limit(limit)).collect()
    }
}

pub(crate) fn parse_limit(text: &str) -> LimitChange {
    let mut parts = text.split(',');
    let mut limit = LimitChange {
        asset: asset(parts.next().expect("an asset")),
        credit: None,
        max_balance: None,
    };
    for part in parts {
        match part.split_once('=').expect("credit=… or max=…") {
            ("credit", "unlimited") => limit.credit = Some(CreditChange::Unlimited),
            ("credit", digits) => limit.credit = Some(CreditChange::Limit(amount(digits))),
            ("max", digits) => limit.max_balance = Some(amount(digits)),
            other => panic!("no limit {other:?}"),
        }
    }
    limit
}

pub(crate) fn parse_parts(words: &[&str]) -> Option<Parts> {
    let text = words.first()?;
    let part = |text: &str| match text.split_once(':') {
        Some((index, digits)) => (index.parse().expect("an index"), amount(digits)),
        None => (0, amount(text)),
    };
    Some(text.split(',').map(part).collect())
}
