//! What a developer does with this repository: `cargo xtask test | ci | soak | fuzz | count | bench`.
#![allow(
    clippy::print_stderr,
    reason = "a command-line tool says on stderr what went wrong"
)]

mod bench;
mod count;
mod fuzz;
mod layering;
mod requirements;
mod run;

use std::process::ExitCode;

use clap::Parser;

use run::{Result, cargo, step};

/// What a developer does with this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Runs every test, after installing what they need
    Test,
    /// Proves what a change must keep: format, lints, docs, layering, licences, tests
    Ci,
    /// Runs the tests in their long form: more random streams, more kills, minutes under load
    Soak(Soak),
    /// Tries what reads others' bytes with bytes that lead into ever more of its code
    Fuzz(fuzz::Fuzz),
    /// Counts the instructions of the pure core and of each endpoint
    Count(count::Count),
    /// Measures Saldo on PostgreSQL against a plain SQL ledger, and writes BENCHMARKS.md
    Bench(bench::Bench),
}

#[derive(clap::Args)]
struct Soak {
    /// Where the random streams start; the same seed gives the same streams
    #[arg(long)]
    seed: u64,
    /// Random command streams per store (a plain test run has 500)
    #[arg(long, default_value_t = 20_000)]
    streams: u32,
    /// Kills of a running server, of a folder's half in the midst of a snapshot, segment or backup (a plain test run has 20)
    #[arg(long, default_value_t = 1000)]
    kills: u32,
    /// Seconds that several servers on one database are under mixed load (a plain test run has so many steps)
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// How often each thing breaks under load: PostgreSQL, connections, servers (a plain test run has 2 to 20)
    #[arg(long, default_value_t = 100)]
    faults: u32,
    /// Only tests whose names contain this
    #[arg(long)]
    only: Option<String>,
    /// Runs of the journal store on a simulated disk (a plain test run has 500)
    #[arg(long, default_value_t = 100_000)]
    seeds: u32,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test => test(),
        Task::Ci => ci(),
        Task::Soak(soak) => soak.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Count(count) => count.run(),
        Task::Bench(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result {
    requirements::meet()?;
    run::run(cargo(&["test", "--workspace"]))
}

/// Stops at the first step that fails; the cheap ones come first.
fn ci() -> Result {
    step("format");
    run::run(cargo(&["fmt", "--all", "--check"]))?;
    run::run(cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    step("layering");
    layering::check()?;
    step("licences, advisories, bans");
    deny()?;
    step("lints");
    run::run(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    step("documentation");
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    run::run(doc)?;
    step("tests");
    test()?;
    step("instructions");
    if count::is_there() {
        count::Count::default().run()
    } else {
        println!("not run: valgrind is not installed");
        Ok(())
    }
}

fn deny() -> Result {
    if run::succeeds(cargo(&["deny", "--version"])) {
        run::run(cargo(&["deny", "--workspace", "check"]))
    } else {
        println!("not run: cargo-deny is not installed");
        Ok(())
    }
}

impl Soak {
    /// The tests read these variables; without them they have a fixed, shorter form.
    fn run(&self) -> Result {
        requirements::meet()?;
        let mut tests = cargo(&["test", "--workspace"]);
        tests
            .env("SALDO_TEST_SEED", self.seed.to_string())
            .env("SALDO_TEST_STREAMS", self.streams.to_string())
            .env("SALDO_TEST_SHARE", "100")
            .env("SALDO_TEST_KILLS", self.kills.to_string())
            .env("SALDO_TEST_SEEDS", self.seeds.to_string())
            .env("SALDO_TEST_SECONDS", self.seconds.to_string())
            .env("SALDO_TEST_FAULTS", self.faults.to_string())
            .args(self.only.as_deref())
            // Its figures are what a long run is for.
            .args(["--", "--nocapture"]);
        run::run(tests)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Task::command().debug_assert();
    }
}
