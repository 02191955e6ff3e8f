//! How much there was to put right.

use std::sync::LazyLock;

use prometheus::IntCounterVec;
use shared_actors::metrics;

static SWEPT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Repairs by sweepers: payment, settlement, reservation or key.";
    metrics::counters_by("swept_total", help, "kind", &["payment", "settlement", "reservation", "key"])
});

/// Serves the counters from now on, as 0.
pub(super) fn begin() {
    LazyLock::force(&SWEPT);
}

/// Counts what was put right.
pub(super) fn swept(kind: &str, count: usize) {
    SWEPT.with_label_values(&[kind]).inc_by(count as u64);
}
