//! The balances of one account. Nearly every account has one, with counters far below 2⁶⁴: then they take 56 bytes, so that with
//! what else is known of the account they fill one line of a processor's cache.

use crate::amount::Amount;
use crate::asset::AssetNo;
use crate::balance::{Balance, Counters};
use crate::id::Position;
use crate::time::Micros;

/// A balance for each asset that the account has touched, in the order of touching.
#[derive(Clone, Debug, Default)]
pub struct Balances(Kept);

#[derive(Clone, Debug)]
enum Kept {
    One(AssetNo, Narrow),
    /// None, several, or one that is too large, or was.
    Any(Vec<(AssetNo, Balance)>),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

/// A balance with counters below 2⁶⁴, in the order of [`Counters`].
#[derive(Clone, Copy, Debug)]
struct Narrow {
    counters: [u64; 4],
    last: Position,
    last_at: Micros,
}

impl Narrow {
    fn of(balance: Balance) -> Option<Self> {
        let Counters {
            debits_posted,
            debits_pending,
            credits_posted,
            credits_pending,
        } = balance.counters;
        let narrow = |amount: Amount| u64::try_from(amount.get()).ok();
        Some(Self {
            counters: [
                narrow(debits_posted)?,
                narrow(debits_pending)?,
                narrow(credits_posted)?,
                narrow(credits_pending)?,
            ],
            last: balance.last,
            last_at: balance.last_at,
        })
    }

    fn wide(self) -> Balance {
        let [debits_posted, debits_pending, credits_posted, credits_pending] =
            self.counters.map(Amount::from);
        let counters = Counters {
            debits_posted,
            debits_pending,
            credits_posted,
            credits_pending,
        };
        Balance {
            counters,
            last: self.last,
            last_at: self.last_at,
        }
    }
}

impl Balances {
    /// The balance in `asset`, if it is here.
    #[must_use]
    pub fn get(&self, asset: AssetNo) -> Option<Balance> {
        match &self.0 {
            Kept::One(no, balance) => (*no == asset).then(|| balance.wide()),
            _ => self
                .iter()
                .find(|(no, _)| *no == asset)
                .map(|(_, balance)| balance),
        }
    }

    /// Puts the balance in `asset`.
    pub fn put(&mut self, asset: AssetNo, balance: Balance) {
        match (&mut self.0, Narrow::of(balance)) {
            (Kept::One(no, here), Some(narrow)) if *no == asset => *here = narrow,
            (Kept::Any(all), Some(narrow)) if all.is_empty() => self.0 = Kept::One(asset, narrow),
            _ => self.put_any(asset, balance),
        }
    }

    #[inline(never)]
    fn put_any(&mut self, asset: AssetNo, balance: Balance) {
        let mut all = match std::mem::take(&mut self.0) {
            Kept::Any(all) => all,
            few => Self(few).iter().collect(),
        };
        match all.iter_mut().find(|(no, _)| *no == asset) {
            Some((_, here)) => *here = balance,
            None => {
                // Few accounts have more; by itself it would make room for four.
                all.reserve_exact(1);
                all.push((asset, balance));
            }
        }
        self.0 = Kept::Any(all);
    }

    /// All of them, in the order of touching.
    pub fn iter(&self) -> impl Iterator<Item = (AssetNo, Balance)> {
        let (one, any) = match &self.0 {
            Kept::One(asset, balance) => (Some((*asset, balance.wide())), &[][..]),
            Kept::Any(all) => (None, all.as_slice()),
        };
        one.into_iter().chain(any.iter().copied())
    }
}

impl PartialEq for Balances {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USD: AssetNo = AssetNo(840);
    const EUR: AssetNo = AssetNo(978);

    fn balance(credits: u128) -> Balance {
        let amount = |minor| Amount::new(minor).expect("an amount");
        Balance {
            counters: Counters {
                debits_posted: amount(1),
                debits_pending: amount(2),
                credits_posted: amount(credits),
                credits_pending: amount(3),
            },
            last: Position(7),
            last_at: Micros(8),
        }
    }

    #[test]
    fn what_was_put_is_there_whatever_its_size_and_number() {
        const NARROW: u128 = u64::MAX as u128;
        let none: [(AssetNo, u128); 0] = [];
        let scripts = [
            &none[..],
            &[(USD, 5)],
            &[(USD, 5), (USD, NARROW)],
            &[(USD, NARROW + 1)],
            &[(USD, NARROW), (USD, NARROW + 1)],
            &[(USD, NARROW + 1), (USD, i128::MAX as u128), (USD, 5)],
            &[(USD, 5), (EUR, 6), (USD, 7)],
            &[(EUR, NARROW + 1), (USD, 6), (EUR, 7)],
        ];
        for script in scripts {
            let mut balances = Balances::default();
            let mut model: Vec<(AssetNo, Balance)> = Vec::new();
            for (asset, credits) in script {
                balances.put(*asset, balance(*credits));
                match model.iter_mut().find(|(no, _)| no == asset) {
                    Some((_, here)) => *here = balance(*credits),
                    None => model.push((*asset, balance(*credits))),
                }
                assert_eq!(balances.iter().collect::<Vec<_>>(), model, "{script:?}");
                for asset in [USD, EUR] {
                    let expected = model.iter().find(|(no, _)| *no == asset).map(|(_, here)| *here);
                    assert_eq!(balances.get(asset), expected, "{script:?}");
                }
            }
        }
    }

    #[test]
    fn those_that_were_large_equal_those_that_never_were() {
        let mut grown = Balances::default();
        grown.put(USD, balance(u128::MAX >> 1));
        grown.put(USD, balance(5));
        let mut small = Balances::default();
        assert_ne!(grown, small);
        small.put(USD, balance(5));
        assert_eq!(grown, small);
        small.put(EUR, balance(5));
        assert_ne!(grown, small);
    }
}
