//! The journal store from outside: the suite of all stores, and what only a journal has to show.

mod backups;
mod common;
mod ends;
mod flips;
mod holdings;
mod past;
mod races;
mod reopening;
mod signing;
mod stage;
mod suite;
mod vault;
