//! `saldo bench`: load against servers, and how they bore it.
//!
//! The generator is meant not to be what is measured: one thread with an event loop of its own, no HTTP library,
//! requests that are built once and of which only the ids are written over, and of an answer nothing is read but its
//! status and length. The processor time that it took stands in the table.

mod cpu;
mod journal;
mod load;
mod report;
mod tally;
mod wire;
mod workload;
mod world;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use cpu::Watched;
use journal::Journal;
use load::Load;
use report::Measured;
use wire::Target;
use workload::Workload;

/// Load.
#[derive(clap::Args)]
#[command(after_help = "\
The token is an operator's, or one of a root client with the scope `admin`. A client named `Load test` is made under it with \
accounts of its own; a later run finds it again. Posts need no other client's money, and change nobody else's.\n\n\
CPU is in percent of one processor. Bytes are those of the journal for each transaction, where the token is an operator's. Where the generator's comes near 100 % a thread, it is what was measured: use --threads.")]
pub(crate) struct Bench {
    /// What to ask for, one after the other
    #[arg(value_name = "WORKLOAD", default_values = ["reads", "posts", "batches", "hot"])]
    workloads: Vec<Workload>,
    /// Where the server is; several share the connections
    #[arg(
        long = "url",
        env = "SALDO_URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8080"
    )]
    urls: Vec<String>,
    /// Where accounts are made, if not at the first of them
    #[arg(long, value_name = "URL")]
    prepare_at: Option<String>,
    /// An operator's token, or an administrator's
    #[arg(long, env = "SALDO_TOKEN", hide_env_values = true)]
    token: String,
    /// How many connections, each with one request at a time [default: 256; of batches 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// How long each workload is measured, as in 500ms, 10s, 5m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    duration: Duration,
    /// How long before that it runs without being measured
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    warm_up: Duration,
    /// Between how many accounts money moves
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    accounts: u32,
    /// Transactions of a batch
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    batch: u16,
    /// Requests a second, whether answers come or not; latency then counts from when a request was due
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// A process on this machine whose processor time is shown too, with its children's; may be repeated
    #[arg(long, value_name = "NAME=PID")]
    cpu_of: Vec<Watched>,
    /// Prints the measurements as JSON
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::while_doing("starting an event loop", error))?;
        let mut targets = Vec::new();
        for url in &self.urls {
            targets.push(runtime.block_on(Target::find(url))?);
        }
        let prepare_at = match &self.prepare_at {
            Some(url) => runtime.block_on(Target::find(url))?,
            None => targets[0].clone(),
        };
        let bar = bar("accounts {wide_bar} {pos}/{len} {eta}");
        let has_members = self.workloads.iter().any(|workload| workload.has_members());
        let accounts = self.accounts as usize;
        let world = world::make(&prepare_at, &self.token, accounts, has_members, &bar);
        let world = Arc::new(runtime.block_on(world)?);
        bar.finish_and_clear();
        let mut measured = Vec::new();
        for workload in &self.workloads {
            measured.push(self.measure(*workload, &targets, &world)?);
        }
        runtime.block_on(world.leave(&prepare_at))?;
        match self.json {
            true => {
                let all: Vec<_> = measured.iter().map(Measured::as_json).collect();
                println!("{}", serde_json::Value::from(all));
            }
            false => print!("{}", report::as_text(&measured)),
        }
        match measured.iter().all(|one| one.tally.clean()) {
            true => Ok(()),
            false => Err(Failure::new(
                "not everything was answered as it should be; see above",
            )),
        }
    }

    fn measure(
        &self,
        workload: Workload,
        targets: &[Target],
        world: &Arc<world::World>,
    ) -> Result<Measured, Failure> {
        let usual = if workload == Workload::Batches { 8 } else { 256 };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| Failure::while_doing("asking for random bytes", error))?;
        let load = Load {
            workload,
            targets: targets.to_vec(),
            world: Arc::clone(world),
            connections: self.connections.unwrap_or(usual).into(),
            threads: self.threads.into(),
            batch: self.batch.into(),
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.duration,
            seed: u64::from_le_bytes(seed),
            journal: Journal {
                targets: targets.to_vec(),
                token: self.token.clone(),
            },
        };
        let bar = bar(&format!("{} {{wide_bar}} {{eta}}", workload.name()));
        bar.set_length((self.warm_up + self.duration).as_millis() as u64);
        let connections = load.connections;
        let (tally, used) = load.run(&self.cpu_of, |passed| bar.set_position(passed.as_millis() as u64))?;
        bar.finish_and_clear();
        Ok(Measured {
            workload: workload.name(),
            servers: targets.len(),
            connections,
            batch: if workload == Workload::Batches {
                self.batch.into()
            } else {
                1
            },
            rate: self.rate,
            accounts: world.accounts.len(),
            duration: self.duration,
            tally,
            used,
        })
    }
}

/// Reads a time as people write it.
fn time(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let number: Option<u32> = text[..text.len() - unit.len()].parse().ok();
    match (number.map(u64::from), unit) {
        (Some(number), "ms") => Ok(Duration::from_millis(number)),
        (Some(number), "s") => Ok(Duration::from_secs(number)),
        (Some(number), "m") => Ok(Duration::from_secs(60 * number)),
        _ => Err("must be a whole number and a unit, as in 500ms, 10s, 5m".to_owned()),
    }
}

/// A progress bar, where somebody sees it.
fn bar(template: &str) -> ProgressBar {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["10", "s", "", "1.5s", "-1s", "9999999999s", "1h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
