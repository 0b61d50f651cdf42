//! The process itself, under the names that all programs use for this. Where there is no `/proc` there is nothing.

use std::fmt;
use std::fs;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};

/// Reads `/proc` when somebody asks.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc/self/stat` says.
struct Stat {
    cpu: Duration,
    resident_bytes: u64,
    threads: i64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(stat) = Stat::read() {
            let help = "Processor time that was used";
            let metric =
                encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(stat.cpu.as_secs_f64()).encode(metric)?;
            let bytes = i64::try_from(stat.resident_bytes).unwrap_or(i64::MAX);
            let help = "Memory that is resident";
            gauge(
                &mut encoder,
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                bytes,
            )?;
            gauge(&mut encoder, "process_threads", "Threads", None, stat.threads)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            let count = i64::try_from(files.count()).unwrap_or(i64::MAX);
            gauge(
                &mut encoder,
                "process_open_fds",
                "Files and connections that are open",
                None,
                count,
            )?;
        }
        if let Some(most) = most_files() {
            gauge(
                &mut encoder,
                "process_max_fds",
                "The most files and connections that may be open",
                None,
                most,
            )?;
        }
        Ok(())
    }
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program stands in parentheses, and may have any characters in it.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Numbered as in proc(5), where the first one behind the name is 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)?.checked_add(field(15)?)?;
        Some(Self {
            cpu: Duration::from_millis(ticks.checked_mul(1000)? / clock_ticks_per_second().max(1)),
            resident_bytes: field(24)?.checked_mul(page_size() as u64)?,
            threads: i64::try_from(field(20)?).ok()?,
        })
    }
}

/// The limit of open files; `None` where there is none.
fn most_files() -> Option<i64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: i64,
) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_has_threads() {
        let stat = Stat::read().expect("Linux has /proc");
        assert!(stat.resident_bytes > 1 << 20 && stat.threads >= 1);
        assert!(most_files().is_none_or(|most| most > 2));
    }
}
