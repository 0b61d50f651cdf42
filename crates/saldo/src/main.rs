//! Saldo, a balance server: the binary. All of it is in the library beside, which is for this binary and for fuzzing.

use std::process::ExitCode;

/// Commands are made by one thread and dropped by another, for which the system's allocator makes them wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    saldo::run()
}
