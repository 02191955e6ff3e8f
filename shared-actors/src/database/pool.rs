//! Bounded pools of connections.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use super::observe::{abandoned_just_now, no_answer};
use crate::settings::DatabaseSettings;

/// How long a statement may run before the server ends it.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that rested longer is asked whether it lives before it is used again; asking one that was
/// just used would cost a round trip for every statement.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// How long a connection is waited for that may be the one of an abandoned statement.
const ROLLBACK_WITHIN: Duration = Duration::from_millis(500);

/// Limits of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// What `PostgreSQL` shows as the client's name.
    pub application_name: String,
    /// The most connections.
    pub max_connections: u32,
    /// How long a statement may wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may run, though never longer than [`STATEMENT_TIMEOUT`], before the server ends it.
    pub statement_timeout: Duration,
    /// How long a transaction may idle before the server ends it. As long does a process that stands still keep others
    /// from the rows that it has locked.
    pub transaction_idle_timeout: Duration,
}

impl PoolSettings {
    /// Eight connections, 3 s to get one, 10 s a statement, 3 s between two of a transaction.
    pub fn new(application_name: impl Into<String>) -> Self {
        Self {
            application_name: application_name.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: STATEMENT_TIMEOUT,
            transaction_idle_timeout: Duration::from_secs(3),
        }
    }

    /// The same with another size.
    #[must_use]
    pub fn with_max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }
}

/// Where and as whom to connect. Statements are logged by nobody: they are timed where they are made.
pub fn connect_options(settings: &DatabaseSettings, application_name: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&settings.address.host)
        .port(settings.address.port)
        .username(&settings.user)
        .password(settings.password.expose())
        .database(&settings.name)
        .application_name(application_name)
        .disable_statement_logging()
}

/// A pool that connects when it is first used, so that it can be made before its server is up. To be called
/// on a runtime.
///
/// ```
/// use shared_actors::database::{PoolSettings, pool};
/// use shared_actors::settings::{Reader, ShardDefaults, ShardSettings};
///
/// # actix_rt::System::new().block_on(async {
/// let defaults = ShardDefaults { primaries: &["localhost:5432"], replicas: &[], name: "cart" };
/// let shards = ShardSettings::read(&mut Reader::from_env(), &defaults);
/// let pool = pool(&shards[0].primary, &PoolSettings::new("cart"));
/// assert_eq!(pool.size(), 0);
/// # });
/// ```
pub fn pool(settings: &DatabaseSettings, limits: &PoolSettings) -> PgPool {
    let options = connect_options(settings, &limits.application_name).options([
        ("statement_timeout", limits.statement_timeout.min(STATEMENT_TIMEOUT).as_millis().to_string()),
        ("idle_in_transaction_session_timeout", limits.transaction_idle_timeout.as_millis().to_string()),
    ]);
    PgPoolOptions::new()
        .max_connections(limits.max_connections)
        .acquire_timeout(limits.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE { connection.ping().await.map(|()| true) } else { Ok(true) }
            })
        })
        // The pool asks a released connection whether it lives, however long that takes, and so would keep one whose
        // server is silent; one whose BEGIN was abandoned may be within a transaction that nobody ends.
        .after_release(|connection, _| {
            Box::pin(
                async move { if abandoned_just_now() { rolled_back(connection).await } else { Ok(true) } },
            )
        })
        .connect_lazy_with(options)
}

/// Ends what an abandoned statement may have begun; where nothing is open, `BEGIN` keeps the server from warning of that. A connection that does not answer soon is closed by the error.
async fn rolled_back(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let rollback = tokio::time::timeout(ROLLBACK_WITHIN, connection.execute("BEGIN; ROLLBACK"));
    rollback.await.map_err(|_| no_answer())?.map(|_| true)
}
