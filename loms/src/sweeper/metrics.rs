//! Metrics of the sweepers.

use std::sync::LazyLock;

use prometheus::IntCounterVec;
use shared_actors::metrics;

static SWEPT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Repairs by sweepers: payment, settlement, reservation or key.";
    metrics::counters_by(
        "swept_total",
        help,
        "kind",
        &["payment", "settlement", "reservation", "key"],
    )
});

/// Registers the counters, so that they are exported as 0.
pub(super) fn begin() {
    LazyLock::force(&SWEPT);
}

/// Counts repairs.
pub(super) fn swept(kind: &str, count: usize) {
    SWEPT.with_label_values(&[kind]).inc_by(count as u64);
}
