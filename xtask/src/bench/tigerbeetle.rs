//! TigerBeetle by its own `benchmark`: it makes a cluster of one replica, loads it and says what it accepted.

use std::path::Path;
use std::process::Command;

use super::report::Measured;
use crate::run::{self, Result};

/// A load.
pub(super) struct Load {
    /// By this the measurement is found.
    pub(super) key: &'static str,
    /// Transfers in a batch; `None` is what it takes by itself.
    pub(super) batch: Option<u32>,
    pub(super) clients: u32,
    pub(super) transfers: u32,
}

/// What it says of itself.
pub(super) fn version(binary: &Path) -> Result<String> {
    let mut version = Command::new(binary);
    version.arg("version");
    Ok(String::from_utf8_lossy(&run::output_quietly(version)?)
        .trim()
        .to_owned())
}

/// Runs a load in this folder, where it makes its file and removes it.
pub(super) fn measure(binary: &Path, folder: &Path, load: &Load) -> Result<Measured> {
    let mut benchmark = Command::new(binary);
    benchmark
        .current_dir(folder)
        .arg("benchmark")
        .arg(format!("--transfer-count={}", load.transfers))
        .arg(format!("--clients={}", load.clients));
    if let Some(batch) = load.batch {
        benchmark.arg(format!("--transfer-batch-count={batch}"));
    }
    let said = String::from_utf8_lossy(&run::output_quietly(benchmark)?).into_owned();
    let found = read(&said).ok_or_else(|| format!("tigerbeetle benchmark said something else: {said}"))?;
    let clients = match load.clients {
        1 => String::new(),
        many => format!(", {many} clients"),
    };
    Ok(Measured {
        key: load.key,
        name: format!("TigerBeetle, batches of {}{clients}", found.batch),
        per_second: found.per_second,
        latency: Some(found.latency),
        cpu: None,
    })
}

#[derive(PartialEq, Debug)]
struct Said {
    batch: u64,
    per_second: u64,
    /// The median and the 99th percentile, in µs; it tells milliseconds.
    latency: (u64, u64),
}

fn read(said: &str) -> Option<Said> {
    let number = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name))?;
        line.split_once('=')?
            .1
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    Some(Said {
        batch: number("transfer batch size")?,
        per_second: number("load accepted")?,
        latency: (
            number("batch latency p50")? * 1_000,
            number("batch latency p99")? * 1_000,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let said = "25 batches in 0.41 s\ntransfer batch size = 8189 txs\ntransfer batch delay = 0ns\nload accepted = 486354 tx/s\n\
                    batch latency p1   = 0 ms\nbatch latency p50  = 13 ms\nbatch latency p99  = 30 ms\n";
        let expected = Said {
            batch: 8189,
            per_second: 486_354,
            latency: (13_000, 30_000),
        };
        assert_eq!(read(said), Some(expected));
        assert_eq!(read("error: unexpected argument"), None);
    }
}
