//! `cargo xtask bench`: Saldo on PostgreSQL beside ledgers in SQL on the same PostgreSQL, in one run, in turns.
//!
//! Only ratios of one run say something: what else a machine does changes the figures by factors. So each round measures
//! everything once, neighbours are compared within their round, and of the rounds the median is taken.

mod report;
mod servers;
mod sql_ledger;

use std::path::PathBuf;
use std::sync::Arc;

use test_postgres::Cluster;

use crate::requirements;
use crate::run::{self, Result, cargo, step};
use report::{Measured, Run};
use servers::{Ask, Servers};
use sql_ledger::{ARRAYS, FEW, HOT, MANY, PGLEDGER, PLAIN, SqlLedger};

/// What both ledgers' PostgreSQL is started with, beside the tests' settings. Durability is PostgreSQL's default: every commit is
/// synced before it is answered.
const SETTINGS: [&str; 3] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];
/// How many servers share one book.
const SERVERS: usize = 4;
/// As many connections to all servers together as one of them has otherwise to itself, each.
const CROWD: u32 = 1_024;
/// Accounts of the SQL ledgers' second measurement: fewer rows, which stay in every cache.
const FEW_ACCOUNTS: u32 = 1_000;

/// Measures Saldo on PostgreSQL against ledgers in SQL, and writes BENCHMARKS.md
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
    /// <https://github.com/pgr0ss/pgledger> in one file, to be measured beside: vendor/scoville-pgsql-ulid/*.sql, then pgledger.sql
    #[arg(long, value_name = "FILE")]
    pgledger: Option<PathBuf>,
    /// Where the result is written
    #[arg(long, default_value = "BENCHMARKS.md")]
    out: PathBuf,
}

/// What runs during the measurements.
struct Stage {
    cluster: Arc<Cluster>,
    /// Ledgers in SQL: the plain one, and pgledger where it was named.
    ledgers: Vec<SqlLedger>,
    servers: Servers,
    seconds: u32,
}

impl Bench {
    pub(crate) fn run(&self) -> Result {
        requirements::meet()?;
        step("build");
        run::run(cargo(&["build", "--release", "--package", "saldo"]))?;
        step("PostgreSQL and Saldo's servers");
        let before = report::load_average();
        let cluster = Cluster::start(&SETTINGS);
        report::refuse_memory(cluster.folder())?;
        let books = cluster.empty();
        let servers = Servers::start(&cluster, &books, SERVERS, self.accounts)?;
        step("the ledgers in SQL, and their best numbers of clients");
        let plain = run::root().join("benches/plain-sql/ledger.sql");
        let named = [(PLAIN, Some(&plain)), (PGLEDGER, self.pgledger.as_ref())];
        let databases = named.map(|_| cluster.empty());
        let mut ledgers = Vec::new();
        for ((kind, file), database) in named.into_iter().zip(&databases) {
            let Some(file) = file else { continue };
            ledgers.push(SqlLedger::make(
                kind,
                file,
                (&cluster, database),
                (FEW_ACCOUNTS, self.accounts),
            )?);
        }
        let stage = Stage {
            cluster,
            ledgers,
            servers,
            seconds: self.seconds,
        };
        let mut rounds = Vec::new();
        for nth in 1..=self.rounds {
            step(&format!("round {nth} of {}", self.rounds));
            rounds.push(stage.round()?);
        }
        stage.ledgers.iter().try_for_each(SqlLedger::check)?;
        let run = Run {
            rounds,
            seconds: self.seconds,
            accounts: self.accounts,
            pgledger: self.pgledger.is_some(),
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
    fn round(&self) -> Result<Vec<Measured>> {
        let ask = |key, workload, connections, servers| Ask {
            key,
            workload,
            connections,
            servers,
            seconds: self.seconds,
        };
        let mut all = Vec::new();
        for nth in [FEW, MANY] {
            self.ledgers(nth, &mut all)?;
        }
        all.push(self.saldo(&ask("posts", "posts", 256, 1))?);
        all.push(self.saldo(&ask("posts-many", "posts", 256, SERVERS))?);
        all.push(self.saldo(&ask("posts-crowd", "posts", CROWD, 1))?);
        all.push(self.saldo(&ask("posts-crowd-many", "posts", CROWD, SERVERS))?);
        all.push(self.saldo(&ask("batches", "batches", 8, 1))?);
        self.ledgers(ARRAYS, &mut all)?;
        self.ledgers(HOT, &mut all)?;
        all.push(self.saldo(&ask("hot", "hot", 256, 1))?);
        all.push(self.saldo(&ask("holds", "holds", 256, 1))?);
        all.push(self.saldo(&ask("reads", "reads", 256, 1))?);
        Ok(all)
    }

    /// One script of each ledger in SQL.
    fn ledgers(&self, nth: usize, all: &mut Vec<Measured>) -> Result {
        for ledger in &self.ledgers {
            self.settle()?;
            all.push(shown(ledger.measure(&ledger.scripts[nth], self.seconds)?)?);
        }
        Ok(())
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
