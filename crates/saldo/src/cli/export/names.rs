//! What accounts and assets are called in plain-text ledgers: legal in all of them, and each name given once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ledger::{AccountId, AccountNo, AssetName, AssetNo, BookNo, Move, Owner, Purpose, State};

/// The most characters of a commodity that beancount takes.
const COMMODITY: usize = 24;

/// An account.
pub(super) struct Account {
    /// `Liabilities:Main:Customer-1002:Account-12`.
    pub(super) name: String,
    pub(super) id: AccountId,
}

/// An asset.
pub(super) struct Asset {
    pub(super) name: AssetName,
    /// As beancount writes it: `USDC.ETHEREUM`.
    pub(super) commodity: String,
    pub(super) exponent: u8,
}

/// The names that were given so far.
#[derive(Default)]
pub(super) struct Names {
    accounts: BTreeMap<AccountNo, Account>,
    assets: BTreeMap<AssetNo, Asset>,
    commodities: HashSet<String>,
    moved: BTreeSet<(AccountNo, AssetNo)>,
}

impl Names {
    /// Names what these moves touch.
    pub(super) fn learn(&mut self, state: &State, book: BookNo, moves: &[&Move]) {
        for made in moves {
            for no in [made.from.no, made.to.no] {
                self.moved.insert((no, made.asset.no));
                if !self.accounts.contains_key(&no)
                    && let Some(account) = name_account(state, book, no)
                {
                    self.accounts.insert(no, account);
                }
            }
            if !self.assets.contains_key(&made.asset.no)
                && let Some(asset) = state.asset_by_no(book, made.asset.no)
            {
                let commodity = commodity(asset.name.as_str(), &self.commodities);
                self.commodities.insert(commodity.clone());
                let (name, exponent) = (asset.name, asset.exponent);
                self.assets.insert(
                    asset.no,
                    Asset {
                        name,
                        commodity,
                        exponent,
                    },
                );
            }
        }
    }

    pub(super) fn account(&self, no: AccountNo) -> &str {
        self.accounts.get(&no).map_or("", |account| &account.name)
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(super) fn asset(&self, no: AssetNo) -> Option<&Asset> {
        self.assets.get(&no)
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// Every account with every asset that was moved there.
    pub(super) fn moved(&self) -> impl Iterator<Item = (AccountNo, AssetNo)> + '_ {
        self.moved.iter().copied()
    }
}

/// What the owner of the books owes to those who have an account is a liability; what is in the world outside, or owed to him, is his.
fn name_account(state: &State, book: BookNo, no: AccountNo) -> Option<Account> {
    let rows = state.book(book)?;
    let account = &rows.slots.get(no)?.account;
    let top = match account.purpose {
        Purpose::External => "Assets:External",
        Purpose::Receivable => "Assets:Receivable",
        Purpose::Main => "Liabilities:Main",
        Purpose::Credit => "Liabilities:Credit",
        Purpose::Card => "Liabilities:Card",
        Purpose::Wallet => "Liabilities:Wallet",
        Purpose::Internal => "Equity:Internal",
    };
    let owner = match account.owner {
        Owner::Customer(id) => format!("Customer-{}", rows.customers.peek(&id)?.number),
        Owner::Client(id) => {
            let nth = rows.client_list.iter().position(|other| *other == id);
            format!("Client-{}", nth.map_or(0, |nth| nth + 1))
        }
    };
    Some(Account {
        name: format!("{top}:{owner}:Account-{}", no.0),
        id: account.id,
    })
}

/// A commodity as beancount takes it, which none of these is.
fn commodity(name: &str, taken: &HashSet<String>) -> String {
    let legal = |c: char| match c.to_ascii_uppercase() {
        '@' => '.',
        c @ ('A'..='Z' | '0'..='9' | '.' | '_' | '-') => c,
        _ => '-',
    };
    let mut text: String = name.chars().map(legal).take(COMMODITY).collect();
    // It begins with a letter, as every code does, ends with a letter or digit, and has two characters.
    if text.len() < 2 || !text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        text.truncate(COMMODITY - 1);
        text.push('X');
    }
    let base = text.clone();
    for nth in 2.. {
        if !taken.contains(&text) {
            break;
        }
        let ending = format!("-{nth}");
        text = base.chars().take(COMMODITY - ending.len()).collect();
        text += &ending;
    }
    text
}

/// An amount of minor units in major ones.
pub(super) fn amount(minor: i128, exponent: u8) -> String {
    let mut digits = Vec::new();
    dialects::json::push_decimal(&mut digits, minor, exponent);
    String::from_utf8_lossy(&digits).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commodities_are_legal_and_unique() {
        let mut taken = HashSet::new();
        for (name, expected) in [
            ("USD", "USD"),
            ("USDC@ethereum", "USDC.ETHEREUM"),
            ("USDC.ETHEREUM", "USDC.ETHEREUM-2"),
            ("X", "XX"),
            ("POINTS-", "POINTS-X"),
            ("ABCDEFGHIJKLMNOP@abcdefghijklmnop", "ABCDEFGHIJKLMNOP.ABCDEFG"),
            ("ABCDEFGHIJKLMNOP@abcdefghijklmnoq", "ABCDEFGHIJKLMNOP.ABCDE-2"),
        ] {
            let made = commodity(name, &taken);
            assert_eq!(made, expected);
            assert!(taken.insert(made));
        }
    }

    #[test]
    fn amounts_have_all_their_places() {
        assert_eq!(amount(-1050, 2), "-10.50");
        assert_eq!(amount(7, 0), "7");
        assert_eq!(amount(1, 30), "0.000000000000000000000000000001");
    }
}
