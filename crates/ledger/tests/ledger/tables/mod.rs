//! The tables.

mod amounts;
mod batches;
mod expiry;
mod floors;
mod holds;
mod keys;
mod postings;
mod precedence;
mod register;
mod reversals;
mod visibility;
