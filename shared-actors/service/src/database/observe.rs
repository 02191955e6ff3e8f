//! The wrapper around every statement: its metrics, and the time after which it is given up.

use std::io;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use prometheus::{HistogramVec, IntCounterVec};
use shared_actors::trace;
use shared_actors::{deadline, detail_span, metrics};
use tracing::{Instrument, field};

use super::STATEMENT_TIMEOUT;

/// A working server has ended the statement by then. Without this limit, a server that does not
/// answer would never be noticed.
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(2));

/// How long a statement is waited for at least, whatever the deadline. Giving up closes its
/// connection, and impatient clients must not cost the server one login per request.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters("db_requests_total", "Requests to the database.", &["category"])
});
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time until the database answered, in seconds.";
    metrics::latencies("db_request_duration_seconds", help, &["category", "status"])
});

/// Counts and times one database request under `category`, such as `reserve` or `insert_orders`.
/// The request is given up at the deadline of the current task. It always gets at least 2 s,
/// and at most 2 s more than [`STATEMENT_TIMEOUT`]. A caller may wait less: a request that is
/// dropped counts as failed.
///
/// # Errors
/// The error of `request`. If there is no answer in time, an `Io` error, which is classified as an
/// outage. The outcome is unknown then.
pub async fn observe<T, E: From<sqlx::Error>>(
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
    let limit = deadline::within(ANSWER_TIMEOUT).max(tokio::time::Instant::now() + LEAST_PATIENCE);
    let result = answered_by(limit, category, request).instrument(span.clone()).await;
    if result.is_err() {
        trace::failed(&span, "statement failed");
    }
    result
}

async fn answered_by<T, E: From<sqlx::Error>>(
    limit: tokio::time::Instant,
    category: &'static str,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let waiting = Waiting { category, since: Instant::now(), answered: false };
    let Ok(result) = tokio::time::timeout_at(limit, request).await else {
        return Err(no_answer().into());
    };
    waiting.answered(if result.is_ok() { "ok" } else { "error" });
    result
}

/// A request in progress. If it is dropped without an answer, it counts as failed.
struct Waiting {
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
        DURATION
            .with_label_values(&[self.category, status])
            .observe(self.since.elapsed().as_secs_f64());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.count("error");
        }
    }
}

pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer from the database in time"))
}

#[cfg(test)]
mod tests {
    use dev::testing::{Database, Servers, create_database, eventually};
    use tokio::time::Instant as Moment;

    use super::*;
    use crate::database::{DatabaseError, Pool, PoolSettings};
    use crate::settings::{Reader, ShardDefaults, ShardSettings};

    async fn pool_of_one(database: &str) -> (Database, Pool) {
        let database = create_database(&Servers::from_env().postgres_0, database).await;
        let defaults = ShardDefaults { primaries: &[], replicas: &[], name: "", prefix: "" };
        let shards =
            ShardSettings::read(&mut Reader::from_pairs(database.master_env(0)), &defaults);
        let pool =
            Pool::new(&shards[0].primary, &PoolSettings::new("test").with_max_connections(1));
        (database, pool)
    }

    async fn backend(pool: &Pool) -> i32 {
        let query = sqlx::query_scalar("SELECT pg_backend_pid()");
        observe("backend", query.fetch_one(pool)).await.unwrap()
    }

    #[actix_rt::test]
    async fn a_statement_without_an_answer_is_an_outage_and_its_connection_is_replaced() {
        let (_database, pool) = pool_of_one("observe").await;
        let before = backend(&pool).await;
        let silent = sqlx::query("SELECT pg_sleep(60)").execute(&pool);
        let limit = Moment::now() + Duration::from_millis(100);
        let error = answered_by(limit, "test", silent).await.unwrap_err();
        assert!(matches!(DatabaseError::from(error), DatabaseError::Unavailable(_)));
        assert_ne!(backend(&pool).await, before);
    }

    #[actix_rt::test]
    async fn a_statement_is_given_up_at_the_deadline_though_not_within_its_first_second() {
        let (_database, pool) = pool_of_one("deadline").await;
        let silent = sqlx::query("SELECT pg_sleep(60)").execute(&pool);
        let asked = Moment::now();
        let error = deadline::scope(asked, observe("impatient", silent)).await.unwrap_err();
        assert!(matches!(DatabaseError::from(error), DatabaseError::Unavailable(_)));
        assert!(asked.elapsed() >= LEAST_PATIENCE);
        assert!(asked.elapsed() < STATEMENT_TIMEOUT);
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
    async fn a_transaction_that_is_dropped_is_rolled_back_and_its_connection_used_again() {
        let (_database, pool) = pool_of_one("rollback").await;
        sqlx::query("CREATE TABLE counted (id int)").execute(&pool).await.unwrap();
        let before = backend(&pool).await;
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO counted VALUES (1)").execute(&mut transaction).await.unwrap();
        drop(transaction);
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM counted").fetch_one(&pool).await.unwrap();
        assert_eq!((count, backend(&pool).await), (0, before));
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO counted VALUES (1)").execute(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM counted").fetch_one(&pool).await.unwrap();
        assert_eq!(count, 1);
    }

    #[actix_rt::test]
    async fn a_statement_that_fails_costs_no_connection() {
        let (_database, pool) = pool_of_one("failing").await;
        let before = backend(&pool).await;
        sqlx::query("SELECT 1 / 0").execute(&pool).await.unwrap_err();
        assert_eq!(backend(&pool).await, before);
    }
}
