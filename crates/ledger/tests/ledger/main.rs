//! What the ledger does, as tables of commands and what becomes of them, and as properties of random streams.
//!
//! Every command of every test is decided three times, on rows of each [`ledger::Completeness`], and must give the same
//! record; the invariants of the crate's head are checked after each. See `world.rs`; the language of the tables is
//! described in `script.rs`.

mod assets;
mod dump;
mod invariants;
mod properties;
mod script;
mod tables;
mod text;
mod wire;
mod words;
mod world;
