//! `saldo serve` processes over one database, and `saldo bench` against them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use test_postgres::{Cluster, Database};

use super::report::{Cpu, Measured};
use crate::run::{self, Result};

/// Running servers.
pub(super) struct Servers {
    saldo: PathBuf,
    token: String,
    running: Vec<Server>,
    accounts: u32,
    /// The process that all of PostgreSQL's descend from.
    postgres: Option<String>,
}

struct Server {
    child: Child,
    url: String,
}

/// What is to be measured.
pub(super) struct Ask {
    /// By this the measurement is found.
    pub(super) key: &'static str,
    pub(super) workload: &'static str,
    pub(super) connections: u32,
    pub(super) servers: usize,
    pub(super) seconds: u32,
    /// How many transactions a batch has, where it is not 1,000.
    pub(super) batch: Option<u32>,
    /// Whether it is axum that answers, with nothing behind it.
    pub(super) bare: bool,
}

impl Servers {
    /// Over a database.
    pub(super) fn on_postgres(
        cluster: &Arc<Cluster>,
        database: &Database,
        count: usize,
        accounts: u32,
    ) -> Result<Self> {
        let postgres = std::fs::read_to_string(cluster.folder().join("pid"));
        let postgres = postgres.map_err(|error| format!("the pid of PostgreSQL: {error}"))?;
        let servers = Self::start(&database.url(), cluster.folder(), count, accounts)?;
        Ok(Self {
            postgres: Some(postgres.trim().to_owned()),
            ..servers
        })
    }

    /// Over a store that is made; what they say goes into a file of this folder.
    pub(super) fn start(store: &str, folder: &Path, count: usize, accounts: u32) -> Result<Self> {
        // In the five endpoints' formats each request is counted, as it is where limits are set; two have one by default.
        let config = folder.join("saldo.toml");
        let limit = |format: &str| format!("[{format}]\nrate_limit_per_minute = {}\n", u32::MAX);
        let limits = ["conduit", "magicline", "polygon", "light"].map(limit);
        std::fs::write(&config, limits.concat()).map_err(|error| format!("{}: {error}", config.display()))?;
        let mut serve = plain_command(&run::target()?.join("release/saldo"));
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--store", store, "--config"])
            .arg(&config);
        Self::start_as(serve, store, folder, count, accounts)
    }

    /// One over a store that is made, which answers single posts and keeps none.
    pub(super) fn start_idle(store: &str, folder: &Path, accounts: u32) -> Result<Self> {
        let mut serve = plain_command(&run::target()?.join("release/examples/idle"));
        serve.arg(store);
        Self::start_as(serve, store, folder, 1, accounts)
    }

    fn start_as(mut serve: Command, store: &str, folder: &Path, count: usize, accounts: u32) -> Result<Self> {
        let saldo = run::target()?.join("release/saldo");
        let mut init = plain_command(&saldo);
        init.args(["init", "--store", store]);
        let token = String::from_utf8_lossy(&run::output_quietly(init)?)
            .trim()
            .to_owned();
        let log = folder.join("saldo.log");
        let running = (0..count).map(|_| {
            let log = File::options().create(true).append(true).open(&log);
            let log = log.map_err(|error| format!("a log of the servers: {error}"))?;
            serve.stdout(Stdio::piped()).stderr(log);
            Server::start(&mut serve)
        });
        Ok(Self {
            running: running.collect::<Result<_>>()?,
            saldo,
            token,
            accounts,
            postgres: None,
        })
    }

    /// A server of axum alone, which answers as the first of these does.
    fn bare(&self) -> Result<Server> {
        let mut bare = plain_command(&run::target()?.join("release/examples/bare"));
        bare.arg(&self.running[0].url).stdout(Stdio::piped());
        Server::start(&mut bare)
    }

