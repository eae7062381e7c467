//! What the controller counts, in `OpenMetrics` text (`/metrics`).
//!
//! Labels have a few fixed values each: kinds and results, never names of objects. A name of a
//! Secret is nobody's business who may read metrics, and one series per object is more than a
//! monitoring system takes.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// A kind of custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Kind {
    /// `ManifestSync`.
    ManifestSync,
    /// `SealedSecret`.
    SealedSecret,
    /// `SealingKey`.
    SealingKey,
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// It has to be tried again: a server did not answer, a conflict.
    Failed,
    /// The object is at fault and was refused; only a change of it helps.
    Refused,
    /// Done, or nothing to do.
    Succeeded,
}

/// Labels of [`Metrics::reconciles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReconcileLabels {
    /// What was reconciled.
    pub kind: Kind,
    /// How it ended.
    pub result: Outcome,
}

/// Labels of the gauges per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabels {
    /// Which kind.
    pub kind: Kind,
}

/// Labels of the counters per result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// How it ended.
    pub result: Outcome,
}

/// All metrics. Cheap to clone; clones count into the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// `waxwing_reconciles_total`: reconciliations of one object, by kind and result.
    pub reconciles: Family<ReconcileLabels, Counter>,
    /// `waxwing_unseal_duration_seconds`: opening all values of one `SealedSecret`, in memory.
    pub unseal_duration: Histogram,
    /// `waxwing_secrets_written_total`: Secrets created or changed.
    pub secrets_written: Counter,
    /// `waxwing_drift_repaired_total`: objects that someone else had changed and that were put
    /// right, by the kind of resource that asks for them.
    pub drift_repaired: Family<KindLabels, Counter>,
    /// `waxwing_sync_passes_total`: passes of a `ManifestSync`, by result.
    pub sync_passes: Family<ResultLabels, Counter>,
    /// `waxwing_sync_duration_seconds`: one pass of a `ManifestSync`.
    pub sync_duration: Histogram,
    /// `waxwing_objects`: objects of a kind that the controller knows.
    pub objects: Family<KindLabels, Gauge<i64, AtomicI64>>,
    /// `waxwing_failing`: how many of them are not ready.
    pub failing: Family<KindLabels, Gauge<i64, AtomicI64>>,
    /// `waxwing_keys_opened_total`: values opened, over all keys.
    pub values_opened: Counter<u64, AtomicU64>,
}

impl Metrics {
    /// Makes all metrics and registers them, with build information, in a registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            // 50 µs to 1.6 s: ten values take well under a millisecond.
            unseal_duration: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            secrets_written: Counter::default(),
            drift_repaired: Family::default(),
            sync_passes: Family::default(),
            // 10 ms to 5 min.
            sync_duration: Histogram::new(exponential_buckets(0.01, 2.0, 16)),
            objects: Family::default(),
            failing: Family::default(),
            values_opened: Counter::default(),
        };
        let ours = registry.sub_registry_with_prefix("waxwing");
        ours.register(
            "build",
            "Version of this controller",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        ours.register(
            "reconciles",
            "Reconciliations of one object, by kind and result",
            metrics.reconciles.clone(),
        );
        ours.register_with_unit(
            "unseal_duration",
            "Opening all values of one SealedSecret in memory",
            Unit::Seconds,
            metrics.unseal_duration.clone(),
        );
        ours.register(
            "secrets_written",
            "Secrets created or changed",
            metrics.secrets_written.clone(),
        );
        ours.register(
            "drift_repaired",
            "Objects changed by someone else and put right, by the kind that asks for them",
            metrics.drift_repaired.clone(),
        );
        ours.register(
            "sync_passes",
            "Passes of a ManifestSync, by result",
            metrics.sync_passes.clone(),
        );
        ours.register_with_unit(
            "sync_duration",
            "One pass of a ManifestSync",
            Unit::Seconds,
            metrics.sync_duration.clone(),
        );
        ours.register(
            "objects",
            "Objects of a kind that the controller knows",
            metrics.objects.clone(),
        );
        ours.register(
            "failing",
            "Objects of a kind that are not ready",
            metrics.failing.clone(),
        );
        ours.register(
            "values_opened",
            "Sealed values opened",
            metrics.values_opened.clone(),
        );
        metrics
    }

    /// Counts one reconciliation.
    pub fn reconciled(&self, kind: Kind, result: Outcome) {
        self.reconciles
            .get_or_create(&ReconcileLabels { kind, result })
            .inc();
    }

    /// Counts one pass of a `ManifestSync` and how long it took.
    pub fn sync_pass(&self, result: Outcome, duration: Duration) {
        self.sync_passes
            .get_or_create(&ResultLabels { result })
            .inc();
        self.sync_duration.observe(duration.as_secs_f64());
    }

    /// Counts the opening of one `SealedSecret`.
    pub fn unsealed(&self, values: u64, duration: Duration) {
        self.values_opened.inc_by(values);
        self.unseal_duration.observe(duration.as_secs_f64());
    }

    /// Counts one object that was put right.
    pub fn drift_repaired(&self, kind: Kind) {
        self.drift_repaired
            .get_or_create(&KindLabels { kind })
            .inc();
    }

    /// Sets how many objects of a kind there are, and how many of them are not ready.
    pub fn population(&self, kind: Kind, objects: usize, failing: usize) {
        let labels = KindLabels { kind };
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.objects.get_or_create(&labels).set(gauge(objects));
        self.failing.get_or_create(&labels).set(gauge(failing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counted_is_in_the_text() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.reconciled(Kind::SealedSecret, Outcome::Refused);
        metrics.sync_pass(Outcome::Succeeded, Duration::from_millis(20));
        metrics.unsealed(3, Duration::from_micros(400));
        metrics.secrets_written.inc();
        metrics.drift_repaired(Kind::SealedSecret);
        metrics.population(Kind::ManifestSync, 7, 2);

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        for line in [
            "waxwing_reconciles_total{kind=\"SealedSecret\",result=\"Refused\"} 1",
            "waxwing_sync_passes_total{result=\"Succeeded\"} 1",
            "waxwing_sync_duration_seconds_count 1",
            "waxwing_unseal_duration_seconds_count 1",
            "waxwing_values_opened_total 3",
            "waxwing_secrets_written_total 1",
            "waxwing_drift_repaired_total{kind=\"SealedSecret\"} 1",
            "waxwing_objects{kind=\"ManifestSync\"} 7",
            "waxwing_failing{kind=\"ManifestSync\"} 2",
            concat!(
                "waxwing_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
