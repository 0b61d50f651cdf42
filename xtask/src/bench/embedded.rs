//! Saldo on its embedded store, beside TigerBeetle on the same disk.

use std::path::PathBuf;
use std::process::Command;

use super::report::{self, Goal, Measured, Part};
use super::servers::{Ask, Servers};
use super::tigerbeetle::{self, Load};
use super::{Bench, shown};
use crate::run::{self, Result, step};

const GOALS: [Goal; 13] = [
    Goal {
        what: "single posts : the same server that keeps nothing",
        measured: "posts",
        against: &["posts-idle"],
        at_least: 80,
    },
    Goal {
        what: "batches of 8,000 : TigerBeetle's",
        measured: "batches-large",
        against: &["tigerbeetle"],
        at_least: 150,
    },
    Goal {
        what: "batches of 1,000 : TigerBeetle's of 1,000",
        measured: "batches",
        against: &["tigerbeetle-1000"],
        at_least: 500,
    },
    Goal {
        what: "single posts : TigerBeetle's batches of one",
        measured: "posts",
        against: &["tigerbeetle-1"],
        at_least: 1_000,
    },
    Goal {
        what: "posts into one hot account : posts between random accounts",
        measured: "hot",
        against: &["posts"],
        at_least: 95,
    },
    Goal {
        what: "holds and captures : posts",
        measured: "holds",
        against: &["posts"],
        at_least: 60,
    },
    Goal {
        what: "batches into the store that is full : into one that has begun",
        measured: "batches-full",
        against: &["batches-begun"],
        at_least: 90,
    },
    Goal {
        what: "reads of balances : bare axum that answers the same",
        measured: "reads",
        against: &["reads-bare"],
        at_least: 85,
    },
    Goal {
        what: "Conduit's customer account : bare axum that answers the same",
        measured: "conduit-customer",
        against: &["conduit-customer-bare"],
        at_least: 85,
    },
    Goal {
        what: "Conduit's client accounts : bare axum that answers the same",
        measured: "conduit-clients",
        against: &["conduit-clients-bare"],
        at_least: 85,
    },
    Goal {
        what: "Magicline's balances : bare axum that answers the same",
        measured: "magicline",
        against: &["magicline-bare"],
        at_least: 85,
    },
    Goal {
        what: "Polygon's estimated balance : bare axum that answers the same",
        measured: "polygon",
        against: &["polygon-bare"],
        at_least: 85,
    },
    Goal {
        what: "Light's card account : bare axum that answers the same",
        measured: "light",
        against: &["light-bare"],
        at_least: 85,
    },
];

/// The balance endpoints, each with the key of axum's figure.
const READS: [(&str, &str); 6] = [
    ("reads", "reads-bare"),
    ("conduit-customer", "conduit-customer-bare"),
    ("conduit-clients", "conduit-clients-bare"),
    ("magicline", "magicline-bare"),
    ("polygon", "polygon-bare"),
    ("light", "light-bare"),
];

struct Stage<'b> {
    bench: &'b Bench,
    folder: tempfile::TempDir,
    servers: Servers,
    /// Answers single posts and keeps none.
    idle: Servers,
}

/// Measures it, and gives what is to be written.
pub(super) fn measure(bench: &Bench) -> Result<Part> {
    step("Saldo's server");
    let folder = tempfile::tempdir().map_err(|error| format!("a folder for the store: {error}"))?;
    report::refuse_memory(folder.path())?;
    let store = folder.path().join("store").display().to_string();
    let mut facts = vec![("File system", report::file_system(folder.path())?)];
    if let Some(binary) = &bench.tigerbeetle {
        facts.push(("TigerBeetle", tigerbeetle::version(binary)?));
    }
    let other = folder.path().join("idle").display().to_string();
    let stage = Stage {
        idle: Servers::start_idle(&other, folder.path(), bench.accounts)?,
        servers: Servers::start(&store, folder.path(), 1, bench.accounts)?,
        bench,
        folder,
    };
    let mut rounds = bench.rounds(|| stage.round())?;
    // Last: a store that large is in the way of all else.
    if bench.stored > 0 {
        let full = stage.fill()?;
        for round in &mut rounds {
            round.extend(stage.full_and_begun(&full)?);
        }
    }
    Ok(Part {
        title: "The embedded store",
        about: "Saldo on its embedded store, every commit synced, through HTTP and JSON; TigerBeetle by its own `benchmark` on the same disk.",
        facts,
        rounds,
        goals: &GOALS,
    })
}

