//! Counts rows that cannot be decoded.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};
use shared_actors::metrics;

static UNREADABLE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Rows that were read and could not be decoded.";
    metrics::counters("rows_unreadable_total", help, &["table"])
});

/// The counter of a table's rows that were read and could not be decoded. It is served from now on.
pub fn unreadable_rows(table: &str) -> IntCounter {
    UNREADABLE.with_label_values(&[table])
}
