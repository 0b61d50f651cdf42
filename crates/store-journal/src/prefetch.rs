//! Memory that is asked for before it is needed. A row of a large table is seldom in the processor's caches; those of a few
//! commands, asked for at once, come in the time of one. No lock may stand between: it waits for what was asked for before.

use std::collections::VecDeque;

use ledger::{AccountId, Action, BookNo, Command};
use smallvec::SmallVec;

use crate::index::Asked;
use crate::log::KeyTable;
use crate::tables::{Rows, Tables};

/// Has so many values from this one on brought into the caches, without waiting for it. They may be gone by now, which does no harm.
pub(crate) fn prefetch_from<T, const N: usize>(start: *const T) {
    /// The bytes that come at once.
    const LINE: usize = 64;
    let bytes = N * size_of::<T>();
    for offset in (0..bytes).step_by(LINE) {
        prefetch_line(start.wrapping_byte_add(offset).cast());
    }
    // They seldom begin where a line does.
    prefetch_line(start.wrapping_byte_add(bytes.saturating_sub(1)).cast());
}

#[allow(unsafe_code, reason = "there is no safe function for it")]
#[cfg(target_arch = "x86_64")]
fn prefetch_line(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: it is a hint: nothing is read or written that the program could see, and no address makes it fail.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
}

/// Elsewhere it comes when it is needed.
#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line(_: *const i8) {}

/// Has a value brought into the caches, without waiting for it.
pub(crate) fn prefetch<T>(value: &T) {
    prefetch_from::<T, 1>(value);
}

/// Has the rows brought into the caches that these commands will need, and those that the key table has under their hashes. Each
/// turn asks for what the one before says where it is, and by then most of that has come.
pub(crate) fn fetch_rows(tables: &Tables, keys: &KeyTable, hashes: &VecDeque<Asked>, commands: &[&Command]) {
    let mut moving = SmallVec::<[_; 32]>::new();
    let mut last: Option<(BookNo, Rows<'_>)> = None;
    for command in commands {
        if last.is_none_or(|(book, _)| book != command.book) {
            last = tables.rows(command.book).map(|rows| (command.book, rows));
        }
        let Some((_, rows)) = last else { continue };
        for id in ends(command) {
            rows.slots.clue(id).into_iter().for_each(prefetch);
            moving.push((rows, id));
        }
    }
    for asked in hashes {
        keys.prefetch(asked.key);
    }
    let mut accounts = SmallVec::<[_; 32]>::new();
    for (rows, id) in moving {
        if let Some(account) = rows.slots.guess(id) {
            rows.prefetch(account);
            accounts.push((rows, account));
        }
    }
    for (rows, account) in accounts {
        rows.prefetch_account(account);
        rows.prefetch_links(account);
    }
}

/// The accounts that a transaction moves money between.
fn ends(command: &Command) -> impl Iterator<Item = AccountId> + '_ {
    let postings = match &command.action {
        Action::Post(transaction) => transaction.postings.as_slice(),
        _ => &[],
    };
    postings.iter().flat_map(|posting| [posting.from, posting.to])
}
