//! Accounts and their balances by account number. A book numbers its accounts from 0 on, so where all of them are here the
//! number is the place: no hash, and whoever knows the number knows the place before looking there.

use std::ops::Index;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::asset::AssetNo;
use crate::balance::Balance;
use crate::id::AccountNo;
use crate::register::Account;
use crate::state::Map;

/// An account with its balances: two lines of a processor's cache, never three.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Slot {
    /// The account's register row.
    pub account: Arc<Account>,
    /// A balance for each asset that it has touched, in the order of touching.
    pub balances: SmallVec<[(AssetNo, Balance); 1]>,
}

const _: () = assert!(size_of::<Option<Slot>>() <= 128, "two lines");

impl Slot {
    /// The balance in `asset`, if it is here.
    #[must_use]
    pub fn balance(&self, asset: AssetNo) -> Option<&Balance> {
        self.balances
            .iter()
            .find(|(no, _)| *no == asset)
            .map(|(_, balance)| balance)
    }

    /// Puts the balance in `asset`.
    pub fn put_balance(&mut self, asset: AssetNo, balance: Balance) {
        match self.balances.iter_mut().find(|(no, _)| *no == asset) {
            Some((_, here)) => *here = balance,
            None => self.balances.push((asset, balance)),
        }
    }
}

/// Rows by numbers that run from 0. They stand in pages: to take one more moves a page at most, never all of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Pages<T>(Vec<Vec<T>>);

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pages<T> {
    /// So many rows stand in a page.
    const ROWS: usize = 1024;

    /// The row with this number, if there are so many.
    #[must_use]
    pub fn get(&self, no: usize) -> Option<&T> {
        self.0.get(no / Self::ROWS)?.get(no % Self::ROWS)
    }

    /// The row with this number, if there are so many.
    pub fn get_mut(&mut self, no: usize) -> Option<&mut T> {
        self.0.get_mut(no / Self::ROWS)?.get_mut(no % Self::ROWS)
    }

    /// The row with this number; it and those before it are made where they are not here.
    pub fn reach(&mut self, no: usize, new: impl Fn() -> T) -> &mut T {
        let (page, row) = (no / Self::ROWS, no % Self::ROWS);
        while self.0.len() <= page {
            if let Some(last) = self.0.last_mut() {
                last.resize_with(Self::ROWS, &new);
            }
            self.0.push(Vec::new());
        }
        let rows = &mut self.0[page];
        if rows.len() <= row {
            rows.resize_with(row + 1, new);
        }
        &mut rows[row]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// Accounts by number: all of a book's, or those that were loaded.
#[derive(Clone, Debug)]
pub enum Slots {
    /// All.
    All(Pages<Option<Slot>>),
    /// Some.
    Some(Map<AccountNo, Slot>),
}

impl Slots {
    pub(crate) fn new(all: bool) -> Self {
        if all {
            Self::All(Pages::default())
        } else {
            Self::Some(Map::default())
        }
    }

    /// The account, if it is here.
    #[must_use]
    pub fn get(&self, no: AccountNo) -> Option<&Slot> {
        match self {
            Self::All(rows) => rows.get(no.0 as usize)?.as_ref(),
            Self::Some(rows) => rows.get(&no),
        }
    }

    /// The account, if it is here.
    pub fn get_mut(&mut self, no: AccountNo) -> Option<&mut Slot> {
        match self {
            Self::All(rows) => rows.get_mut(no.0 as usize)?.as_mut(),
            Self::Some(rows) => rows.get_mut(&no),
        }
    }

    /// Whether the account is here.
    #[must_use]
    pub fn contains(&self, no: AccountNo) -> bool {
        self.get(no).is_some()
    }

    /// Where the account stands, if its number says so; found without a look at it.
    #[must_use]
    pub fn place(&self, no: AccountNo) -> Option<&Option<Slot>> {
        match self {
            Self::All(rows) => rows.get(no.0 as usize),
            Self::Some(_) => None,
        }
    }

    pub(crate) fn insert(&mut self, slot: Slot) {
        let no = slot.account.no;
        match self {
            Self::All(rows) => *rows.reach(no.0 as usize, || None) = Some(slot),
            Self::Some(rows) => _ = rows.insert(no, slot),
        }
    }

    /// The accounts that are here: in order where all are, else in none.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        let (all, some) = match self {
            Self::All(rows) => (Some(rows.iter().flatten()), None),
            Self::Some(rows) => (None, Some(rows.values())),
        };
        all.into_iter().flatten().chain(some.into_iter().flatten())
    }
}

impl Index<AccountNo> for Slots {
    type Output = Slot;

    /// # Panics
    /// When the account is not here.
    fn index(&self, no: AccountNo) -> &Slot {
        self.get(no).expect("the account is here")
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;

    #[test]
    fn rows_are_reached_across_pages() {
        let mut pages = Pages::default();
        for no in [0, 3, 1023, 1024, 5000] {
            *pages.reach(no, || 0) = no;
        }
        assert_eq!(pages.iter().count(), 5001);
        assert_eq!(pages.iter().sum::<usize>(), 3 + 1023 + 1024 + 5000);
        for no in [0, 3, 1023, 1024, 5000] {
            assert_eq!(pages.get(no), Some(&no));
        }
        assert_eq!(pages.get(1022), Some(&0));
        assert_eq!(pages.get(5001), None);
        assert_eq!(pages.get_mut(4096), Some(&mut 0));
    }
}
