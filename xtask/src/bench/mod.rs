//! `cargo xtask bench`: Saldo beside what one would use instead, in one run, in turns.
//!
//! Only ratios of one run say something: what else a machine does changes the figures by factors. So each round measures
//! everything once, neighbours are compared within their round, and of the rounds the median is taken.

mod embedded;
mod postgres;
mod report;
mod servers;
mod sql_ledger;
mod tigerbeetle;

use std::path::PathBuf;

use crate::run::{self, Result, cargo, step};
use report::{Circumstances, Measured};

/// Measures Saldo beside other ledgers, and writes BENCHMARKS.md
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many seconds each measurement takes
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Between how many accounts money moves
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    accounts: u32,
    /// Only this half; what BENCHMARKS.md says of the other one stays
    #[arg(long, value_enum)]
    only: Option<Half>,
    /// How many million transactions are stored before batches into a full embedded store are measured; 0 leaves that out
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    stored: u32,
    /// TigerBeetle's binary, to be measured beside the embedded store by its own `benchmark`
    #[arg(long, value_name = "PATH")]
    tigerbeetle: Option<PathBuf>,
    /// <https://github.com/pgr0ss/pgledger> in one file, to be measured beside: vendor/scoville-pgsql-ulid/*.sql, then pgledger.sql
    #[arg(long, value_name = "FILE")]
    pgledger: Option<PathBuf>,
    /// Where the result is written
    #[arg(long, default_value = "BENCHMARKS.md")]
    out: PathBuf,
}

/// The two stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Half {
    /// The embedded store, beside TigerBeetle
    Embedded,
    /// The store on PostgreSQL, beside ledgers in SQL
    Postgres,
}

impl Bench {
    pub(crate) fn run(&self) -> Result {
        step("build");
        let build = ["build", "--release", "--package", "saldo", "--bins"];
        run::run(cargo(
            &[&build[..], &["--example", "bare", "--example", "idle"]].concat(),
        ))?;
        for half in [Half::Embedded, Half::Postgres] {
            if self.only.is_some_and(|only| only != half) {
                continue;
            }
            let before = report::load_average();
            let part = match half {
                Half::Embedded => embedded::measure(self)?,
                Half::Postgres => postgres::measure(self)?,
            };
            let text = part.text(&Circumstances {
                command: self.spelled(half),
                load_before: before,
            })?;
            println!("\n{text}");
            report::write(&run::root().join(&self.out), &part, &text)?;
        }
        Ok(())
    }

    /// All rounds of a half.
    fn rounds(&self, round: impl Fn() -> Result<Vec<Measured>>) -> Result<Vec<Vec<Measured>>> {
        let each = |nth| {
            step(&format!("round {nth} of {}", self.rounds));
            round()
        };
        (1..=self.rounds).map(each).collect()
    }

    /// The command that measures this half again.
    fn spelled(&self, half: Half) -> String {
        let (only, other) = match half {
            Half::Embedded => {
                let stored = (self.stored > 0).then(|| format!(" --stored {}", self.stored));
                let beside = self.tigerbeetle.as_ref().map(|_| " --tigerbeetle PATH");
                (
                    "embedded",
                    stored.unwrap_or_default() + beside.unwrap_or_default(),
                )
            }
            Half::Postgres => {
                let beside = self.pgledger.as_ref().map(|_| " --pgledger FILE");
                ("postgres", beside.unwrap_or_default().to_owned())
            }
        };
        format!(
            "`cargo xtask bench --only {only} --rounds {} --seconds {} --accounts {}{other}`",
            self.rounds, self.seconds, self.accounts
        )
    }
}

fn shown(measured: Measured) -> Result<Measured> {
    println!("{:<52} {:>8}/s", measured.name, measured.per_second);
    Ok(measured)
}
