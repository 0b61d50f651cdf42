//! Saldo on PostgreSQL beside ledgers in SQL on the same PostgreSQL.

use std::sync::Arc;

use test_postgres::{Cluster, bin};

use super::report::{self, Goal, Measured, Part};
use super::servers::{Ask, Servers};
use super::sql_ledger::{ARRAYS, FEW, HOT, MANY, PGLEDGER, PLAIN, SqlLedger};
use super::{Bench, shown};
use crate::requirements;
use crate::run::{self, Result, step};

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

const ON_PLAIN: &[&str] = &["plain-few", "plain-many"];
const ON_PGLEDGER: &[&str] = &["pgledger-few", "pgledger-many"];
const GOALS: [Goal; 9] = [
    Goal {
        what: "single posts : plain SQL, both on random accounts",
        measured: "posts",
        against: ON_PLAIN,
        at_least: 400,
    },
    Goal {
        what: "single posts : plain SQL, both into one hot account",
        measured: "hot",
        against: &["plain-hot"],
        at_least: 1_000,
    },
    Goal {
        what: "batches of 1,000 : plain SQL's single transfers on random accounts",
        measured: "batches",
        against: ON_PLAIN,
        at_least: 800,
    },
    Goal {
        what: "single posts : pgledger, both on random accounts",
        measured: "posts",
        against: ON_PGLEDGER,
        at_least: 400,
    },
    Goal {
        what: "single posts : pgledger, both into one hot account",
        measured: "hot",
        against: &["pgledger-hot"],
        at_least: 1_000,
    },
    Goal {
        what: "batches of 1,000 : pgledger's single transfers on random accounts",
        measured: "batches",
        against: ON_PGLEDGER,
        at_least: 800,
    },
    Goal {
        what: "four servers with 256 connections each : one server with 256, single posts on random accounts of one book",
        measured: "posts-crowd-many",
        against: &["posts"],
        at_least: 80,
    },
    Goal {
        what: "the same, both with 1,024 connections in all",
        measured: "posts-crowd-many",
        against: &["posts-crowd"],
        at_least: 80,
    },
    Goal {
        what: "the same, both with 256 connections in all",
        measured: "posts-many",
        against: &["posts"],
        at_least: 80,
    },
];

/// What runs during the measurements.
struct Stage {
    cluster: Arc<Cluster>,
    /// Ledgers in SQL: the plain one, and pgledger where it was named.
    ledgers: Vec<SqlLedger>,
    servers: Servers,
    seconds: u32,
}

/// Measures it, and gives what is to be written.
pub(super) fn measure(bench: &Bench) -> Result<Part> {
    requirements::meet()?;
    step("PostgreSQL and Saldo's servers");
    let cluster = Cluster::start(&SETTINGS);
    report::refuse_memory(cluster.folder())?;
    let books = cluster.empty();
    let servers = Servers::on_postgres(&cluster, &books, SERVERS, bench.accounts)?;
    step("the ledgers in SQL, and their best numbers of clients");
    let plain = run::root().join("benches/plain-sql/ledger.sql");
    let named = [(PLAIN, Some(&plain)), (PGLEDGER, bench.pgledger.as_ref())];
    let databases = named.map(|_| cluster.empty());
    let mut ledgers = Vec::new();
    for ((kind, file), database) in named.into_iter().zip(&databases) {
        let Some(file) = file else { continue };
        ledgers.push(SqlLedger::make(
            kind,
            file,
            (&cluster, database),
            (FEW_ACCOUNTS, bench.accounts),
        )?);
    }
    let stage = Stage {
        cluster,
        ledgers,
        servers,
        seconds: bench.seconds,
    };
    let rounds = bench.rounds(|| stage.round())?;
    stage.ledgers.iter().try_for_each(SqlLedger::check)?;
    let version = report::said(std::process::Command::new(bin().join("postgres")).arg("--version"))?;
    Ok(Part {
        title: "On PostgreSQL",
        about: "Saldo on PostgreSQL beside ledgers in SQL on the same PostgreSQL.",
        facts: vec![
            ("PostgreSQL", version),
            ("Its settings beside the defaults", SETTINGS.join(", ")),
            ("File system", report::file_system(stage.cluster.folder())?),
        ],
        rounds,
        goals: &GOALS,
    })
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
            batch: None,
            bare: false,
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
