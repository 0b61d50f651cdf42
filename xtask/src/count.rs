//! `cargo xtask count`: how many instructions the pure core and each endpoint take, under valgrind. Unlike times these are
//! the same on a busy machine, so a change that costs something shows.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::run::{self, Result, cargo};

/// What is counted, and of how many the mean is taken.
const SUBJECTS: [(&str, u32); 9] = [
    ("ledger-post", 2_000),
    ("ledger-hold-and-capture", 1_000),
    ("native", 200),
    ("conduit-customer", 200),
    ("conduit-clients", 200),
    ("magicline", 200),
    ("polygon", 200),
    ("light", 200),
    ("batch", 20),
];
/// Maps are seeded anew in each process, so a count is the middle one of so many.
const PROCESSES: usize = 5;
/// How many parts of a hundred a count may be above the committed one.
const TOLERANCE: u64 = 3;
const COMMITTED: &str = "benches/instructions.txt";
const HEAD: &str = "\
# Instructions, counted by `cargo xtask count --update`; `cargo xtask ci` compares. On x86-64 by the toolchain of the day.
# ledger-*: decide, encode and apply in memory; others: a request of that endpoint from its checks to its answer, without
# sockets, on the embedded store, of names that were shown before; batch: one of 100 transactions, without what the store's
# own threads do.
";

/// Counts the instructions of the pure core and of each endpoint, and compares them with the committed counts
#[derive(clap::Args, Default)]
pub(crate) struct Count {
    /// Write the counts to benches/instructions.txt
    #[arg(long)]
    update: bool,
}

impl Count {
    pub(crate) fn run(&self) -> Result {
        if !is_there() {
            return Err(
                "valgrind counts instructions and is not installed; on Debian: apt-get install valgrind"
                    .into(),
            );
        }
        let counts = count()?;
        if self.update {
            let mut text = String::from(HEAD);
            for (subject, count) in &counts {
                // Writing to a string can't fail.
                let _ = writeln!(text, "{subject} {count}");
            }
            return std::fs::write(committed_file(), text).map_err(|error| format!("{COMMITTED}: {error}"));
        }
        compare(&counts)
    }
}

/// Whether there is something to count with.
pub(crate) fn is_there() -> bool {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version");
    run::succeeds(valgrind)
}

fn committed_file() -> PathBuf {
    run::root().join(COMMITTED)
}

fn count() -> Result<Vec<(&'static str, u64)>> {
    run::run(cargo(&[
        "build",
        "--release",
        "--package",
        "saldo",
        "--example",
        "counted",
    ]))?;
    let program = run::target()?.join("release/examples/counted");
    let one = |subject: &str, times: u32| {
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .args(["--collect-atstart=no", "--toggle-collect=*here_it_counts*"])
            .arg(&program)
            .args([subject, &times.to_string()]);
        let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        match collected(&said).filter(|_| output.status.success()) {
            Some(count) if count > 0 => Ok(count / u64::from(times)),
            _ => Err(format!("counting {subject}: {}\n{said}", output.status)),
        }
    };
    let middle = |(subject, times)| {
        let counts: Result<Vec<_>> = (0..PROCESSES).map(|_| one(subject, times)).collect();
        let mut counts = counts?;
        counts.sort_unstable();
        Ok((subject, counts[PROCESSES / 2]))
    };
    SUBJECTS.into_iter().map(middle).collect()
}

/// What callgrind says that it collected.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected : "))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn compare(counts: &[(&'static str, u64)]) -> Result {
    let committed = std::fs::read_to_string(committed_file());
    let committed = committed.map_err(|error| format!("{COMMITTED}: {error}"))?;
    let mut more = Vec::new();
    for (subject, count) in counts {
        let before = before(&committed, subject)
            .ok_or_else(|| format!("{COMMITTED} has no count of {subject}; cargo xtask count --update"))?;
        println!("{subject:<24} {count:>9}, committed {before:>9}");
        if is_more(*count, before) {
            more.push(*subject);
        }
    }
    match more.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "more than {TOLERANCE} % above what was committed: {}. Find what costs more, or commit it: cargo xtask count --update",
            more.join(", ")
        )),
    }
}

fn before(committed: &str, subject: &str) -> Option<u64> {
    let mut lines = committed.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == subject)?.1.trim().parse().ok()
}

fn is_more(count: u64, before: u64) -> bool {
    count * 100 > before * (100 + TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_compared() {
        let said = "==7== Events    : Ir\n==7== Collected : 3528908560\n==7== \n";
        assert_eq!(collected(said), Some(3_528_908_560));
        assert_eq!(collected("==7== Aborted"), None);
        let committed = "# A comment\nledger-post 7000\nbatch 12\n";
        assert_eq!(before(committed, "batch"), Some(12));
        assert_eq!(before(committed, "light"), None);
        assert!(!is_more(1_030, 1_000) && is_more(1_031, 1_000) && !is_more(500, 1_000));
    }
}