    pub(super) fn measure(&self, ask: &Ask) -> Result<Measured> {
        let mut bench = plain_command(&self.saldo);
        bench.args(["bench", "--json", "--token", &self.token, ask.workload]);
        let bare = match ask.bare {
            true => Some(self.bare()?),
            false => None,
        };
        let servers = match &bare {
            Some(bare) => {
                bench.args(["--prepare-at", &self.running[0].url]);
                std::slice::from_ref(bare)
            }
            None => &self.running[..ask.servers],
        };
        for server in servers {
            bench.args(["--url", &server.url]);
            bench.arg("--cpu-of").arg(format!("saldo={}", server.child.id()));
        }
        if let Some(postgres) = &self.postgres {
            bench.arg("--cpu-of").arg(format!("postgres={postgres}"));
        }
        if let Some(batch) = ask.batch {
            bench.arg(format!("--batch={batch}"));
        }
        bench.arg(format!("--connections={}", ask.connections));
        bench.arg(format!("--accounts={}", self.accounts));
        bench.arg(format!("--duration={}s", ask.seconds));
        let said = run::output(bench)?;
        let found: Value = serde_json::from_slice(&said).map_err(|error| format!("saldo bench: {error}"))?;
        read(ask, &found[0]).ok_or_else(|| format!("saldo bench said something else: {found}"))
    }
}

/// What a request changes nothing by.
const READS: [&str; 6] = [
    "reads",
    "conduit-customer",
    "conduit-clients",
    "magicline",
    "polygon",
    "light",
];

fn read(ask: &Ask, found: &Value) -> Option<Measured> {
    let rate = match READS.contains(&ask.workload) {
        true => "requestsPerSecond",
        false => "transactionsPerSecond",
    };
    let who = match ask.bare {
        true => "bare axum",
        false => "Saldo",
    };
    let what = match ask.workload {
        "batches" => format!("batches of {}", found["batch"]),
        "hot" => "posts into one hot account".to_owned(),
        "holds" => "holds and captures".to_owned(),
        other => other.to_owned(),
    };
    let servers = match ask.servers {
        1 => String::new(),
        many => format!(", {many} servers"),
    };
    let latency = |name: &str| found["latencyMicroseconds"][name].as_u64();
    let length = found["milliseconds"].as_u64()?;
    let share = |name: &str| Some(found["cpuMilliseconds"][name].as_u64()? * 100 / length.max(1));
    Some(Measured {
        key: ask.key,
        name: format!("{who}, {what}, {} connections{servers}", ask.connections),
        per_second: found[rate].as_u64()?,
        latency: Some((latency("p50")?, latency("p99")?)),
        cpu: Some(Cpu {
            postgres: share("postgres"),
            saldo: share("saldo")?,
            generator: share("generator")?,
        }),
    })
}

/// The binary, without what the environment would change.
fn plain_command(saldo: &Path) -> Command {
    let mut command = Command::new(saldo);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SALDO_")) {
        command.env_remove(name);
    }
    command
}

impl Server {
    /// Starts it, and waits until it says where it listens.
    fn start(serve: &mut Command) -> Result<Self> {
        let mut child = serve
            .spawn()
            .map_err(|error| format!("starting a server: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(|error| format!("a server's first line: {error}"))?;
        }
        let server = Self {
            child,
            url: line
                .trim()
                .strip_prefix("listening on ")
                .unwrap_or_default()
                .to_owned(),
        };
        match server.url.is_empty() {
            true => Err(format!("a server did not start; it said {line:?}")),
            false => Ok(server),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; what it had to say was said.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_read_from_its_json() {
        let ask = Ask {
            key: "batches",
            workload: "batches",
            connections: 8,
            servers: 4,
            seconds: 2,
            batch: None,
            bare: false,
        };
        let mut found = serde_json::json!({
            "batch": 1000, "milliseconds": 2000, "transactionsPerSecond": 77, "requestsPerSecond": 1,
            "latencyMicroseconds": {"p50": 5, "p99": 9},
            "cpuMilliseconds": {"postgres": 1000, "saldo": 500, "generator": 20, "machine": 4000},
        });
        let measured = read(&ask, &found).unwrap();
        assert_eq!(measured.name, "Saldo, batches of 1000, 8 connections, 4 servers");
        assert_eq!((measured.per_second, measured.latency), (77, Some((5, 9))));
        let cpu = measured.cpu.unwrap();
        assert_eq!((cpu.postgres, cpu.saldo, cpu.generator), (Some(50), 25, 1));
        found["latencyMicroseconds"] = Value::Null;
        assert!(read(&ask, &found).is_none());
    }
}
