//! Events: what was recorded, in order, as the caller may see it.

use std::sync::Arc;

use ledger::{Position, Record, Scopes};

use crate::problem::Problem;
use crate::{Caller, Service};

/// Records after a position.
#[derive(Clone, Debug)]
pub struct Events {
    /// The records that the caller sees, in order.
    pub records: Vec<Arc<Record>>,
    /// The position up to which was looked: go on from here.
    pub up_to: Position,
    /// Whether there may be more right now.
    pub more: bool,
}

impl Service {
    /// The records of the caller's book after `after`, at most `limit` of them looked at. Scope `read`. A subsidiary sees
    /// what it did itself; a root and the operator see the whole book.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events(&self, caller: &Caller, after: Position, limit: usize) -> Result<Events, Problem> {
        caller.require(Scopes::READ)?;
        let viewer = caller.viewer;
        let mut records = self.store.records(viewer.book, after, limit).await?;
        let more = records.len() >= limit;
        let up_to = records.last().map_or(after, |record| record.position);
        let sees_all = viewer.client.is_none() || viewer.client == caller.root;
        if !sees_all {
            records.retain(|record| record.client == viewer.client);
        }
        Ok(Events { records, up_to, more })
    }
}
