//! Saldo, a balance server: the binary. All of it is in the library beside, which is for this binary and for fuzzing.

use std::process::ExitCode;

fn main() -> ExitCode {
    saldo::run()
}
