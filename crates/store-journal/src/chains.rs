//! Where the newest record lies that touched a balance, of each, and what else the next one needs to go on with the chain.

use ledger::{AssetNo, BookNo, Map, Pages};

use crate::log::Locator;
use crate::log::skew::Roots;
use crate::payload::BalanceKey;

/// The chains of the records that touched a balance. Accounts have their numbers in order, so they are found by them; of each,
/// its assets stand in the order in which they were touched, as its balances do, so that equal books are equal here.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Chains(Map<BookNo, BookChains>);

/// Those of a book.
pub(crate) type BookChains = Pages<AccountChains>;

/// Those of an account; most accounts have one asset.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum AccountChains {
    One(AssetNo, Roots<Locator>),
    /// None, or several.
    Any(Vec<(AssetNo, Roots<Locator>)>),
}

impl Default for AccountChains {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

const _: () = assert!(
    size_of::<AccountChains>() <= 40,
    "there are two for each account, and they are seldom in the processor's caches"
);

impl Chains {
    pub(crate) fn of(&self, book: BookNo) -> Option<&BookChains> {
        self.0.get(&book)
    }

    /// Those of a book, made empty when they are not here.
    pub(crate) fn of_mut(&mut self, book: BookNo) -> &mut BookChains {
        self.0.entry(book).or_default()
    }

    pub(crate) fn get(&self, book: BookNo, (account, asset): BalanceKey) -> Option<&Roots<Locator>> {
        let chains = self.of(book)?.get(account.0 as usize)?;
        chains.iter().find(|(no, _)| *no == asset).map(|(_, chain)| chain)
    }
}

/// A chain of a book, made empty when it is not here.
pub(crate) fn chain_of(book: &mut BookChains, (account, asset): BalanceKey) -> &mut Roots<Locator> {
    book.reach(account.0 as usize, AccountChains::default)
        .get_mut(asset)
}

impl AccountChains {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AssetNo, &Roots<Locator>)> {
        let (one, many) = match self {
            Self::One(asset, chain) => (Some((*asset, chain)), &[][..]),
            Self::Any(all) => (None, all.as_slice()),
        };
        one.into_iter()
            .chain(many.iter().map(|(asset, chain)| (*asset, chain)))
    }

    /// The chain of an asset, made empty when it is not here.
    fn get_mut(&mut self, asset: AssetNo) -> &mut Roots<Locator> {
        match self {
            Self::Any(all) if all.is_empty() => *self = Self::One(asset, Roots::new()),
            Self::One(no, chain) if *no != asset => {
                *self = Self::Any(vec![(*no, std::mem::take(chain))]);
            }
            _ => {}
        }
        match self {
            Self::One(_, chain) => chain,
            Self::Any(all) => {
                let nth = all.iter().position(|(no, _)| *no == asset).unwrap_or_else(|| {
                    all.push((asset, Roots::new()));
                    all.len() - 1
                });
                &mut all[nth].1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::AccountNo;

    use super::*;

    #[test]
    fn each_asset_has_a_chain_of_its_own_and_they_stand_in_the_order_of_touching() {
        let (book, account) = (BookNo(3), AccountNo(1_500));
        let mut chains = Chains::default();
        let assets = [840, 978, 840, 756, 978, 840].map(AssetNo);
        for (at, asset) in (1..).zip(assets) {
            assert_eq!(chains.get(book, (account, AssetNo(392))), None);
            let chain = chain_of(chains.of_mut(book), (account, asset));
            chain.push(Locator::new(at));
            let newest = chains.get(book, (account, asset)).and_then(Roots::newest);
            assert_eq!(newest, Some(Locator::new(at)));
        }
        let all = chains
            .of(book)
            .and_then(|book| book.get(1_500))
            .expect("it was touched");
        let counts: Vec<_> = all
            .iter()
            .map(|(asset, chain)| (asset.0, chain.count()))
            .collect();
        assert_eq!(counts, [(840, 3), (978, 2), (756, 1)]);
        let neighbour = chains
            .of(book)
            .and_then(|book| book.get(1_499))
            .expect("it has a row");
        assert_eq!(neighbour, &AccountChains::default());
    }
}
