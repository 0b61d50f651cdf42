//! The store on PostgreSQL: any number of servers over one database.
//!
//! Servers know nothing of each other: what they keep is facts that never change, and rows that they can prove to be true under
//! the lock of their book's head (`kept`). The database keeps, per book, the same canonical records as every other store, and rows
//! that are derived from them: balances, holds, the register, and what leads from an account, key, id, reference or time to a record. The tables are described in
//! `migrations/`.
//!
//! # A batch
//!
//! Of each book a server has at most one batch on its way (`lanes`); what arrives meanwhile shares the next one. A batch is
//! one transaction, READ COMMITTED (`batch`):
//!
//! 1. Sent together: `begin`, the look-up of keys and ids, the lock of the book's head, and whatever else the commands need for
//!    sure. A statement sees what was committed before it began, so those behind the lock see all that came before it. Keys and
//!    ids are looked up ahead of it, where nobody waits: a record never changes, and what came meanwhile is read behind it.
//! 2. The commands are decided one after the other on the rows that were loaded (`work`); rows that turn out to be needed are
//!    loaded for all commands at once.
//! 3. Sent together: one statement for each table that changed, the head's move from where it was locked, and `commit`.
//!
//! A server keeps the accounts and balances of its last batches. Together with the lock it reads what others recorded since, and
//! puts it into them, so that it loads no more than keys and what it has not seen before; that those records lead from the digest
//! that it left to the head's says that they are all there was (`kept`). Where servers take turns, a batch gathers for a moment
//! before it is begun; what has arrived by the time of the lock joins it.
//!
//! The head is the only row that is locked on purpose, and a hot account costs one update a batch.
//!
//! A batch that failed for a reason that passes (a conflict, a lost connection, a database that restarts) is tried again as it
//! was until its requests' deadline: every command has a key, so nothing is done twice, even when the fate of a commit is
//! not known. What is still not known at the deadline is answered so.
//!
//! # A read
//!
//! Each is one REPEATABLE READ transaction, or one statement, so it sees one moment. API keys are looked up for all requests
//! that wait, in one statement (`keys`). Positions that touched a balance are kept in chunks (`tail`), and lead to records; the
//! position at a time is found by halving. Nothing depends on a session: poolers that lend a connection
//! for one transaction are fine, with `?prepare=off`.
//!
//! # Standbys
//!
//! Where commits wait for a standby, one whose connection was lost meanwhile is there for all to see, and is not on the
//! standby for sure. So a batch that finds its commands recorded commits too, though it wrote nothing: that waits for all
//! before it, and only then they are answered. A read may show such a record before, as PostgreSQL's own readers see it.

mod adopt;
mod batch;
mod changes;
mod connect;
mod error;
mod facts;
mod feed;
mod kept;
mod keys;
mod lanes;
mod load;
mod marks;
mod migrate;
mod numeric;
mod options;
mod pages;
mod pool;
mod reach;
mod reads;
mod rows;
mod session;
mod signing;
mod space;
mod store_impl;
mod tail;
mod tls;
mod vault;
mod verify;
mod work;
mod write;

pub use error::OpenError;
pub use feed::Feed;
pub use marks::{mark, set_mark};
pub use migrate::{Pending, check, migrate};
pub use options::{Options, Url};
pub use signing::signing_keys;
pub use store_impl::{PostgresStore, create};
pub use vault::text_keys;
pub use verify::{Progress, Report, VerifyError, verify};
