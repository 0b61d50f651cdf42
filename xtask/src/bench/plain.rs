//! The plain SQL ledger of `benches/plain-sql`, and pgbench.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use test_postgres::{Cluster, Database, bin};

use super::report::Measured;
use crate::run::{self, Result};

/// Numbers of clients that are tried.
const CLIENTS: [u32; 7] = [2, 4, 8, 16, 32, 64, 128];
/// How long each is tried, in seconds.
const TRY: u32 = 2;
/// How many transfers a call of `arrays.sql` makes.
const ARRAY: u64 = 100;

/// The plain ledger.
pub(super) struct Plain {
    url: String,
    folder: PathBuf,
    accounts: u32,
    logs: tempfile::TempDir,
}

/// A script of pgbench, with the number of clients at which it is fastest.
pub(super) struct Script {
    key: &'static str,
    name: String,
    file: &'static str,
    accounts: u32,
    /// Transfers of one call.
    transfers: u64,
    clients: u32,
}

impl Plain {
    pub(super) fn make(cluster: &Arc<Cluster>, database: &Database, accounts: u32) -> Result<Self> {
        let plain = Self {
            url: database.url(),
            folder: run::root().join("benches/plain-sql"),
            accounts,
            logs: tempfile::tempdir_in(cluster.folder()).map_err(|error| error.to_string())?,
        };
        for file in ["ledger.sql", "accounts.sql"] {
            let mut psql = Command::new(bin().join("psql"));
            psql.args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-v"])
                .arg(format!("count={accounts}"))
                .arg("-f")
                .arg(plain.folder.join(file))
                .arg(&plain.url);
            run::run(psql)?;
        }
        Ok(plain)
    }

    /// The scripts: on few accounts, on many, on one, in arrays.
    pub(super) fn scripts(&self, few: u32) -> Result<[Script; 4]> {
        let many = self.accounts;
        Ok([
            self.script(
                "plain-few",
                format!("plain SQL, {few} accounts"),
                "random.sql",
                few,
                1,
            )?,
            self.script(
                "plain-many",
                format!("plain SQL, {many} accounts"),
                "random.sql",
                many,
                1,
            )?,
            self.script(
                "plain-hot",
                "plain SQL, one hot account".to_owned(),
                "hot.sql",
                many,
                1,
            )?,
            self.script(
                "plain-arrays",
                format!("plain SQL, arrays of {ARRAY}"),
                "arrays.sql",
                many,
                ARRAY,
            )?,
        ])
    }

    /// A script, once its best number of clients is found.
    fn script(
        &self,
        key: &'static str,
        name: String,
        file: &'static str,
        accounts: u32,
        transfers: u64,
    ) -> Result<Script> {
        let mut best: Option<(u64, Script)> = None;
        for clients in CLIENTS {
            let script = Script {
                key,
                name: format!("{name}, {clients} clients"),
                file,
                accounts,
                transfers,
                clients,
            };
            let measured = self.measure(&script, TRY)?;
            println!("{:<52} {:>8}/s", measured.name, measured.per_second);
            if best.as_ref().is_none_or(|(rate, _)| *rate < measured.per_second) {
                best = Some((measured.per_second, script));
            }
        }
        best.map(|(_, script)| script)
            .ok_or_else(|| "no number of clients was tried".to_owned())
    }

    pub(super) fn measure(&self, script: &Script, seconds: u32) -> Result<Measured> {
        let prefix = self.logs.path().join("calls");
        let mut pgbench = Command::new(bin().join("pgbench"));
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log"])
            .arg(format!("--log-prefix={}", prefix.display()))
            .arg(format!("--define=accounts={}", script.accounts))
            .arg(format!("--client={}", script.clients))
            .arg(format!("--time={seconds}"))
            .arg("--file")
            .arg(self.folder.join(script.file))
            .arg(&self.url);
        let said = run::output_quietly(pgbench)?;
        let said = String::from_utf8_lossy(&said);
        if number_after(&said, "number of failed transactions: ") != Some(0) {
            return Err(format!("calls of the plain ledger failed: {said}"));
        }
        let calls = number_after(&said, "tps = ").ok_or_else(|| format!("pgbench said no tps: {said}"))?;
        Ok(Measured {
            key: script.key,
            name: script.name.clone(),
            per_second: calls * script.transfers,
            latency: Some(percentiles(self.logs.path())?),
            cpu: None,
        })
    }

    /// Fails unless the plain ledger's books are right: else it was not a ledger that was measured.
    pub(super) fn check(&self) -> Result {
        let question = "select (select sum(balance) from accounts) = 0 and (select sum(amount) from entries) = 0 \
                        and (select count(*) from entries) = 2 * (select count(*) from transfers)";
        let mut psql = Command::new(bin().join("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "-c", question])
            .arg(&self.url);
        match run::output(psql)?.trim_ascii() {
            b"t" => Ok(()),
            _ => Err("the books of the plain ledger are wrong".to_owned()),
        }
    }
}

/// The whole number behind the first `label`.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let (_, behind) = text.split_once(label)?;
    let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    behind[..end].parse().ok()
}

/// The median and the 99th percentile of the calls in pgbench's logs, in µs. The logs are removed.
fn percentiles(logs: &Path) -> Result<(u64, u64)> {
    let failed = |error: std::io::Error| format!("reading pgbench's logs: {error}");
    let mut taken: Vec<u64> = Vec::new();
    for file in std::fs::read_dir(logs).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        // Client, number, time in µs, …
        taken.extend(
            text.lines()
                .filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()),
        );
        std::fs::remove_file(&path).map_err(failed)?;
    }
    taken.sort_unstable();
    let at = |percent: usize| taken.get(taken.len() * percent / 100).copied();
    match (at(50), at(99)) {
        (Some(median), Some(high)) => Ok((median, high)),
        _ => Err("pgbench logged no call".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_pgbench_says() {
        let said =
            "number of failed transactions: 0 (0.000%)\nlatency average = 5.8 ms\ntps = 684.570509 (without)";
        assert_eq!(number_after(said, "number of failed transactions: "), Some(0));
        assert_eq!(number_after(said, "tps = "), Some(684));
        assert_eq!(number_after(said, "none = "), None);
    }

    #[test]
    fn percentiles_come_from_all_logs() {
        let folder = tempfile::tempdir().unwrap();
        let line = |micros: u64| format!("0 7 {micros} 0 1700000000 123456\n");
        let first: String = (1..=60).map(line).collect();
        let second: String = (61..=100).map(line).collect();
        std::fs::write(folder.path().join("calls.1"), first).unwrap();
        std::fs::write(folder.path().join("calls.1.1"), second).unwrap();
        assert_eq!(percentiles(folder.path()), Ok((51, 100)));
        assert!(percentiles(folder.path()).is_err(), "they are gone");
    }
}
