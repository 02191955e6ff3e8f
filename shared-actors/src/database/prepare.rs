//! The start of a database: wait for the server, create the database, migrate; or wait until somebody did.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::connect_options;
use crate::health::Component;
use crate::settings::DatabaseSettings;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const INVALID_CATALOG_NAME: &str = "3D000";

/// Who brings the schema up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrations {
    /// This process, under a lock that lets one process at a time do it; it creates the database too.
    Apply,
    /// Somebody else: wait until they did.
    Await,
}

/// What waiting cannot mend.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A migration fails, or the database has been migrated by another version of the program.
    #[error("database {database} cannot be migrated: {reason}")]
    Migration {
        /// Which database, as `host:port/name`.
        database: String,
        /// Why.
        reason: MigrateError,
    },
}

/// Waits, with backoff, until the database is there and has the schema of every one of `migrators`, then marks
/// `component` ready. Meanwhile the component says what is missing. Waits for ever: bound it outside.
///
/// Several migrators on one database need `set_ignore_missing(true)` or a table name each.
///
/// # Errors
/// A migration that fails; an outage in the middle of one is waited for instead.
pub async fn prepare(
    settings: &DatabaseSettings,
    migrators: &[&Migrator],
    migrations: Migrations,
    component: &Component,
) -> Result<(), PrepareError> {
    let mut wait = FIRST_WAIT;
    let mut last_reason = String::new();
    loop {
        let attempt = match migrations {
            Migrations::Apply => apply(settings, migrators).await,
            Migrations::Await => check(settings, migrators).await,
        };
        let reason = match attempt {
            Ok(()) => {
                component.ready();
                return Ok(());
            }
            Err(Failure::Transient(reason)) => reason,
            Err(Failure::Final(error)) => {
                component.waiting(error.to_string());
                return Err(error);
            }
        };
        if reason != last_reason {
            tracing::warn!(database = %describe(settings), %reason, "waiting for the database");
            component.waiting(reason.as_str());
            last_reason = reason;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Creates and migrates a database once, without waiting: what `<binary> migrate` does.
///
/// # Errors
/// Why it did not happen, in words for people.
pub async fn migrate_now(settings: &DatabaseSettings, migrators: &[&Migrator]) -> Result<(), String> {
    apply(settings, migrators).await.map_err(|failure| match failure {
        Failure::Transient(reason) => format!("database {}: {reason}", describe(settings)),
        Failure::Final(error) => error.to_string(),
    })
}

enum Failure {
    Transient(String),
    Final(PrepareError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Transient(reason(&error))
    }
}

async fn apply(settings: &DatabaseSettings, migrators: &[&Migrator]) -> Result<(), Failure> {
    let options = connect_options(settings, "migrations");
    let mut connection = match connect(&options).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(INVALID_CATALOG_NAME) => {
            create(settings, &options).await?;
            connect(&options).await?
        }
        other => other?,
    };
    for migrator in migrators {
        // The migrator locks the database against the migrators of other processes; its connection is our own,
        // so that closing it gives the lock back after a failure too, and no statement timeout applies.
        migrator.run_direct(None, &mut connection, false).await.map_err(|error| classify(settings, error))?;
    }
    connection.close().await.map_err(Failure::from)
}

async fn check(settings: &DatabaseSettings, migrators: &[&Migrator]) -> Result<(), Failure> {
    let mut connection = connect(&connect_options(settings, "migrations")).await?;
    for migrator in migrators {
        let statement = format!("SELECT version FROM {} WHERE success", migrator.table_name);
        let applied: Vec<i64> =
            sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut connection).await?;
        let missing = migrator
            .iter()
            .filter(|migration| !migration.migration_type.is_down_migration())
            .find(|migration| !applied.contains(&migration.version));
        if let Some(missing) = missing {
            return Err(Failure::Transient(format!("migration {} is not applied yet", missing.version)));
        }
    }
    connection.close().await.map_err(Failure::from)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let timed_out = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(timed_out)?
}

async fn create(settings: &DatabaseSettings, options: &PgConnectOptions) -> Result<(), Failure> {
    let mut connection = connect(&options.clone().database("postgres")).await?;
    let statement = format!("CREATE DATABASE \"{}\"", settings.name.replace('"', "\"\""));
    match sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await {
        Ok(_) => tracing::info!(database = %describe(settings), "database created"),
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {
            tracing::debug!(database = %describe(settings), "another instance creates the database");
        }
        Err(error) => return Err(error.into()),
    }
    connection.close().await.map_err(Failure::from)
}

fn classify(settings: &DatabaseSettings, error: MigrateError) -> Failure {
    match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if super::error::is_outage(cause) || super::error::is_deadlock(cause) =>
        {
            Failure::Transient(reason(cause))
        }
        _ => Failure::Final(PrepareError::Migration { database: describe(settings), reason: error }),
    }
}

pub(super) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

fn describe(settings: &DatabaseSettings) -> String {
    format!("{}/{}", settings.address, settings.name)
}