/// Batches of 8,000, as the one store and the other take them.
fn large_batches(key: &'static str, seconds: u32) -> Ask {
    Ask {
        key,
        workload: "batches",
        connections: 8,
        servers: 1,
        seconds,
        batch: Some(8_000),
        bare: false,
    }
}

impl Stage<'_> {
    /// Everything once; what is compared stands side by side.
    fn round(&self) -> Result<Vec<Measured>> {
        let ask = |key, workload, connections, batch| Ask {
            key,
            workload,
            connections,
            servers: 1,
            seconds: self.bench.seconds,
            batch,
            bare: false,
        };
        let load = |key, batch, clients, transfers| Load {
            key,
            batch,
            clients,
            transfers,
        };
        let mut all = Vec::new();
        all.push(self.saldo(&ask("batches-large", "batches", 4, Some(8_000)))?);
        self.tigerbeetle(&load("tigerbeetle", None, 1, 2_000_000), &mut all)?;
        all.push(self.saldo(&ask("batches", "batches", 8, None))?);
        self.tigerbeetle(&load("tigerbeetle-1000", Some(1_000), 1, 500_000), &mut all)?;
        all.push(self.saldo(&ask("posts", "posts", 64, None))?);
        let mut idle = self.idle.measure(&ask("posts-idle", "posts", 64, None))?;
        idle.name += ", kept nowhere";
        all.push(shown(idle)?);
        self.tigerbeetle(&load("tigerbeetle-1", Some(1), 32, 10_000), &mut all)?;
        all.push(self.saldo(&ask("hot", "hot", 64, None))?);
        all.push(self.saldo(&ask("holds", "holds", 64, None))?);
        for (workload, bare) in READS {
            all.push(self.saldo(&ask(workload, workload, 64, None))?);
            all.push(self.saldo(&Ask {
                bare: true,
                ..ask(bare, workload, 64, None)
            })?);
        }
        Ok(all)
    }

    /// A server whose store has as many transactions as asked for.
    fn fill(&self) -> Result<Servers> {
        const SECONDS: u32 = 20;
        step(&format!("store {} million transactions", self.bench.stored));
        let store = self.folder.path().join("full").display().to_string();
        let servers = Servers::start(&store, self.folder.path(), 1, self.bench.accounts)?;
        let mut stored = 0;
        while stored < u64::from(self.bench.stored) * 1_000_000 {
            let more = servers.measure(&large_batches("batches-full", SECONDS))?;
            if more.per_second == 0 {
                return Err("the store takes no more batches".into());
            }
            stored += more.per_second * u64::from(SECONDS);
        }
        Ok(servers)
    }

    /// The full store beside a new one, which has about a million transactions once its warm-up is over.
    fn full_and_begun(&self, full: &Servers) -> Result<[Measured; 2]> {
        let folder = tempfile::tempdir_in(&self.folder).map_err(|error| format!("a folder: {error}"))?;
        let store = folder.path().join("store").display().to_string();
        let begun = Servers::start(&store, folder.path(), 1, self.bench.accounts)?;
        let measure = |servers: &Servers, key, what: &str| {
            let mut measured = servers.measure(&large_batches(key, self.bench.seconds))?;
            measured.name += what;
            shown(measured)
        };
        Ok([
            measure(&begun, "batches-begun", ", a store that has begun")?,
            measure(
                full,
                "batches-full",
                &format!(", {} million stored", self.bench.stored),
            )?,
        ])
    }

    fn saldo(&self, ask: &Ask) -> Result<Measured> {
        shown(self.servers.measure(ask)?)
    }

    fn tigerbeetle(&self, load: &Load, all: &mut Vec<Measured>) -> Result {
        let Some(binary) = &self.bench.tigerbeetle else {
            return Ok(());
        };
        let binary = binary.canonicalize();
        let binary: PathBuf = binary.map_err(|error| format!("TigerBeetle's binary: {error}"))?;
        settle()?;
        all.push(shown(tigerbeetle::measure(&binary, self.folder.path(), load)?)?);
        settle()
    }
}

/// Nobody pays for what another has left to be written, or for a large file that it removed.
fn settle() -> Result {
    run::run(Command::new("sync"))
}
