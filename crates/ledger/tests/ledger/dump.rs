//! A state as sorted lines, so that two states compare whatever their maps' order.

use std::fmt::Debug;

use ledger::{Book, State};

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

fn table<'a, K: Debug + 'a, V: Debug + 'a>(
    name: &'a str,
    rows: impl Iterator<Item = (&'a K, &'a V)> + 'a,
) -> Vec<String> {
    sorted(rows.map(move |(key, row)| format!("{name} {key:?} {row:?}")))
}

/// What every complete or standing state has: the register, the balances, the open holds.
fn standing(book: &Book) -> Vec<String> {
    let mut lines = vec![format!("book {:?} {:?} {:?}", book.no, book.root, book.head)];
    lines.push(format!(
        "order {:?} {:?} {:?}",
        book.client_list, book.customer_list, book.api_key_list
    ));
    lines.extend(table("client", book.clients.iter()));
    lines.extend(table("customer", book.customers.iter()));
    lines.extend(table("number", book.numbers.iter()));
    lines.extend(table("key", book.api_keys.iter()));
    lines.extend(table("primary", book.primaries.iter()));
    lines.extend(table("asset", book.assets.iter()));
    lines.extend(table("asset no", book.assets_by_no.iter()));
    lines.extend(table("rates", book.rates.iter()));
    lines.extend(table("holds of", book.holds_by_account.iter()));
    lines.push(format!("expiring {:?}", book.expiring));
    lines.extend(sorted(book.slots.iter().map(|slot| {
        let no = slot.account.no;
        format!("account {no:?} {:?} {:?}", slot.account, slot.balances)
    })));
    let open = book.holds.iter().filter(|(id, hold)| {
        let postings = &mut hold.postings.iter();
        postings.any(|held| {
            book.holds_by_account
                .get(&held.from.no)
                .is_some_and(|of| of.contains(&(hold.due(), **id)))
        })
    });
    lines.extend(table("open hold", open));
    lines
}

fn all_books(state: &State, dump: fn(&Book) -> Vec<String>) -> Vec<String> {
    let mut books: Vec<_> = state.books().collect();
    books.sort_by_key(|book| book.no);
    books.into_iter().flat_map(dump).collect()
}

/// What a standing state and a complete one have in common.
pub(crate) fn dump_standing(state: &State) -> Vec<String> {
    all_books(state, standing)
}

/// All of a complete state.
pub(crate) fn dump_everything(state: &State) -> Vec<String> {
    all_books(state, |book| {
        let mut lines = standing(book);
        lines.extend(table("recorded", book.keys.iter()));
        lines.extend(table("transaction", book.transactions.iter()));
        lines.extend(table("hold", book.holds.iter()));
        lines
    })
}

/// Fails with the first lines that differ.
pub(crate) fn assert_same(left: &[String], right: &[String], what: &str) {
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right, "{what}");
    }
    assert_eq!(left.len(), right.len(), "{what}");
}
