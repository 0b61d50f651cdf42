//! Saldo, a balance server: all of the binary but its first line.
//!
//! `cli` reads the command line; each command is a module there, `sandbox` and `bench` ones of their own. `http` turns requests
//! into those of `dialects` and answers back; what they mean is not its business. `docs` is the
//! page about the API. `place` finds and opens stores, `log` is what is said meanwhile.

mod bench;
mod cli;
mod docs;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod log;
#[doc(hidden)]
pub mod measuring;
mod metrics;
mod place;
mod sandbox;
mod settings;

use std::process::ExitCode;

/// Does what the command line says.
pub fn run() -> ExitCode {
    cli::run()
}
