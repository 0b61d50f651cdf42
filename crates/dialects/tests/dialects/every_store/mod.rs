//! What every wire format does on every store. The module around opens the store: `open(clock)` gives one that was made
//! and is empty, and what it lives in, which goes when that is dropped.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod conduit;
mod contract;
mod examples;
mod light;
mod magicline;
mod native;
mod order;
mod polygon;
mod walls;
mod world;

use super::open;
