//! `cargo xtask bench`: Saldo on PostgreSQL beside a plain SQL ledger on the same PostgreSQL, in one run, in turns.
//!
//! Only ratios of one run say something: what else a machine does changes the figures by factors. So each round measures
//! everything once, neighbours are compared within their round, and of the rounds the median is taken.

mod plain;
mod report;
mod servers;

use std::path::PathBuf;
use std::sync::Arc;

use test_postgres::Cluster;

use crate::requirements;
use crate::run::{self, Result, cargo, step};
use plain::{Plain, Script};
use report::{Measured, Run};
use servers::{Ask, Servers};

/// What both ledgers' PostgreSQL is started with, beside the tests' settings. Durability is PostgreSQL's default: every commit is
/// synced before it is answered.
const SETTINGS: [&str; 3] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];
/// How many servers share one book in the last measurement of a round.
const SERVERS: usize = 4;
/// Accounts of the plain ledger's second measurement: fewer rows, which stay in every cache.
const FEW_ACCOUNTS: u32 = 1_000;

/// Measures Saldo on PostgreSQL against a plain SQL ledger, and writes BENCHMARKS.md
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
    /// Where the result is written
    #[arg(long, default_value = "BENCHMARKS.md")]
    out: PathBuf,
}

/// What runs during the measurements.
struct Stage {
    cluster: Arc<Cluster>,
    plain: Plain,
    servers: Servers,
    seconds: u32,
}

impl Bench {
    pub(crate) fn run(&self) -> Result {
        requirements::meet()?;
        step("build");
        run::run(cargo(&["build", "--release", "--package", "saldo"]))?;
        step("PostgreSQL, the plain ledger, and Saldo's servers");
        let before = report::load_average();
        let cluster = Cluster::start(&SETTINGS);
        report::refuse_memory(cluster.folder())?;
        let (plain_books, saldo_books) = (cluster.empty(), cluster.empty());
        let plain = Plain::make(&cluster, &plain_books, self.accounts)?;
        let servers = Servers::start(&cluster, &saldo_books, SERVERS, self.accounts)?;
        let stage = Stage {
            cluster,
            plain,
            servers,
            seconds: self.seconds,
        };
        step("the plain ledger's best numbers of clients");
        let scripts = stage.plain.scripts(FEW_ACCOUNTS)?;
        let mut rounds = Vec::new();
        for nth in 1..=self.rounds {
            step(&format!("round {nth} of {}", self.rounds));
            rounds.push(stage.round(&scripts)?);
        }
        stage.plain.check()?;
        let run = Run {
            rounds,
            seconds: self.seconds,
            accounts: self.accounts,
            load_before: before,
            settings: &SETTINGS,
        };
        let text = run.text(&stage.cluster)?;
        println!("\n{text}");
        let out = run::root().join(&self.out);
        std::fs::write(&out, text).map_err(|error| format!("writing {}: {error}", out.display()))
    }
}

impl Stage {
    /// Everything once; what is compared stands side by side.
    fn round(&self, scripts: &[Script; 4]) -> Result<Vec<Measured>> {
        let [few, many, hot, arrays] = scripts;
        let ask = |workload, connections, servers| Ask {
            workload,
            connections,
            servers,
            seconds: self.seconds,
        };
        Ok(vec![
            self.plain(few)?,
            self.plain(many)?,
            self.saldo(&ask("posts", 256, 1))?,
            self.saldo(&ask("posts", 256, SERVERS))?,
            self.saldo(&ask("batches", 8, 1))?,
            self.plain(arrays)?,
            self.plain(hot)?,
            self.saldo(&ask("hot", 256, 1))?,
            self.saldo(&ask("holds", 256, 1))?,
            self.saldo(&ask("reads", 256, 1))?,
        ])
    }

    fn plain(&self, script: &Script) -> Result<Measured> {
        self.settle()?;
        shown(self.plain.measure(script, self.seconds)?)
    }

    fn saldo(&self, ask: &Ask) -> Result<Measured> {
        self.settle()?;
        shown(self.servers.measure(ask)?)
    }

    /// Nobody pays for what another has left to be written.
    fn settle(&self) -> Result {
        self.cluster.try_sql("postgres", "checkpoint").map(drop)
    }
}

fn shown(measured: Measured) -> Result<Measured> {
    println!("{:<52} {:>8}/s", measured.name, measured.per_second);
    Ok(measured)
}
