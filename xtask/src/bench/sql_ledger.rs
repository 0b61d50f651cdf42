//! Ledgers in SQL that one may write or find, and pgbench.

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

/// Which of a ledger's scripts is which.
pub(super) const FEW: usize = 0;
pub(super) const MANY: usize = 1;
pub(super) const HOT: usize = 2;
pub(super) const ARRAYS: usize = 3;

/// A ledger in SQL that is measured, and where its scripts are.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    name: &'static str,
    folder: &'static str,
    /// By these the measurements of its scripts are found.
    keys: [&'static str; 4],
}

pub(super) const PLAIN: Kind = Kind {
    name: "plain SQL",
    folder: "benches/plain-sql",
    keys: ["plain-few", "plain-many", "plain-hot", "plain-arrays"],
};

/// <https://github.com/pgr0ss/pgledger>, of which this repository has only the scripts that call it.
pub(super) const PGLEDGER: Kind = Kind {
    name: "pgledger",
    folder: "benches/pgledger",
    keys: ["pgledger-few", "pgledger-many", "pgledger-hot", "pgledger-arrays"],
};

/// A ledger in SQL, made in a database of its own.
pub(super) struct SqlLedger {
    kind: Kind,
    url: String,
    folder: PathBuf,
    accounts: u32,
    logs: tempfile::TempDir,
    /// Each with its best number of clients.
    pub(super) scripts: Vec<Script>,
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

impl SqlLedger {
    /// Makes the ledger that a file holds, with accounts, and looks for the best numbers of clients.
    pub(super) fn make(
        kind: Kind,
        ledger: &Path,
        (cluster, database): (&Arc<Cluster>, &Database),
        (few, accounts): (u32, u32),
    ) -> Result<Self> {
        let folder = run::root().join(kind.folder);
        let mut made = Self {
            kind,
            url: database.url(),
            accounts,
            logs: tempfile::tempdir_in(cluster.folder()).map_err(|error| error.to_string())?,
            scripts: Vec::new(),
            folder,
        };
        run::run(made.psql(ledger))?;
        run::run(made.psql(&made.folder.join("accounts.sql")))?;
        let scripts = [
            (format!("{few} accounts"), "random.sql", few, 1),
            (format!("{accounts} accounts"), "random.sql", accounts, 1),
            ("one hot account".to_owned(), "hot.sql", accounts, 1),
            (format!("arrays of {ARRAY}"), "arrays.sql", accounts, ARRAY),
        ];
        for (key, (what, file, accounts, transfers)) in kind.keys.into_iter().zip(scripts) {
            let script = |clients| Script {
                key,
                name: format!("{}, {what}, {clients} clients", kind.name),
                file,
                accounts,
                transfers,
                clients,
            };
            let best = made.best(script)?;
            made.scripts.push(best);
        }
        Ok(made)
    }

    fn psql(&self, file: &Path) -> Command {
        let mut psql = Command::new(bin().join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
        ])
        .arg(format!("count={}", self.accounts))
        .arg("-f")
        .arg(file)
        .arg(&self.url);
        psql
    }

    /// The script with its best number of clients.
    fn best(&self, script: impl Fn(u32) -> Script) -> Result<Script> {
        let mut best: Option<(u64, Script)> = None;
        for clients in CLIENTS {
            let script = script(clients);
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
            return Err(format!("calls of {} failed: {said}", self.kind.name));
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

    /// Fails unless the books are right: else it was not a ledger that was measured.
    pub(super) fn check(&self) -> Result {
        match run::output(self.psql(&self.folder.join("check.sql")))?.trim_ascii() {
            b"t" => Ok(()),
            _ => Err(format!("the books of {} are wrong", self.kind.name)),
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
