//! Saldo's own API, from request to answer.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

#[path = "../world/mod.rs"]
mod world;

mod access;
mod api;
mod bounds;
mod money;
mod register;
mod repeats;
mod strict;
