//! What every statement goes through: its metrics, and the time after which nobody waits for it any more.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{HistogramVec, IntCounterVec};
use tracing::{Instrument, field};

use super::STATEMENT_TIMEOUT;
use crate::{detail_span, metrics, telemetry};

/// A server that lives has ended the statement by then; one that is silent would never be noticed.
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(2));

/// How long after a statement was abandoned its connection surely is released.
const RELEASED_WITHIN: Duration = Duration::from_secs(1);

/// When a statement of this process was last abandoned.
static LAST_ABANDONED: Mutex<Option<Instant>> = Mutex::new(None);

static REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| metrics::counters("db_requests_total", "Requests to the database.", &["category"]));
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time until the database answered, in seconds.";
    metrics::latencies("db_request_duration_seconds", help, &["category", "status"])
});

/// Counts and times one request to the database under `category`, such as `reserve` or `insert_orders`, and waits
/// for it 2 s longer than [`STATEMENT_TIMEOUT`].
///
/// # Errors
/// Those of `request`; an `Io` error, an outage, when there was no answer in time: the outcome is unknown then.
pub async fn observe<T, E: From<sqlx::Error>>(
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    let span = detail_span!(
        "statement",
        otel.name = category,
        otel.kind = "client",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        db.system.name = "postgresql",
        db.query.summary = category,
    );
    let result = answered_within(ANSWER_TIMEOUT, request).instrument(span.clone()).await;
    if result.is_err() {
        telemetry::failed(&span, "statement failed");
    }
    REQUESTS.with_label_values(&[category]).inc();
    let status = if result.is_ok() { "ok" } else { "error" };
    DURATION.with_label_values(&[category, status]).observe(started.elapsed().as_secs_f64());
    result
}

async fn answered_within<T, E: From<sqlx::Error>>(
    limit: Duration,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut request = Box::pin(request);
    if let Ok(result) = tokio::time::timeout(limit, &mut request).await {
        return result;
    }
    // Noted before the request goes, and with it perhaps its connection.
    *LAST_ABANDONED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    Err(no_answer().into())
}

/// Whether a connection that is released now may be one whose statement was abandoned.
pub(super) fn abandoned_just_now() -> bool {
    let last = *LAST_ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < RELEASED_WITHIN)
}

pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer from the database in time"))
}

#[cfg(test)]
mod tests {
    use dev::testing::{Servers, create_database, eventually};

    use super::*;
    use crate::database::{DatabaseError, PoolSettings, pool};
    use crate::settings::{Reader, ShardDefaults, ShardSettings};

    #[actix_rt::test]
    async fn a_statement_without_an_answer_is_an_outage_and_its_connection_is_closed() {
        let database = create_database(&Servers::from_env().postgres_0, "observe").await;
        let defaults = ShardDefaults { primaries: &[], replicas: &[], name: "" };
        let shards = ShardSettings::read(&mut Reader::from_pairs(database.master_env(0)), &defaults);
        let pool = pool(&shards[0].primary, &PoolSettings::new("test").with_max_connections(1));
        observe("test", sqlx::query("SELECT 1").execute(&pool)).await.unwrap();
        assert_eq!(pool.size(), 1);

        let silent = sqlx::query("SELECT pg_sleep(60)").execute(&pool);
        let error = answered_within(Duration::from_millis(100), silent).await.unwrap_err();
        assert!(matches!(DatabaseError::from(error), DatabaseError::Unavailable(_)));
        let soon = Duration::from_secs(5);
        eventually(soon, "the connection is closed", async || pool.size() == 0).await;
        observe("test", sqlx::query("SELECT 1").execute(&pool)).await.unwrap();
    }
}
