//! How far the books are, as far as is known here: what was committed here, and what was seen when somebody waited.
//!
//! Other servers' commits are not announced. So of those who wait for one book, one at a time looks, for all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{BookNo, Position};
use parking_lot::Mutex;
use store::StoreError;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait before looking again.
const LOOK: Duration = Duration::from_millis(20);

/// Where the books are.
#[derive(Default)]
pub(crate) struct Horizon {
    books: Mutex<HashMap<BookNo, Arc<Book>>>,
}

struct Book {
    /// It only rises, once it is known.
    at: watch::Sender<Option<Position>>,
    /// For the one who looks.
    look: Semaphore,
}

impl Book {
    fn rise(&self, to: Position) {
        self.at.send_if_modified(|at| {
            let higher = Some(to) > *at;
            *at = (*at).max(Some(to));
            higher
        });
    }
}

impl Horizon {
    fn book(&self, no: BookNo) -> Arc<Book> {
        let mut books = self.books.lock();
        let book = books.entry(no).or_insert_with(|| {
            Arc::new(Book {
                at: watch::Sender::new(None),
                look: Semaphore::new(1),
            })
        });
        Arc::clone(book)
    }

    /// Says that a book is at a position, or was.
    pub(crate) fn rise(&self, no: BookNo, to: Position) {
        self.book(no).rise(to);
    }

    /// Waits until a book is at `wanted`, whoever takes it there; `look` asks the database.
    pub(crate) async fn wait<F>(
        &self,
        no: BookNo,
        wanted: Position,
        deadline: Instant,
        look: impl Fn() -> F,
    ) -> Result<(), StoreError>
    where
        F: Future<Output = Result<Position, StoreError>>,
    {
        let book = self.book(no);
        let mut at = book.at.subscribe();
        let reached = async {
            tokio::select! {
                biased;
                // The sender lives as long as the book, which is held.
                _ = at.wait_for(|at| *at >= Some(wanted)) => Ok(()),
                done = look_for(&book, wanted, look) => done,
            }
        };
        match timeout_at(deadline, reached).await {
            Ok(done) => done,
            Err(_) => Err(match *book.at.borrow() {
                Some(reached) => StoreError::PositionNotReached { wanted, reached },
                None => StoreError::Busy,
            }),
        }
    }
}

/// Looks, when it is our turn, until the book is there.
async fn look_for<F>(book: &Book, wanted: Position, look: impl Fn() -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<Position, StoreError>>,
{
    let _turn = book.look.acquire().await.expect("it is never closed");
    loop {
        let at = look().await?;
        book.rise(at);
        if at >= wanted {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn of_many_who_wait_one_looks() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (horizon, looks, looking) = (Horizon::default(), AtomicU64::new(0), AtomicU64::new(0));
            let book = BookNo(1);
            let look = || async {
                assert_eq!(looking.fetch_add(1, Ordering::Relaxed), 0, "nobody else looks");
                tokio::task::yield_now().await;
                looking.fetch_sub(1, Ordering::Relaxed);
                // Each look finds it one further.
                Ok(Position(looks.fetch_add(1, Ordering::Relaxed) + 1))
            };
            let deadline = Instant::now() + Duration::from_secs(60);
            let waiting = (0..100).map(|nth| horizon.wait(book, Position(nth % 3 + 1), deadline, look));
            for done in futures_util::future::join_all(waiting).await {
                assert_eq!(done, Ok(()));
            }
            assert_eq!(
                looks.load(Ordering::Relaxed),
                3,
                "as many as it took to get there"
            );
            assert_eq!(horizon.wait(book, Position(2), deadline, look).await, Ok(()));
            horizon.rise(book, Position(9));
            assert_eq!(horizon.wait(book, Position(9), deadline, look).await, Ok(()));
            assert_eq!(looks.load(Ordering::Relaxed), 3, "what is known is not looked up");
        });
    }
}
