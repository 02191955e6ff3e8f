//! A consistent read of one database.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::time::timeout;

use super::{Check, Finding};
use crate::database::connect_options;
use crate::settings::DatabaseSettings;
use crate::shard::ShardIndex;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A full scan of a large table takes time. A server that does not answer for longer counts as
/// unreachable.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(5));

/// How long a snapshot may wait for its turn. A snapshot of a frozen process would keep the server
/// from vacuuming rows that changed since.
const IDLE_TIMEOUT: Duration = Duration::from_hours(1);

/// A database as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The shard that the database is.
    pub shard: ShardIndex,
    /// What errors call it.
    name: String,
    connection: PgConnection,
}

impl Snapshot {
    /// Connects and begins a transaction. Its first statement fixes the snapshot. `name` is what errors
    /// call the database, and `application` what the server calls the connection.
    ///
    /// # Errors
    /// The database does not accept the connection, or does not answer in time.
    pub async fn connect(
        shard: ShardIndex,
        name: String,
        application: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, ReadError> {
        let options = connect_options(settings, application).options([
            ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string().as_str()),
            ("idle_in_transaction_session_timeout", &IDLE_TIMEOUT.as_millis().to_string()),
            ("default_transaction_read_only", "on"),
        ]);
        let connection = match timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(source)) => return Err(ReadError::Failed { database: name, source }),
            Err(_) => return Err(ReadError::Silent { database: name }),
        };
        let mut snapshot = Self { shard, name, connection };
        snapshot.read(async |connection| connection.execute(BEGIN).await.map(drop)).await?;
        Ok(snapshot)
    }

    /// Runs checks one after the other.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub async fn run(&mut self, checks: Vec<Check>) -> Result<Vec<Finding>, ReadError> {
        let mut findings = Vec::with_capacity(checks.len());
        for check in checks {
            findings.push(self.read(async |connection| check.run(connection).await).await?);
        }
        Ok(findings)
    }

    /// Runs statements.
    ///
    /// # Errors
    /// `Failed` if the database reports an error. `Silent` if it does not answer in time.
    pub async fn read<T>(
        &mut self,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, ReadError> {
        let database = || self.name.clone();
        match timeout(ANSWER_TIMEOUT, statements(&mut self.connection)).await {
            Ok(result) => {
                result.map_err(|source| ReadError::Failed { database: database(), source })
            }
            Err(_) => Err(ReadError::Silent { database: database() }),
        }
    }

    /// Closes the connection in an orderly way, which ends the transaction. Dropping the connection
    /// ends it, too.
    pub async fn close(self) {
        let _ = timeout(CONNECT_TIMEOUT, self.connection.close()).await;
    }
}

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is unreachable, is not migrated, or refuses a statement.
    #[error("{database} cannot be read: {source}")]
    Failed {
        /// What it is called.
        database: String,
        /// The error of the database.
        source: sqlx::Error,
    },
    /// It did not answer in time.
    #[error("{database} cannot be read: no answer in time")]
    Silent {
        /// What it is called.
        database: String,
    },
}
