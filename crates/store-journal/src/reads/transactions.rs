//! Transactions, holds and records, newest first.

use std::sync::Arc;

use ledger::{
    AccountNo, BookNo, Findable, Hold, HoldStatus, Lookup, Position, Record, Transaction, TransactionId,
};
use store::{
    Cursor, HoldFilter, Listed, Page, Stamped, StoreError, TransactionFilter, TransactionView, Viewer,
};

use super::past::start_of;
use super::{Read, Seen, View};
use crate::find::{Source, find_booked, hold_now, posted_now};
use crate::history::{History, Until};
use crate::log::Locator;
use crate::log::skew::Roots;
use crate::payload::BalanceKey;

/// Where a list of transactions is read from.
enum From {
    /// All of the book, from this record back.
    Book(Option<Locator>),
    /// Those that touch an account.
    Balances(Vec<(BalanceKey, Locator)>),
    /// Those with a key that may repeat.
    Repeats(u64),
    /// There are none.
    Nowhere,
}

impl View {
    pub(crate) fn transaction(
        &self,
        viewer: Viewer,
        id: TransactionId,
    ) -> Read<Option<Stamped<TransactionView>>> {
        let (history, position) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            (self.history(&published), seen.position())
        };
        let Some((record, nth)) = find_booked(&history, viewer.book, id)? else {
            return Ok(None);
        };
        if !Seen::new(&self.published(), viewer)?.sees_booked(&record, nth) {
            return Ok(None);
        }
        let value = view_of(&history, record, nth)?;
        Ok(Some(Stamped { value, position }))
    }

    pub(crate) fn transactions(
        &self,
        viewer: Viewer,
        filter: &TransactionFilter,
        page: Page,
    ) -> Read<Listed<TransactionView>> {
        let (history, from, account, position) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            let slot = filter.account.map(|id| seen.slot(id));
            let from = match (slot, self.repeating(viewer.book, filter)) {
                (Some(None), _) => From::Nowhere,
                (_, Some(hash)) => From::Repeats(hash),
                (Some(Some(slot)), None) => From::Balances(seen.newest_of(slot)),
                (None, None) => From::Book(newest(&seen)),
            };
            let account = slot.flatten().map(|slot| slot.account.no);
            (self.history(&published), from, account, seen.position())
        };
        let mut found: Vec<(Cursor, Arc<Record>, usize)> = Vec::new();
        let collect = |record: Arc<Record>| -> Read<bool> {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            for nth in (0..record.booked().len()).rev() {
                let index = u32::try_from(nth).expect("a batch has at most 10,000 transactions");
                let at = Cursor {
                    position: record.position.0,
                    index,
                };
                let behind = page.after.is_none_or(|after| at < after);
                if behind
                    && found.len() <= page.limit
                    && is_wanted(&record, nth, filter, account)
                    && seen.sees_booked(&record, nth)
                {
                    found.push((at, Arc::clone(&record), nth));
                }
            }
            let early = filter.from.is_some_and(|from| record.recorded_at < from);
            Ok(found.len() <= page.limit && !early)
        };
        walk(&history, from, viewer.book, &start_of(page, filter.to), collect)?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(at, ..)| *at);
        let items = found
            .into_iter()
            .map(|(_, record, nth)| view_of(&history, record, nth));
        Ok(Listed {
            items: items.collect::<Read<_>>()?,
            next,
            position,
        })
    }

    pub(crate) fn holds(&self, viewer: Viewer, filter: &HoldFilter, page: Page) -> Read<Listed<Arc<Hold>>> {
        let (history, candidates, from, position) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            let (candidates, from) = seen.holds_from(filter);
            (self.history(&published), candidates, from, seen.position())
        };
        let mut found: Vec<(Cursor, Arc<Hold>)> = Vec::new();
        let account = filter.account;
        // Answers whether there is room for more.
        let mut take = |record: &Arc<Record>, nth: usize| -> Read<bool> {
            let index = u32::try_from(nth).expect("a batch has at most 10,000 transactions");
            let at = Cursor {
                position: record.position.0,
                index,
            };
            if found.len() > page.limit {
                return Ok(false);
            }
            let behind = page.after.is_none_or(|after| at < after);
            if !behind || !Seen::new(&self.published(), viewer)?.sees_booked(record, nth) {
                return Ok(true);
            }
            let Some(hold) = hold_now(&history, record, nth)? else {
                return Ok(true);
            };
            let touches = |id| {
                hold.postings
                    .iter()
                    .any(|held| held.from.id == id || held.to.id == id)
            };
            let wanted =
                filter.status.is_none_or(|status| hold.status == status) && account.is_none_or(touches);
            if wanted {
                found.push((at, Arc::new(hold)));
            }
            Ok(found.len() <= page.limit)
        };
        if let Some(candidates) = candidates {
            let mut placed = Vec::with_capacity(candidates.len());
            for id in candidates {
                placed.extend(find_booked(&history, viewer.book, id)?);
            }
            placed.sort_unstable_by_key(|(record, nth)| std::cmp::Reverse((record.position, *nth)));
            for (record, nth) in placed {
                if !take(&record, nth)? {
                    break;
                }
            }
        }
        walk(&history, from, viewer.book, &start_of(page, None), |record| {
            for nth in (0..record.booked().len()).rev() {
                if !take(&record, nth)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(at, _)| *at);
        Ok(Listed {
            items: found.into_iter().map(|(_, hold)| hold).collect(),
            next,
            position,
        })
    }

    pub(crate) fn records(&self, book: BookNo, after: Position, limit: usize) -> Read<Vec<Arc<Record>>> {
        let (history, newest) = {
            let published = self.published();
            published
                .tables
                .state
                .book(book)
                .ok_or(StoreError::NoSuchBook(book))?;
            let newest = published.tables.books.get(&book).and_then(Roots::newest);
            (self.history(&published), newest)
        };
        history.forward(book, newest, after, limit)
    }
}

