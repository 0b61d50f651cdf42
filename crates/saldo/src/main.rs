//! Saldo, a balance server: the binary. All of it is in the library beside, which is for this binary and for fuzzing.

use std::process::ExitCode;

/// Commands are made by those who read requests, and dropped by those who answer them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    saldo::run()
}
