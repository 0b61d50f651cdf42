//! The wire formats: Saldo's own API and the vendors' balance endpoints.
//!
//! Vendor words live in this crate and nowhere else. What every format shares is here:
//!
//! - [`spelling`]: one 128-bit id as each vendor spells it;
//! - [`json`]: bodies, written once and without floats.

pub mod json;
pub mod spelling;
