//! What every store must pass: the same random commands as the [model](crate::model), compared in every outcome and all
//! that can be read, and a contract in a few plain tests.
//!
//! A backend says where its stores live and how one is opened, and names the suite in a test file:
//!
//! ```text
//! struct Journal;
//!
//! impl store::suite::Backend for Journal {
//!     type Place = tempfile::TempDir;
//!     async fn place(&self) -> Self::Place { … }
//!     async fn open(&self, place: &Self::Place) -> Arc<dyn Store> { … }
//! }
//!
//! store::suite!(Journal);
//! ```
//!
//! `SALDO_TEST_SEED` is the first seed, `SALDO_TEST_STREAMS` how many streams are run, `SALDO_TEST_SHARE` takes the place of
//! [`Backend::share`].

mod contract;
mod copies;
mod deals;
mod dump;
mod erasing;
mod random;
mod register;
mod scene;
mod stream;
mod streams;
mod walk;

use std::future::Future;
use std::sync::Arc;

pub use self::contract::*;
pub use self::copies::copies_are_the_same;
pub use self::erasing::*;
pub use self::random::Random;
pub use self::stream::stream;
pub use self::streams::{a_long_history_is_exact, compare, now, random_streams};
pub use self::walk::walk;
use crate::Store;

/// A kind of store.
pub trait Backend: Send + Sync + 'static {
    /// Where one store lives: a folder, a database. It goes when this is dropped.
    type Place: Send + Sync;

    /// A place with no store in it.
    fn place(&self) -> impl Future<Output = Self::Place> + Send;

    /// Opens the store of a place, made when there is none. The one before it was closed and dropped.
    fn open(&self, place: &Self::Place) -> impl Future<Output = Arc<dyn Store>> + Send;

    /// How many may be open over one place at a time: each is opened with [`Backend::open`], and every other stream lets them take
    /// its batches in turns.
    fn servers(&self) -> usize {
        1
    }

    /// Checks the store of a place, which is closed, against itself: what its `verify` does.
    ///
    /// # Errors
    /// What is wrong with it.
    fn verify(&self, _place: &Self::Place) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }

    /// At the end of a stream everything is compared as it is seen by who sees a whole book. Before, and as others see it, so many
    /// of a hundred reads are, by chance: a slow store may choose fewer, as there are many streams.
    fn share(&self) -> u64 {
        100
    }
}

/// A number from the environment.
///
/// # Panics
/// When it is none.
pub fn env(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}"))
    })
}

/// Runs a test of the suite to its end.
pub fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    runtime.expect("a runtime is made").block_on(test);
}

/// Makes a test of each part of the suite, for the backend that this expression gives.
#[macro_export]
macro_rules! suite {
    ($backend:expr) => {
        $crate::suite!(@tests $backend,
            random_streams,
            a_long_history_is_exact,
            copies_are_the_same,
            answers_come_in_order,
            a_large_batch_is_taken_in_order,
            a_brief_answer_says_where_it_stands,
            nothing_is_answered_to_nothing,
            a_key_is_answered_once_and_for_all,
            a_stamp_ahead_of_the_clock_is_refused,
            a_book_that_is_not_is_named,
            a_reader_waits_for_a_position,
            a_tenant_is_alone,
            pages_stand_still_under_writes,
            money_is_neither_made_nor_lost,
            one_key_takes_effect_once,
            asking_whether_it_is_ready_leaves_nothing,
            a_closed_store_takes_nothing,
            signing_keys_are_replaced_as_a_whole,
            keys_of_texts_are_kept_until_they_are_forgotten,
            one_key_is_kept_for_one_subject,
            who_was_erased_is_written_about_no_more,
        );
    };
    (@tests $backend:expr, $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::suite::run($crate::suite::$name(::std::sync::Arc::new($backend)));
            }
        )*
    };
}
