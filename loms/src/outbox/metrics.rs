//! The metrics of a relay.

use std::sync::LazyLock;

use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec};
use service_kit::shard::ShardIndex;
use shared_actors::metrics;

use super::event::OrderEvent;
use crate::domain::OrderStatus;

static BACKLOG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "outbox_backlog",
        "Events that wait to be published, in the first 100,000 rows of the outbox.",
        &["shard"],
    )
});
static OLDEST_AGE: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::float_gauges(
        "outbox_oldest_age_seconds",
        "Age of the oldest waiting event, in seconds.",
        &["shard"],
    )
});
static HOLDER: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "relay_holder",
        "1 while this instance reads the shard's outbox and publishes its events.",
        &["shard"],
    )
});
static PUBLISHED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "events_published_total",
        "Events that Kafka acknowledged.",
        &["shard", "state"],
    )
});

static SET_ASIDE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Events set aside: without an order, refused by Kafka, or behind a refused one.";
    metrics::counters("events_set_aside_total", help, &["shard", "reason"])
});

/// Why an event is set aside.
#[derive(Clone, Copy)]
pub(super) enum SetAside {
    /// The order or its history is missing, or cannot be decoded.
    Unknown,
    /// Kafka refuses the event.
    Refused,
    /// An earlier event of the same order was refused.
    Held,
}

impl SetAside {
    const ALL: [Self; 3] = [Self::Unknown, Self::Refused, Self::Held];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Held => "held",
        }
    }
}

/// The metrics of one shard's relay.
pub(super) struct RelayMetrics {
    shard: String,
    pub holder: IntGauge,
    backlog: IntGauge,
    oldest_age: Gauge,
}

impl RelayMetrics {
    pub fn new(shard: ShardIndex) -> Self {
        let shard = shard.to_string();
        let labels = [shard.as_str()];
        for state in OrderStatus::ALL {
            PUBLISHED.with_label_values(&[shard.as_str(), state.as_str()]);
        }
        for reason in SetAside::ALL {
            SET_ASIDE.with_label_values(&[shard.as_str(), reason.as_str()]);
        }
        Self {
            holder: HOLDER.with_label_values(&labels),
            backlog: BACKLOG.with_label_values(&labels),
            oldest_age: OLDEST_AGE.with_label_values(&labels),
            shard,
        }
    }

    /// Resets the gauges. Another instance may hold the lease now, and then reports the backlog.
    pub fn lost(&self) {
        self.holder.set(0);
        self.waiting(0, 0.0);
    }

    pub fn waiting(&self, events: i64, oldest_age_seconds: f64) {
        self.backlog.set(events);
        self.oldest_age.set(oldest_age_seconds);
    }

    pub fn set_aside(&self, reason: SetAside, events: usize) {
        SET_ASIDE.with_label_values(&[self.shard.as_str(), reason.as_str()]).inc_by(events as u64);
    }

    pub fn published<'a>(&self, events: impl Iterator<Item = &'a OrderEvent>) {
        for event in events {
            PUBLISHED.with_label_values(&[self.shard.as_str(), event.state.as_str()]).inc();
        }
    }
}
