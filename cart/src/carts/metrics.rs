//! Metrics of carts.

use std::sync::LazyLock;

use prometheus::IntCounter;
use service_kit::database::unreadable_rows;
use shared_actors::metrics;

static STALE_WRITES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Writes that lost a race with another instance and were retried.";
    metrics::counter("cart_stale_writes_total", help)
});
static UNREADABLE: LazyLock<IntCounter> = LazyLock::new(|| unreadable_rows("carts"));

/// Serves the counters as 0 from now on.
pub(super) fn begin_counting() {
    LazyLock::force(&STALE_WRITES);
    LazyLock::force(&UNREADABLE);
}

/// Counts a write that lost a race.
pub(super) fn stale_write() {
    STALE_WRITES.inc();
}

/// Counts a cart that cannot be decoded.
pub(super) fn unreadable() {
    UNREADABLE.inc();
}
