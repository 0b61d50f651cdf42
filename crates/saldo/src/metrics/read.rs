//! What others count, read when somebody asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use service::Service;
use store::meter::Histogram;

/// The counters of a service and of its store.
pub(super) struct Counters(Arc<Service>);

impl Counters {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self(service)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let metrics = &self.0.metrics;
        let plain = [
            (
                "saldo_commands",
                "Commands that were recorded, refusals among them",
                metrics.commands.get(),
            ),
            (
                "saldo_replays",
                "Commands that were answered from their first recording",
                metrics.replays.get(),
            ),
            (
                "saldo_conflicts",
                "Commands under a key that was used with another request",
                metrics.conflicts.get(),
            ),
            (
                "saldo_store_errors",
                "Commands that the store did not take, or whose fate is not known",
                metrics.store_errors.get(),
            ),
            (
                "saldo_balances_clamped",
                "Negative balances that a wire format can't spell, shown as zero",
                metrics.balances_clamped.get(),
            ),
            (
                "saldo_balances_left_out",
                "Balances in an asset that a wire format can't name, left out",
                metrics.balances_left_out.get(),
            ),
            (
                "saldo_rate_limited",
                "Requests refused because a key asked too often",
                metrics.rate_limited.get(),
            ),
            (
                "saldo_unauthorized",
                "Requests refused for their credentials",
                metrics.unauthorized.get(),
            ),
            (
                "saldo_internal_errors",
                "Answers that hid an internal error, which the log has",
                metrics.internal_errors.get(),
            ),
            (
                "saldo_holds_expired",
                "Holds whose expiry this server recorded",
                metrics.holds_expired.get(),
            ),
        ];
        for (name, help, value) in plain {
            counter(&mut encoder, name, help, None, value)?;
        }
        let help = "Commands that the books refused, by the code of the refusal";
        let mut family = encoder.encode_descriptor("saldo_rejections", help, None, MetricType::Counter)?;
        for (code, count) in metrics.rejections() {
            let labels = [("code", code.as_str())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Commands that were handed to the store and are not answered yet";
        let gauge = ConstGauge::new(i64::try_from(metrics.in_flight.get()).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(
            "saldo_commands_in_flight",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        let help = "Time from handing commands to the store until they are durable";
        let micros = |value: u64| Duration::from_micros(value).as_secs_f64();
        histogram(
            &mut encoder,
            "saldo_commit_duration",
            help,
            Some(Unit::Seconds),
            &metrics.commits,
            micros,
        )?;
        let Some(meter) = self.0.store.meter() else {
            return Ok(());
        };
        let help = "Commands that shared a sync, or a transaction of the database";
        #[expect(clippy::cast_precision_loss, reason = "counts of commands are far below 2^53")]
        histogram(
            &mut encoder,
            "saldo_batch_commands",
            help,
            None,
            &meter.batches,
            |value| value as f64,
        )?;
        let help = "Bytes that were written to the journal";
        let bytes = meter.journal_bytes.get();
        counter(
            &mut encoder,
            "saldo_journal_written",
            help,
            Some(Unit::Bytes),
            bytes,
        )
    }
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: u64,
) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

/// Writes a histogram whose values `scale` takes to the unit.
fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    histogram: &Histogram,
    scale: impl Fn(u64) -> f64,
) -> fmt::Result {
    let bound = |bound: Option<u64>| bound.map_or(f64::MAX, &scale);
    let buckets: Vec<_> = histogram
        .buckets()
        .map(|(end, count)| (bound(end), count))
        .collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
    let no_exemplars: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
    metric.encode_histogram(scale(histogram.sum()), count, &buckets, no_exemplars)
}
