//! Accounts and their balances by account number and by id. A book numbers its accounts from 0 on, so where all of them are here
//! the number is the place: no hash, and whoever knows the number knows the place before looking there.

use std::ops::Index;
use std::sync::Arc;

use crate::account::Account;
use crate::balances::Balances;
use crate::id::{AccountId, AccountNo};
use crate::numbers::Numbers;
use crate::state::{Map, NotLoaded, Table};

/// An account with its balances: one line of a processor's cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Slot {
    /// The account's register row.
    pub account: Arc<Account>,
    /// Its balances.
    pub balances: Balances,
}

const _: () = assert!(size_of::<Option<Slot>>() == 64, "one line");

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

/// Accounts by number and id: all of a book's, or those that were loaded.
#[derive(Clone, Debug)]
pub enum Slots {
    /// All.
    All {
        /// By number.
        rows: Pages<Option<Slot>>,
        /// The numbers by id.
        numbers: Numbers,
    },
    /// Some.
    Some {
        /// By number.
        rows: Map<AccountNo, Slot>,
        /// The numbers by id, and the ids that no account has.
        numbers: Table<AccountId, AccountNo>,
    },
}

impl Slots {
    pub(crate) fn new(all: bool) -> Self {
        if all {
            Self::All {
                rows: Pages::default(),
                numbers: Numbers::default(),
            }
        } else {
            Self::Some {
                rows: Map::default(),
                numbers: Table::new(false),
            }
        }
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn find(&self, id: AccountId) -> Result<Option<&Slot>, NotLoaded> {
        match self {
            Self::All { rows, numbers } => {
                let slot = |no: AccountNo| rows.get(no.0 as usize)?.as_ref();
                Ok(numbers.find(id, |no| slot(no).filter(|slot| slot.account.id == id)))
            }
            Self::Some { rows, numbers } => match numbers.get(&id)? {
                Some(no) => rows.get(no).map(Some).ok_or(NotLoaded),
                None => Ok(None),
            },
        }
    }

    /// The number that the account with this id has, found without a look at the account. In rare cases, and where there is no
    /// such account, it may be another's, or none.
    #[must_use]
    pub fn guess(&self, id: AccountId) -> Option<AccountNo> {
        match self {
            Self::All { numbers, .. } => numbers.guess(id),
            Self::Some { numbers, .. } => numbers.peek(&id).copied(),
        }
    }

    /// What [`Slots::guess`] would look at, to be fetched ahead.
    #[must_use]
    pub fn clue(&self, id: AccountId) -> Option<&u64> {
        match self {
            Self::All { numbers, .. } => numbers.home(id),
            Self::Some { .. } => None,
        }
    }

    /// Of how many ids it is known which account has them, or that none has.
    #[must_use]
    pub fn ids(&self) -> usize {
        match self {
            Self::All { numbers, .. } => numbers.len(),
            Self::Some { numbers, .. } => numbers.len(),
        }
    }

    /// Says that no account has this id. Where all are here, that is known.
    pub fn put_absent(&mut self, id: AccountId) {
        if let Self::Some { numbers, .. } = self {
            numbers.put(id, None);
        }
    }

    /// The account, if it is here.
    #[must_use]
    pub fn get(&self, no: AccountNo) -> Option<&Slot> {
        match self {
            Self::All { rows, .. } => rows.get(no.0 as usize)?.as_ref(),
            Self::Some { rows, .. } => rows.get(&no),
        }
    }

    /// The account, if it is here.
    pub fn get_mut(&mut self, no: AccountNo) -> Option<&mut Slot> {
        match self {
            Self::All { rows, .. } => rows.get_mut(no.0 as usize)?.as_mut(),
            Self::Some { rows, .. } => rows.get_mut(&no),
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
            Self::All { rows, .. } => rows.get(no.0 as usize),
            Self::Some { .. } => None,
        }
    }

    /// Puts an account that is not here.
    pub(crate) fn insert(&mut self, slot: Slot) {
        let (id, no) = (slot.account.id, slot.account.no);
        match self {
            Self::All { rows, numbers } => {
                *rows.reach(no.0 as usize, || None) = Some(slot);
                numbers.insert(id, no);
            }
            Self::Some { rows, numbers } => {
                rows.insert(no, slot);
                numbers.put(id, Some(no));
            }
        }
    }

    /// The accounts that are here: in order where all are, else in none.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        let (all, some) = match self {
            Self::All { rows, .. } => (Some(rows.iter().flatten()), None),
            Self::Some { rows, .. } => (None, Some(rows.values())),
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
