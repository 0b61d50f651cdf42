//! Saldo's own API, from request to answer.

mod access;
mod api;
mod bounds;
mod erasing;
mod events;
mod keys;
mod money;
mod register;
mod repeats;
mod signing;
mod strict;
