//! A batch: what shares a frame, from the first command that is decided into it to the last reply.

use std::sync::Arc;

use ledger::{Account, AccountNo, Action, BookNo, Done, Micros, Owner, PlainPosting, Position, Record};
use parking_lot::Mutex;
use smallvec::SmallVec;
use store::gather::Reply;
use store::{Outcome, StoreError};

use crate::log::{FrameBuf, FrameStart, Locator, Planner};
use crate::payload::Touched;

/// A record on its way to the disk.
pub(crate) struct Item {
    pub(crate) at: Locator,
    pub(crate) change: Change,
    pub(crate) touched: Touched,
    pub(crate) unique: SmallVec<[u64; 2]>,
    /// Each with the record before that has it.
    pub(crate) repeats: SmallVec<[(u64, Option<Locator>); 1]>,
    /// The register's row of an account that it made or changed, so that both tables share it.
    pub(crate) account: Option<Arc<Account>>,
}

/// What a record changes in the tables, for as long as they did not all take it.
pub(crate) enum Change {
    /// Two balances. Most records do no more, and nobody need keep them when their bytes are in the frame.
    Plain(PlainPosting),
    /// All that it says.
    Record(Arc<Record>),
}

impl Change {
    pub(crate) fn of(record: &Arc<Record>) -> Self {
        let plain = PlainPosting::of(record);
        plain.map_or_else(|| Self::Record(Arc::clone(record)), Self::Plain)
    }

    pub(crate) fn book(&self) -> BookNo {
        match self {
            Self::Plain(plain) => plain.book,
            Self::Record(record) => record.book,
        }
    }

    /// Its position, and when the book took it.
    pub(crate) fn when(&self) -> (Position, Micros) {
        match self {
            Self::Plain(plain) => (plain.position, plain.recorded_at),
            Self::Record(record) => (record.position, record.recorded_at),
        }
    }

    /// Whose account it makes, and which.
    pub(crate) fn new_account(&self) -> Option<(Owner, AccountNo)> {
        let Self::Record(record) = self else { return None };
        match (&record.action, &record.outcome) {
            (Action::CreateAccount(new), Ok(Done::Account { no, .. })) => Some((new.owner, *no)),
            _ => None,
        }
    }
}

/// A frame that the committer writes. The writer, when it looks for a record in it, waits for that, not for the sync.
pub(crate) type SharedFrame = Arc<Mutex<FrameBuf>>;

/// A decided batch.
pub(crate) struct Batch {
    pub(crate) number: u64,
    /// Where its frame begins, and what it is; `None` when nothing of it is recorded.
    pub(crate) frame: Option<(FrameStart, SharedFrame)>,
    pub(crate) time: Micros,
    /// Those of its records, in order.
    pub(crate) items: Vec<Item>,
    pub(crate) replies: Vec<(Reply, Vec<Result<Outcome, StoreError>>)>,
}

/// The batch that is being decided.
pub(crate) struct Open {
    pub(crate) batch: Batch,
    pub(crate) start: FrameStart,
    /// How long the frame may become.
    pub(crate) room: u64,
}

impl Open {
    /// Makes sure that a frame which has `bytes` takes `more` where it is. What was not foreseen (what came after
    /// the first, holds that expire ahead, a reversal of many postings) grows into the rest of the segment, which needs no
    /// space on the disk.
    pub(crate) fn make_room(
        &mut self,
        bytes: u64,
        more: u64,
        planner: &Planner,
        limit: u64,
    ) -> Result<(), Full> {
        let needed = bytes + more;
        if needed > self.room {
            let stays = planner.start(needed).is_ok_and(|start| start == self.start);
            if !stays || needed > limit {
                return Err(Full { bytes: more });
            }
            self.room = needed;
        }
        Ok(())
    }
}

/// A record of at most so many bytes does not fit into the open frame. Nothing of it was done.
pub(crate) struct Full {
    pub(crate) bytes: u64,
}
