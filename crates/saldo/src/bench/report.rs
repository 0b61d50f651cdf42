//! What is shown at the end: a table for people, or JSON for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::load::Used;
use super::tally::Tally;

/// Percentiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// What was measured of one workload.
pub(super) struct Measured {
    pub(super) workload: &'static str,
    pub(super) servers: usize,
    pub(super) connections: usize,
    pub(super) batch: usize,
    pub(super) rate: Option<u64>,
    pub(super) accounts: usize,
    pub(super) duration: Duration,
    pub(super) tally: Tally,
    pub(super) used: Used,
}

impl Measured {
    fn a_second(&self, count: u64) -> u64 {
        u64::try_from(u128::from(count) * 1_000 / self.duration.as_millis().max(1)).unwrap_or(u64::MAX)
    }

    /// The bytes of journal that a transaction took, where the servers have one and say so.
    fn journal_bytes(&self) -> Option<u64> {
        let written = self.used.journal.filter(|written| *written > 0)?;
        written.checked_div(self.tally.transactions)
    }

    /// The latencies that are shown, in µs; the slowest last.
    fn latencies(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let latency = &self.tally.latency;
        let quantiles = QUANTILES
            .iter()
            .map(|(name, share)| (*name, latency.value_at_quantile(*share)));
        quantiles.chain([("max", latency.max())])
    }

    /// For programs.
    pub(super) fn as_json(&self) -> Value {
        let tally = &self.tally;
        let micros = self
            .latencies()
            .map(|(name, micros)| (name.to_owned(), json!(micros)));
        let millis = |(name, used): (&String, &Duration)| (name.clone(), json!(used.as_millis() as u64));
        let statuses = tally
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), json!(count)));
        json!({
            "workload": self.workload,
            "servers": self.servers,
            "connections": self.connections,
            "batch": self.batch,
            "accounts": self.accounts,
            "rate": self.rate,
            "milliseconds": self.duration.as_millis() as u64,
            "requests": tally.requests,
            "transactions": tally.transactions,
            "refused": tally.refused,
            "requestsPerSecond": self.a_second(tally.requests),
            "transactionsPerSecond": self.a_second(tally.transactions),
            "latencyMicroseconds": micros.collect::<serde_json::Map<_, _>>(),
            "cpuMilliseconds": self.used.cpu.0.iter().map(millis).collect::<serde_json::Map<_, _>>(),
            "journalBytes": self.used.journal,
            "statuses": statuses.collect::<serde_json::Map<_, _>>(),
            "failures": tally.failures,
            "problem": tally.problem,
        })
    }

    /// What went wrong, a line each.
    fn complaints(&self) -> Vec<String> {
        let tally = &self.tally;
        let mut lines = Vec::new();
        for (status, count) in tally
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
        {
            lines.push(format!("{}: {count} answers were {status}", self.workload));
        }
        if tally.refused > 0 {
            lines.push(format!(
                "{}: {} transactions of batches were refused",
                self.workload, tally.refused
            ));
        }
        for (reason, count) in &tally.failures {
            lines.push(format!("{}: {count} requests failed: {reason}", self.workload));
        }
        if let Some(problem) = &tally.problem {
            lines.push(format!("{}: the first problem: {problem}", self.workload));
        }
        lines
    }
}

/// For people.
pub(super) fn as_text(measured: &[Measured]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let mut names: Vec<&String> = measured.iter().flat_map(|one| one.used.cpu.0.keys()).collect();
    names.sort();
    names.dedup();
    let mut header: Vec<String> = [
        "workload",
        "servers",
        "connections",
        "requests/s",
        "transactions/s",
    ]
    .map(str::to_owned)
    .to_vec();
    header.extend(QUANTILES.iter().map(|(name, _)| format!("{name} ms")));
    header.extend(["max ms", "bytes/transaction"].map(str::to_owned));
    header.extend(names.iter().map(|name| format!("{name} CPU")));
    table.set_header(header);
    for one in measured {
        let workload = match one.workload {
            "batches" => format!("batches of {}", one.batch),
            other => other.to_owned(),
        };
        let mut row = vec![workload];
        row.extend([one.servers, one.connections].map(|number| number.to_string()));
        row.extend([one.tally.requests, one.tally.transactions].map(|count| one.a_second(count).to_string()));
        row.extend(one.latencies().map(|(_, micros)| millis(micros)));
        row.push(
            one.journal_bytes()
                .map_or_else(String::new, |bytes| bytes.to_string()),
        );
        let share = |name: &&String| one.used.cpu.0.get(*name).map(|used| percent(*used, one.duration));
        row.extend(names.iter().map(|name| share(name).unwrap_or_default()));
        table.add_row(row);
    }
    table
        .column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let complaints: String = measured
        .iter()
        .flat_map(Measured::complaints)
        .map(|line| line + "\n")
        .collect();
    format!("{table}\n{complaints}")
}

/// Milliseconds with two digits.
fn millis(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10)
}

/// How much of one processor that is.
fn percent(used: Duration, of: Duration) -> String {
    format!("{}%", used.as_millis() * 100 / of.as_millis().max(1))
}

#[cfg(test)]
mod tests {
    use super::super::cpu::Cpu;
    use super::*;

    #[test]
    fn a_measurement_is_shown_with_what_went_wrong() {
        let mut tally = Tally::new();
        let answer = |status| super::super::wire::Answer { status, body: b"why" };
        tally.answered(&answer(201), 1, Duration::from_micros(1_500), true);
        tally.answered(&answer(503), 1, Duration::from_micros(1), true);
        let measured = Measured {
            workload: "posts",
            servers: 1,
            connections: 4,
            batch: 1,
            rate: None,
            accounts: 10,
            duration: Duration::from_millis(500),
            tally,
            used: Used {
                cpu: Cpu([("generator".to_owned(), Duration::from_millis(125))].into()),
                journal: Some(4_242),
            },
        };
        let json = measured.as_json();
        assert_eq!(json["transactionsPerSecond"], 2);
        assert_eq!(json["latencyMicroseconds"]["p99"], 1_500);
        assert_eq!(json["statuses"], json!({"201": 1, "503": 1}));
        let text = as_text(&[measured]);
        for part in [
            "posts",
            "1.50",
            "25%",
            "4242",
            "generator CPU",
            "1 answers were 503",
            "why",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
