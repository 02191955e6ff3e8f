//! How much there was to put right.

use std::sync::LazyLock;

use prometheus::IntCounterVec;
use shared_actors::metrics;

static SWEPT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "swept_total",
        "What sweepers put right: payment, settlement or reservation.",
        &["kind"],
    )
});

/// Counts what was put right.
pub(super) fn swept(kind: &str, count: usize) {
    SWEPT.with_label_values(&[kind]).inc_by(count as u64);
}
