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

/// When a statement over a pool of this process was last abandoned.
static LAST_ABANDONED: Mutex<Option<Instant>> = Mutex::new(None);

static REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| metrics::counters("db_requests_total", "Requests to the database.", &["category"]));
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time until the database answered, in seconds.";
    metrics::latencies("db_request_duration_seconds", help, &["category", "status"])
});

/// Counts and times one request to the database under `category`, such as `reserve` or `insert_orders`, and waits
/// for it 2 s longer than [`STATEMENT_TIMEOUT`]. A caller may wait less: a request that is dropped counts as failed.
///
/// # Errors
/// Those of `request`; an `Io` error, an outage, when there was no answer in time: the outcome is unknown then.
pub async fn observe<T, E: From<sqlx::Error>>(
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    observe_on(Connection::OfPool, category, request).await
}

/// The same for a request over a connection that belongs to no pool and goes with it when it is abandoned.
///
/// # Errors
/// Those of [`observe`].
pub async fn observe_alone<T, E: From<sqlx::Error>>(
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    observe_on(Connection::Own, category, request).await
}

/// Whose connection a request goes over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    OfPool,
    Own,
}

async fn observe_on<T, E: From<sqlx::Error>>(
    connection: Connection,
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = detail_span!(
        "statement",
        otel.name = category,
        otel.kind = "client",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        db.system.name = "postgresql",
        db.query.summary = category,
    );
    let result =
        answered_within(ANSWER_TIMEOUT, connection, category, request).instrument(span.clone()).await;
    if result.is_err() {
        telemetry::failed(&span, "statement failed");
    }
    result
}

async fn answered_within<T, E: From<sqlx::Error>>(
    limit: Duration,
    connection: Connection,
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut request = Box::pin(request);
    // Dropped before the request, whoever drops both: what it notes is known when the connection is released.
    let waiting = Waiting { connection, category, since: Instant::now(), answered: false };
    let Ok(result) = tokio::time::timeout(limit, &mut request).await else {
        return Err(no_answer().into());
    };
    waiting.answered(if result.is_ok() { "ok" } else { "error" });
    result
}

/// A request that is under way. Dropped without an answer, it was abandoned.
struct Waiting {
    connection: Connection,
    category: &'static str,
    since: Instant,
    answered: bool,
}

impl Waiting {
    fn answered(mut self, status: &str) {
        self.answered = true;
        self.count(status);
    }

    fn count(&self, status: &str) {
        REQUESTS.with_label_values(&[self.category]).inc();
        DURATION.with_label_values(&[self.category, status]).observe(self.since.elapsed().as_secs_f64());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if self.connection == Connection::OfPool {
            *LAST_ABANDONED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        self.count("error");
    }
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
    use dev::testing::{Database, Servers, create_database, eventually};
    use sqlx::PgPool;

    use super::*;
    use crate::database::{DatabaseError, PoolSettings, pool};
    use crate::settings::{Reader, ShardDefaults, ShardSettings};

    async fn pool_of_one(database: &str) -> (Database, PgPool) {
        let database = create_database(&Servers::from_env().postgres_0, database).await;
        let defaults = ShardDefaults { primaries: &[], replicas: &[], name: "" };
        let shards = ShardSettings::read(&mut Reader::from_pairs(database.master_env(0)), &defaults);
        let pool = pool(&shards[0].primary, &PoolSettings::new("test").with_max_connections(1));
        (database, pool)
    }

    #[actix_rt::test]
    async fn a_statement_without_an_answer_is_an_outage_and_its_connection_is_closed() {
        let (_database, pool) = pool_of_one("observe").await;
        observe("test", sqlx::query("SELECT 1").execute(&pool)).await.unwrap();
        assert_eq!(pool.size(), 1);

        let silent = sqlx::query("SELECT pg_sleep(60)").execute(&pool);
        let error = answered_within(Duration::from_millis(100), Connection::OfPool, "test", silent)
            .await
            .unwrap_err();
        assert!(matches!(DatabaseError::from(error), DatabaseError::Unavailable(_)));
        let soon = Duration::from_secs(5);
        eventually(soon, "the connection is closed", async || pool.size() == 0).await;
        observe("test", sqlx::query("SELECT 1").execute(&pool)).await.unwrap();
    }

    #[actix_rt::test]
    async fn a_statement_that_its_caller_drops_counts_as_failed_and_its_connection_is_closed() {
        let (_database, pool) = pool_of_one("dropped").await;
        let silent = observe("dropped", sqlx::query("SELECT pg_sleep(60)").execute(&pool));
        tokio::time::timeout(Duration::from_millis(500), silent).await.unwrap_err();
        assert_eq!(DURATION.with_label_values(&["dropped", "error"]).get_sample_count(), 1);
        let soon = Duration::from_secs(5);
        eventually(soon, "the connection is closed", async || pool.size() == 0).await;
    }

    #[actix_rt::test]
    async fn connections_that_answer_stay_while_another_one_is_abandoned() {
        let (_database, pool) = pool_of_one("neighbour").await;
        let backend = async || {
            let query = sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()");
            observe("neighbour", query.fetch_one(&pool)).await.unwrap()
        };
        let before = backend().await;
        let silent = observe("neighbour", futures::future::pending::<Result<(), sqlx::Error>>());
        tokio::time::timeout(Duration::from_millis(1), silent).await.unwrap_err();
        assert!(abandoned_just_now());
        assert_eq!([backend().await, backend().await], [before, before]);
    }
}
