//! Whether the database's disk has space.
//!
//! A full disk does not show in what reads, nor in a lock. So what a batch met is remembered, and from then on, as at the start,
//! pages are asked for until there are some: rows that no transaction ever commits, in a table of their own. As long as there
//! is space nothing is asked.

use std::sync::atomic::{AtomicU64, Ordering};

use store::StoreError;

use crate::batch::Desk;
use crate::session::Purpose;

/// A row fills a page. So many find no place in what other tables have left.
const FILL: &str =
    "insert into saldo.space select decode(repeat('00', 8000), 'hex') from generate_series(1, 32)";

/// What is known of the disk.
pub(crate) struct Space {
    /// How often it was not known whether there is space: once at the start, and whenever there was none.
    doubts: AtomicU64,
    /// After how many of these there was some.
    proven: AtomicU64,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            doubts: AtomicU64::new(1),
            proven: AtomicU64::new(0),
        }
    }
}

impl Space {
    /// Says that something found none.
    pub(crate) fn ran_out(&self) {
        let before = self.doubts.fetch_add(1, Ordering::Relaxed);
        if before == self.proven.load(Ordering::Relaxed) {
            tracing::warn!("the database's disk is full; writes are refused until there is space");
        }
    }
}

impl Desk {
    /// Makes sure that there is space, if there is any doubt.
    pub(crate) async fn prove_space(&self) -> Result<(), StoreError> {
        let doubts = self.space.doubts.load(Ordering::Relaxed);
        if self.space.proven.load(Ordering::Relaxed) == doubts {
            return Ok(());
        }
        self.attempt(Purpose::Write, |tx| async move {
            // Not committed: it is rolled back when it is dropped.
            tx.query(FILL, &[]).await.map(|_| ())
        })
        .await?;
        self.space.proven.fetch_max(doubts, Ordering::Relaxed);
        if doubts > 1 {
            tracing::info!("the database's disk has space");
        }
        Ok(())
    }
}
