//! Rows by what the journal gives.

use std::collections::BTreeSet;

use ledger::{BookNo, Position, State, Subject, Table};

use super::Given;
use crate::tables::{Owned, Published, Tables};

/// Books, clients and customers that must have a key of texts and are not among these.
pub(super) fn keyless(state: &State, keyed: &BTreeSet<Subject>) -> Vec<(BookNo, Subject)> {
    let mut missing = Vec::new();
    for book in state.books() {
        let own = (book.head.position > Position(0)).then_some(Subject::book(book.no));
        let clients = book.client_list.iter().map(|id| Subject::from(*id));
        let customers = book.customers.iter().filter(|(_, row)| row.erased_at.is_none());
        let all = own
            .into_iter()
            .chain(clients)
            .chain(customers.map(|(id, _)| Subject::from(*id)));
        missing.extend(all.filter(|one| !keyed.contains(one)).map(|one| (book.no, one)));
    }
    missing.sort_unstable();
    missing
}

/// Compares the rows that the whole journal gives with those that opening gave.
///
/// # Errors
/// What differs.
pub(super) fn compare(journal: &Given, memory: &Published) -> Result<(), String> {
    compare_tables(&journal.tables, &memory.tables)?;
    for no in journal.tables.state.books().map(|book| book.no) {
        if journal.digests.of(no) != memory.digests.of(no) {
            return Err(format!("book {no}: its digest differs from the journal"));
        }
        if !same_owned(&journal.tables, &memory.owned, no) {
            return Err(format!(
                "book {no}: the accounts by owner differ from the journal"
            ));
        }
        if journal.milestones.of(no) != memory.milestones.of(no) {
            return Err(format!("book {no}: its milestones differ from the journal"));
        }
    }
    if !journal.milestones.same_chains(&memory.milestones) {
        return Err("the marks of the balances' chains differ from the journal".into());
    }
    let same = journal.deviations.len() == memory.deviations.len()
        && journal
            .deviations
            .iter()
            .all(|(key, all)| memory.deviations.get(key).is_some_and(|d| d.entries() == all));
    match same {
        true => Ok(()),
        false => Err("effective times are not what was recorded".into()),
    }
}

/// Whether each account of a book stands once, under its owner.
fn same_owned(journal: &Tables, memory: &Owned, no: BookNo) -> bool {
    let mut expected = Owned::default();
    let slots = journal
        .state
        .book(no)
        .into_iter()
        .flat_map(|book| book.slots.iter());
    slots.for_each(|slot| expected.put(no, slot.account.owner, slot.account.no));
    expected.of_book(no) == memory.of_book(no)
}

fn compare_tables(journal: &Tables, memory: &Tables) -> Result<(), String> {
    for book in journal.state.books() {
        let no = book.no;
        let differs = |what: &str| Err(format!("book {no}: {what} differ from the journal"));
        let Some(other) = memory.state.book(no) else {
            return differs("the books");
        };
        // A book that was made and not used has no chain, or, from a snapshot, an empty one.
        let chain = |tables: &Tables| tables.books.get(&no).cloned().unwrap_or_default();
        if book.head != other.head || book.root != other.root || chain(journal) != chain(memory) {
            return differs("the head or chain");
        }
        let same_register = same(&book.clients, &other.clients)
            && same(&book.customers, &other.customers)
            && same(&book.numbers, &other.numbers)
            && same(&book.api_keys, &other.api_keys)
            && same(&book.primaries, &other.primaries)
            && same(&book.assets, &other.assets)
            && book.rate_list == other.rate_list
            && book.rates == other.rates
            && book.client_list == other.client_list
            && book.customer_list == other.customer_list
            && book.api_key_list == other.api_key_list;
        if !same_register {
            return differs("clients, customers, accounts, keys, assets or rates");
        }
        let same_holds = same(&book.holds, &other.holds)
            && book.holds_by_account == other.holds_by_account
            && book.expiring == other.expiring;
        if !same_holds {
            return differs("open holds");
        }
        let same_slot = |slot: &ledger::Slot| {
            let other = other.slots.find(slot.account.id);
            other
                .ok()
                .flatten()
                .is_some_and(|other| slot.account == other.account && slot.balances == other.balances)
        };
        if book.slots.iter().count() != other.slots.iter().count() || !book.slots.iter().all(same_slot) {
            return differs("accounts or balances");
        }
    }
    if journal.chains != memory.chains || journal.state.books().count() != memory.state.books().count() {
        return Err("links differ from the journal".into());
    }
    Ok(())
}

fn same<K: Eq + std::hash::Hash, V: PartialEq>(one: &Table<K, V>, other: &Table<K, V>) -> bool {
    one.len() == other.len() && one.iter().all(|(key, row)| other.peek(key) == Some(row))
}