impl View {
    /// The key that repeats in all that is asked for, if there is one.
    fn repeating(&self, book: BookNo, filter: &TransactionFilter) -> Option<u64> {
        let reference = filter.reference.map(|lookup| self.hasher.reference(book, lookup));
        let external_id = || {
            filter
                .external_id
                .map(|lookup| self.hasher.external_id(book, lookup))
        };
        reference.or_else(external_id)
    }
}

fn is_wanted(record: &Record, nth: usize, filter: &TransactionFilter, account: Option<AccountNo>) -> bool {
    let asked = record.transaction(nth);
    let reference = asked.and_then(Transaction::reference);
    let external_id = asked.and_then(Transaction::external_id);
    let fits = |wanted: Option<Lookup>, has: Option<&Findable>| {
        wanted.is_none() || wanted == has.map(Findable::lookup)
    };
    let mut moves = record.booked()[nth].moves.iter();
    fits(filter.reference, reference)
        && fits(filter.external_id, external_id)
        && account.is_none_or(|no| moves.any(|made| made.from.no == no || made.to.no == no))
        && filter.from.is_none_or(|from| record.recorded_at >= from)
        && filter.to.is_none_or(|to| record.recorded_at < to)
}

impl Seen<'_> {
    /// The holds that may be asked for, where they are few or in memory, or where to look for them.
    fn holds_from(&self, filter: &HoldFilter) -> (Option<Vec<TransactionId>>, From) {
        let slot = filter.account.map(|id| self.slot(id));
        // Open holds are in memory; others are found where they were placed.
        let open = filter.status == Some(HoldStatus::Held);
        match (filter.id, slot) {
            (Some(id), _) => (Some(vec![id]), From::Nowhere),
            (None, Some(None)) => (None, From::Nowhere),
            (None, Some(Some(slot))) if open => (Some(self.open_holds_of(slot.account.no)), From::Nowhere),
            (None, None) if open => (Some(self.open_holds()), From::Nowhere),
            (None, Some(Some(slot))) => (None, From::Balances(self.newest_of(slot))),
            (None, None) => (None, From::Book(newest(self))),
        }
    }

    fn open_holds_of(&self, no: AccountNo) -> Vec<TransactionId> {
        self.book
            .holds_by_account
            .get(&no)
            .into_iter()
            .flatten()
            .map(|(_, id)| *id)
            .collect()
    }

    fn open_holds(&self) -> Vec<TransactionId> {
        self.book.holds.iter().map(|(id, _)| *id).collect()
    }
}

fn newest(seen: &Seen<'_>) -> Option<Locator> {
    seen.published
        .tables
        .books
        .get(&seen.book.no)
        .and_then(Roots::newest)
}

/// Walks records back, newest first, from where all of `starts` hold.
fn walk(
    history: &History<'_>,
    from: From,
    book: BookNo,
    starts: &[Until],
    mut visit: impl FnMut(Arc<Record>) -> Read<bool>,
) -> Read<()> {
    match from {
        From::Nowhere => Ok(()),
        From::Book(mut at) => {
            for until in starts {
                at = history.seek_book(at, book, *until)?;
            }
            history.walk_book(at, visit)
        }
        From::Balances(mut chains) => {
            for until in starts {
                chains = history.seek_all(book, chains, *until)?;
            }
            history.walk_balances(chains, visit)
        }
        From::Repeats(hash) => {
            let mut at = history.newest(hash)?;
            while let Some(here) = at {
                let (record, before) = history.read_repeating(here, hash)?;
                at = before;
                if record.book == book && !visit(record)? {
                    break;
                }
            }
            Ok(())
        }
    }
}

fn view_of(history: &History<'_>, record: Arc<Record>, nth: usize) -> Read<TransactionView> {
    let hold = hold_now(history, &record, nth)?.map(Arc::new);
    let posted = Arc::new(posted_now(history, &record, nth)?);
    Ok(TransactionView {
        record,
        nth,
        hold,
        posted,
    })
}
