//! The binary from outside: started as a user starts it, asked over HTTP, killed, started again.
//!
//! What every store must do is in `every_store`, and runs once for each of them.

#![expect(
    clippy::duplicate_mod,
    reason = "the same tests, each time on the store of the module around them"
)]

mod accounting;
mod backup;
mod commands;
mod config;
mod copy;
mod docs;
mod door;
mod full_disk;
mod harness;
mod journal;
mod moments;
mod postgres;
mod schemathesis;
mod servers;
mod signing;
mod simulate;
mod traces;
mod verify;
