//! The metrics of notifications.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use shared_actors::metrics;

/// In seconds: from an event without delay to one that waited for a long outage.
const DELAY_BUCKETS_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0];

static NOTIFICATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Records by outcome: sent, duplicate, dead_letter, tombstone.";
    metrics::counters("notifications_total", help, &["channel", "outcome"])
});
static DELAY: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time from the change of an order to its notification, in seconds.";
    metrics::histograms("notification_delay_seconds", help, &["channel"], DELAY_BUCKETS_SECONDS)
});

/// Counts how records were handled, for one channel.
#[derive(Clone)]
pub struct NotificationMetrics {
    sent: IntCounter,
    duplicate: IntCounter,
    dead_letter: IntCounter,
    tombstone: IntCounter,
    delay: Histogram,
}

impl NotificationMetrics {
    /// The metrics of `channel`, served from now on.
    pub fn new(channel: &str) -> Self {
        let outcome = |outcome| NOTIFICATIONS.with_label_values(&[channel, outcome]);
        Self {
            sent: outcome("sent"),
            duplicate: outcome("duplicate"),
            dead_letter: outcome("dead_letter"),
            tombstone: outcome("tombstone"),
            delay: DELAY.with_label_values(&[channel]),
        }
    }

    /// Counts the notification of an event that happened at `occurred_at`, by the clock of the
    /// database.
    pub(super) fn sent(&self, occurred_at: DateTime<Utc>) {
        self.sent.inc();
        // If clocks differ, it may seem to have been sent before the event.
        self.delay.observe((Utc::now() - occurred_at).as_seconds_f64().max(0.0));
    }

    pub(super) fn duplicate(&self) {
        self.duplicate.inc();
    }

    pub(super) fn tombstone(&self) {
        self.tombstone.inc();
    }

    pub(super) fn dead_letters(&self, count: usize) {
        self.dead_letter.inc_by(count as u64);
    }
}
