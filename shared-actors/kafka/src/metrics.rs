//! The metric families of Kafka's clients.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounterVec, IntGaugeVec};

use shared_actors::metrics;

/// In seconds. A transaction takes a few milliseconds, or a few seconds while a broker is starting.
const TRANSACTION_BUCKETS_SECONDS: &[f64] =
    &[0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

pub(super) struct Families {
    pub consumer_lag: IntGaugeVec,
    pub consumer_offset: IntGaugeVec,
    pub consumer_commits: IntCounterVec,
    pub consumer_rebalances: IntCounterVec,
    pub consumer_records: IntCounterVec,
    pub producer_records: IntCounterVec,
    pub transaction_duration: Histogram,
}

impl Families {
    /// Serves the counters of a producer for `topic` as 0 from now on.
    pub fn begin_publishing(&self, topic: &str) {
        for outcome in ["ok", "error"] {
            self.producer_records.with_label_values(&[topic, outcome]);
        }
    }

    /// Serves the counters of a consumer of `topic` as 0 from now on.
    pub fn begin_consuming(&self, topic: &str) {
        for (family, outcomes) in [
            (&self.consumer_commits, ["ok", "error"]),
            (&self.consumer_rebalances, ["assigned", "revoked"]),
            (&self.consumer_records, ["ok", "retried"]),
        ] {
            for outcome in outcomes {
                family.with_label_values(&[topic, outcome]);
            }
        }
    }
}

pub(super) static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let of_a_partition =
        |name: &str, help: &str| metrics::gauges(name, help, &["topic", "partition"]);
    Families {
        consumer_lag: of_a_partition(
            "kafka_consumer_lag",
            "Lag of an assigned partition, in offsets.",
        ),
        consumer_offset: of_a_partition(
            "kafka_consumer_offset",
            "All records of an assigned partition before this offset are processed.",
        ),
        consumer_commits: metrics::counters(
            "kafka_consumer_commits_total",
            "Offset commits by outcome: ok, error.",
            &["topic", "outcome"],
        ),
        consumer_rebalances: metrics::counters(
            "kafka_consumer_rebalances_total",
            "Rebalances by change: assigned, revoked.",
            &["topic", "change"],
        ),
        consumer_records: metrics::counters(
            "kafka_consumer_records_total",
            "Records processed, by outcome: ok, retried.",
            &["topic", "outcome"],
        ),
        producer_records: metrics::counters(
            "kafka_producer_records_total",
            "Records sent to Kafka, by outcome: ok, error.",
            &["topic", "outcome"],
        ),
        transaction_duration: metrics::histograms(
            "kafka_producer_transaction_duration_seconds",
            "Time from the start of a Kafka transaction to the end of its commit, in seconds.",
            &[],
            TRANSACTION_BUCKETS_SECONDS,
        )
        .with_label_values::<&str>(&[]),
    }
});
