//! Bounded connection pools that replace dead connections by themselves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Object, PoolError, QueueMode};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, future::BoxFuture};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{ConnectOptions, Connection, Describe, Either, Execute, Executor, SqlStr};
use tokio::runtime::Handle;

use super::lease::{Lease, Transaction};
use super::session::Sessions;
use super::trust::Trust;
use crate::settings::DatabaseSettings;
use shared_actors::fits;

/// How long a statement may run before the server cancels it.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server has to open a session, even if statements wait less than that for one. A
/// server under load takes longer to open a session than to answer over an open one.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How often [`Pool::close`] checks whether all connections are back.
const CLOSE_CHECK: Duration = Duration::from_millis(5);

/// The statements of a service look up a few rows by an index. The server may keep a plan that it
/// made while a table was empty or small. That plan must not read the whole table later. Making the
/// same plan for each execution would cost more than some of the statements do.
const LOOKUPS: &[(&str, &str)] =
    &[("enable_seqscan", "off"), ("plan_cache_mode", "force_generic_plan")];

const LOOKUPS_BY_CUSTOM_PLANS: &[(&str, &str)] = &[("enable_seqscan", "off")];

/// Limits of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The client's name as `PostgreSQL` shows it.
    pub application_name: String,
    /// The maximum number of connections.
    pub max_connections: u32,
    /// How long a statement may wait for a connection, at most 5 s. A connection that is still
    /// being opened then serves a later statement.
    pub acquire_timeout: Duration,
    /// How long a statement may run before the server cancels it, at most [`STATEMENT_TIMEOUT`].
    pub statement_timeout: Duration,
    /// How long a transaction may be idle before the server ends it. This limits how long a process
    /// that hangs can block others with its row locks.
    pub transaction_idle_timeout: Duration,
    /// Additional settings of each session, such as `("enable_seqscan", "off")`.
    pub session: &'static [(&'static str, &'static str)],
}

impl PoolSettings {
    /// Eight connections, 5 s to get one, 10 s per statement, 3 s of idle time within a
    /// transaction, and plans that prefer an index.
    pub fn new(application_name: impl Into<String>) -> Self {
        Self {
            application_name: application_name.into(),
            max_connections: 8,
            acquire_timeout: OPEN_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
            transaction_idle_timeout: Duration::from_secs(3),
            session: LOOKUPS,
        }
    }

    /// Lets the server plan each execution for its parameters if that seems worth it. For statements
    /// whose best plan depends on a parameter, such as a limit.
    #[must_use]
    pub fn with_custom_plans(mut self) -> Self {
        self.session = LOOKUPS_BY_CUSTOM_PLANS;
        self
    }

    /// Sets the maximum number of connections.
    #[must_use]
    pub fn with_max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }
}

/// How to connect to a database. Statements are not logged, because callers time them.
pub fn connect_options(settings: &DatabaseSettings, application_name: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&settings.address.host)
        .port(settings.address.port)
        .username(&settings.user)
        .password(settings.password.expose())
        .database(&settings.name)
        .application_name(application_name)
        .disable_statement_logging();
    let Some(tls) = &settings.tls else { return options.ssl_mode(PgSslMode::Disable) };
    let options = options.ssl_mode(PgSslMode::VerifyFull);
    match &tls.ca {
        Some(ca) => options.ssl_root_cert_from_pem(ca.bytes().to_vec()),
        None => options,
    }
}

/// A pool of connections to one database. Cheap to clone. Statements run on it as on a pool of
/// sqlx: `query.fetch_all(&pool)`.
///
/// - It connects on first use, so it can be created before its server is up.
/// - A connection whose statement was abandoned is closed.
/// - A connection that takes longer to open than its statement waits is opened anyway, one at a
///   time.
/// - After one connection is lost, the others are pinged before their next use. If a ping gets no
///   answer, or the server is read-only, all connections opened before are replaced.
/// - While [`super::watch`] finds the server unreachable, new statements fail at once and running
///   ones soon.
#[derive(Clone, Debug)]
pub struct Pool {
    connections: managed::Pool<Sessions>,
    max_connections: u32,
    trust: Arc<Trust>,
    acquire_timeout: Duration,
    /// Whether a connection is being opened that no statement waits for.
    opens_unasked: Arc<AtomicBool>,
}

impl Pool {
    /// A pool without connections. Must be called on a runtime.
    ///
    /// # Panics
    /// Never in practice: the pool has a runtime for its timeouts.
    ///
    /// ```
    /// use service_kit::database::{Pool, PoolSettings};
    /// use service_kit::settings::{Reader, ShardDefaults, ShardSettings};
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let defaults =
    ///     ShardDefaults { primaries: &["localhost:5432"], replicas: &[], name: "cart", prefix: "" };
    /// let shards = ShardSettings::read(&mut Reader::from_env(), &defaults);
    /// let pool = Pool::new(&shards[0].primary, &PoolSettings::new("cart"));
    /// assert_eq!(pool.size(), 0);
    /// # });
    /// ```
    pub fn new(settings: &DatabaseSettings, limits: &PoolSettings) -> Self {
        let options = connect_options(settings, &limits.application_name).options([
            (
                "statement_timeout",
                limits.statement_timeout.min(STATEMENT_TIMEOUT).as_millis().to_string(),
            ),
            (
                "idle_in_transaction_session_timeout",
                limits.transaction_idle_timeout.as_millis().to_string(),
            ),
        ]);
        let options = options.options(limits.session.iter().copied());
        let trust = Arc::new(Trust::new());
        let sessions = Sessions { options, trust: Arc::clone(&trust) };
        let max_connections = limits.max_connections;
        let connections = managed::Pool::builder(sessions)
            .max_size(fits(max_connections))
            .wait_timeout(Some(OPEN_TIMEOUT))
            .create_timeout(Some(OPEN_TIMEOUT))
            // So few connections serve a light load, and stay warm.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build();
        #[expect(clippy::expect_used, reason = "timeouts need a runtime, and there is one")]
        let connections = connections.expect("a pool with a runtime");
        let acquire_timeout = limits.acquire_timeout;
        Self { connections, max_connections, trust, acquire_timeout, opens_unasked: Arc::default() }
    }

