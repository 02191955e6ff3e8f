//! The metrics of deliveries.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use prometheus::{GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};
use shared_actors::metrics;

use super::queries::Backlog;

/// In seconds: from an event without delay to one that waited for a long outage.
const DELAY_BUCKETS_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

static NOTIFICATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Attempts to send a notification, by outcome: sent, retried, dead_letter.";
    metrics::counters("notifications_total", help, &["channel", "outcome"])
});
static DELAY: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time from the change of an order to its notification, in seconds.";
    metrics::histograms("notification_delay_seconds", help, &["channel"], DELAY_BUCKETS_SECONDS)
});
static PENDING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "Notifications that a channel has not sent yet, counted up to 10,000.";
    metrics::gauges("notifications_pending", help, &["channel"])
});
static OLDEST_PENDING: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "Age of the oldest notification that a channel has not sent yet, in seconds.";
    metrics::float_gauges("notification_oldest_pending_seconds", help, &["channel"])
});

/// Counts the attempts of one channel.
#[derive(Clone)]
pub(super) struct DeliveryMetrics {
    sent: IntCounter,
    retried: IntCounter,
    dead_letter: IntCounter,
    delay: Histogram,
}

impl DeliveryMetrics {
    /// Creates the metrics of `channel`. They are served from now on, starting at 0.
    pub fn new(channel: &str) -> Self {
        let outcome = |outcome| NOTIFICATIONS.with_label_values(&[channel, outcome]);
        Self {
            sent: outcome("sent"),
            retried: outcome("retried"),
            dead_letter: outcome("dead_letter"),
            delay: DELAY.with_label_values(&[channel]),
        }
    }

    /// Counts the notification of an event that happened at `occurred_at`, by the clock of the
    /// database.
    pub fn sent(&self, occurred_at: DateTime<Utc>) {
        self.sent.inc();
        // If clocks differ, it may seem to have been sent before the event.
        self.delay.observe((Utc::now() - occurred_at).as_seconds_f64().max(0.0));
    }

    pub fn retried(&self) {
        self.retried.inc();
    }

    pub fn dead_letters(&self, count: u64) {
        self.dead_letter.inc_by(count);
    }
}

/// Shows the backlog of `channels`. A channel without a row has none.
pub(super) fn show_backlog<'a>(channels: impl Iterator<Item = &'a str>, backlog: &[Backlog]) {
    for channel in channels {
        let of_channel = backlog.iter().find(|backlog| backlog.channel == channel);
        let (pending, oldest) =
            of_channel.map_or((0, 0.0), |found| (found.pending, found.oldest_seconds));
        PENDING.with_label_values(&[channel]).set(pending);
        OLDEST_PENDING.with_label_values(&[channel]).set(oldest);
    }
}
