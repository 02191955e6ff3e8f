//! The metrics of statements.

use std::sync::LazyLock;
use std::time::Instant;

use prometheus::{HistogramVec, IntCounterVec};

use crate::metrics;

static REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| metrics::counters("db_requests_total", "Requests to the database.", &["category"]));
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time until the database answered, in seconds.";
    metrics::latencies("db_request_duration_seconds", help, &["category", "status"])
});

/// Counts and times one request to the database under `category`, such as `reserve` or `insert_orders`.
///
/// # Errors
/// Those of `request`.
pub async fn observe<T, E>(
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    let result = request.await;
    REQUESTS.with_label_values(&[category]).inc();
    let status = if result.is_ok() { "ok" } else { "error" };
    DURATION.with_label_values(&[category, status]).observe(started.elapsed().as_secs_f64());
    result
}