    /// Locks the pool: every statement fails at once until [`Self::unlock`].
    #[must_use]
    pub fn locked(self) -> Self {
        self.trust.unreachable("it is not yet known whether the database can be used");
        self
    }

    /// Unlocks the pool.
    pub fn unlock(&self) {
        self.trust.reachable();
    }

    /// Begins a transaction. Dropping it uncommitted rolls it back.
    ///
    /// # Errors
    /// No connection is available in time, or the server refuses.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        Transaction::begin(self.acquire().await?).await
    }

    /// Closes all connections, and waits for those in use to be returned.
    pub async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        for session in idle {
            // The server notices in any case.
            let _ = session.connection.close().await;
        }
        while self.size() > 0 {
            tokio::time::sleep(CLOSE_CHECK).await;
        }
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.connections.is_closed()
    }

    /// The number of connections, whether idle or in use.
    pub fn size(&self) -> u32 {
        fits(self.connections.status().size)
    }

    /// The number of idle connections.
    pub fn num_idle(&self) -> usize {
        self.connections.status().available
    }

    /// The maximum number of connections.
    pub fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// Why statements fail at once: the pool is [locked](Self::locked), or [`super::watch`] finds
    /// the server unreachable. `None` if neither is the case.
    pub fn why_unreachable(&self) -> Option<String> {
        self.trust.why_unreachable()
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    async fn acquire(&self) -> Result<Lease, sqlx::Error> {
        let acquire = async {
            let connections = self.connections.clone();
            let acquiring = Acquiring {
                connection: Some(async move { connections.get().await }.boxed()),
                opens_unasked: &self.opens_unasked,
            };
            let acquired = tokio::time::timeout(self.acquire_timeout, acquiring).await;
            match acquired {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(PoolError::Backend(error))) => Err(error),
                Ok(Err(PoolError::Closed)) => Err(sqlx::Error::PoolClosed),
                // The remaining errors are about hooks and runtimes, which are fixed.
                Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut),
            }
        };
        let connection = tokio::select! {
            biased;
            reason = self.trust.until_unreachable() => return Err(unreachable(&reason)),
            acquired = acquire => acquired.map_err(not_opened)?,
        };
        Ok(Lease::new(connection, Arc::clone(&self.trust)))
    }
}

/// The error of a statement that was never sent to the server.
fn unreachable(reason: &str) -> sqlx::Error {
    let reason = format!("the statement was not sent: {reason}");
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionRefused, reason))
}

/// The error of a statement for which no connection could be opened. Whatever the reason of the
/// server, for example that it accepts no sessions with this database, the statement is not at
/// fault.
fn not_opened(error: sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::Database(refusal) => {
            unreachable(&format!("the server refused the session: {refusal}"))
        }
        error => error,
    }
}

type Acquired = Result<Object<Sessions>, PoolError<sqlx::Error>>;

/// The wait for a connection. If a statement stops waiting, the connection is opened anyway.
/// Otherwise, a server that is slow to open sessions would never be reached.
struct Acquiring<'a> {
    /// `None` once the wait is over.
    connection: Option<BoxFuture<'static, Acquired>>,
    opens_unasked: &'a Arc<AtomicBool>,
}

impl Future for Acquiring<'_> {
    type Output = Acquired;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        let result = connection.poll_unpin(context);
        if result.is_ready() {
            self.connection = None;
        }
        result
    }
}

impl Drop for Acquiring<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        if self.opens_unasked.swap(true, Ordering::AcqRel) {
            return;
        }
        let opens_unasked = Arc::clone(self.opens_unasked);
        runtime.spawn(async move {
            // Dropping the connection returns it to the pool. An error is left to the next callers.
            drop(connection.await);
            opens_unasked.store(false, Ordering::Release);
        });
    }
}

impl<'c> Executor<'c> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let rows = async move {
            let mut lease = pool.acquire().await?;
            Ok(stream::iter(lease.fetch(query).await?).map(Ok))
        };
        rows.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        async move {
            let mut lease = pool.acquire().await?;
            lease.run(async |connection| connection.fetch_optional(query).await).await
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let pool = self.clone();
        async move {
            let mut lease = pool.acquire().await?;
            lease.run(async |connection| connection.prepare_with(sql, parameters).await).await
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let pool = self.clone();
        async move { pool.acquire().await?.run(async |connection| connection.describe(sql).await).await }
            .boxed()
    }
}
