//! The notifier's own metrics.

use std::sync::LazyLock;

use prometheus::IntCounterVec;
use shared_actors::metrics;

pub(super) static NOTIFICATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Events by what became of them: sent, duplicate, dead_letter.";
    metrics::counters("notifications_total", help, &["channel", "outcome"])
});
