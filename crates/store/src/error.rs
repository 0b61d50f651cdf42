//! What can go wrong with a store. What the ledger says no to is an answer, not one of these.

use ledger::{BookNo, Position};

use crate::Mark;

/// The world failed. Each says whether the command may be sent again as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; nothing was done.
    #[error("the store is busy; send the same request again in a moment")]
    Busy,
    /// Whether it was done is not known; the same command again finds out, as it has the same key.
    #[error("whether this was recorded is not known; send the same request again, under the same key")]
    UnknownFate,
    /// No space to write into; reads go on, and so do writes when there is space again.
    #[error("the store has no space left and takes no writes; free some, and send the same request again")]
    NoSpace,
    /// The record of the command would be longer than the store takes; nothing was done.
    #[error("this command is too large to be recorded at once: beyond {limit} bytes; split it")]
    TooLarge {
        /// The most bytes of a record.
        limit: u64,
    },
    /// The store is closing, or stopped after an error of a write; nothing was done.
    #[error("the store is closed: {0}")]
    Closed(String),
    /// The store takes no commands, and somebody chose so.
    #[error("this store takes no writes: {0}")]
    Marked(Mark),
    /// What is stored is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The command's time is too far ahead of the store's clock.
    #[error("the command is stamped more than 5 s ahead of the store's clock; set this server's clock right")]
    ClockAhead,
    /// There is no such book.
    #[error("there is no book {0}")]
    NoSuchBook(BookNo),
    /// A record to be adopted that is not the next one of its book.
    #[error("record {position} of book {book} does not follow what is here; {next} is due")]
    NotNext {
        /// The book.
        book: BookNo,
        /// Where the record is to be.
        position: Position,
        /// Which one is due.
        next: Position,
    },
    /// The position that the reader asked for was not reached in time.
    #[error("position {wanted} is not reached; the book is at {reached}")]
    PositionNotReached {
        /// What was asked for.
        wanted: Position,
        /// Where the book is.
        reached: Position,
    },
}
