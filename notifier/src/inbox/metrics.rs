//! The metrics of the inbox.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};
use shared_actors::metrics;

static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Records read from the topic, by outcome: new, duplicate, tombstone, dead_letter.";
    let outcomes = ["new", "duplicate", "tombstone", "dead_letter"];
    metrics::counters_by("events_received_total", help, "outcome", &outcomes)
});

/// Counts how records were handled.
#[derive(Clone)]
pub(super) struct InboxMetrics {
    pub new: IntCounter,
    pub duplicate: IntCounter,
    pub tombstone: IntCounter,
    pub dead_letter: IntCounter,
}

impl Default for InboxMetrics {
    fn default() -> Self {
        let outcome = |outcome| EVENTS.with_label_values(&[outcome]);
        Self {
            new: outcome("new"),
            duplicate: outcome("duplicate"),
            tombstone: outcome("tombstone"),
            dead_letter: outcome("dead_letter"),
        }
    }
}
