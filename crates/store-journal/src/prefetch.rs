//! Memory that is asked for before it is needed. A row of a large table is seldom in the processor's caches; those of a few
//! commands, asked for at once, come in the time of one. No lock may stand between: it waits for what was asked for before.

use ledger::{AccountId, Action, Command};
use smallvec::SmallVec;

use crate::index::Asked;
use crate::log::KeyTable;
use crate::tables::Tables;

/// Where something lies. It may be gone when it is fetched, which does no harm.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    start: *const i8,
    bytes: usize,
}

impl Region {
    pub(crate) const fn of<T: ?Sized>(value: &T) -> Self {
        Self {
            start: std::ptr::from_ref(value).cast(),
            bytes: size_of_val(value),
        }
    }

    /// So many values from this one on.
    pub(crate) const fn at<T>(start: *const T, count: usize) -> Self {
        Self {
            start: start.cast(),
            bytes: count * size_of::<T>(),
        }
    }

    #[allow(unsafe_code, reason = "there is no safe function for it")]
    /// Has it brought into the caches, without waiting for it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn prefetch(self) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        /// The bytes that come at once.
        const LINE: usize = 64;
        let before = self.start.addr() % LINE;
        for line in (0..before + self.bytes).step_by(LINE) {
            // SAFETY: it is a hint: nothing is read or written that the program could see, and no address makes it fail.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(self.start.wrapping_sub(before).wrapping_add(line));
            }
        }
    }

    /// Elsewhere it comes when it is needed.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn prefetch(self) {}
}

/// Has a value brought into the caches, without waiting for it.
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    Region::of(value).prefetch();
}

/// Has the rows brought into the caches that these commands will need, and those that the key table has under these hashes. Each
/// turn asks for what the one before says where it is, and by then most of that has come.
pub(crate) fn fetch_rows<'a>(
    tables: &Tables,
    keys: &KeyTable,
    hashes: impl IntoIterator<Item = &'a Asked>,
    commands: impl Iterator<Item = &'a Command> + Clone,
) {
    let moving = || {
        commands.clone().filter_map(|command| {
            let book = tables.state.book(command.book)?;
            Some((command.book, &book.slots, ends(command)))
        })
    };
    for (_, slots, ends) in moving() {
        ends.filter_map(|id| slots.clue(id)).for_each(prefetch);
    }
    for asked in hashes {
        keys.near(asked.key).into_iter().for_each(Region::prefetch);
    }
    let mut accounts = SmallVec::<[_; 32]>::new();
    for (book, slots, ends) in moving() {
        for account in ends.filter_map(|id| slots.guess(id)) {
            tables.prefetch(book, account);
            accounts.push((book, account));
        }
    }
    for (book, account) in accounts {
        tables.prefetch_account(book, account);
        tables.prefetch_links(book, account);
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
