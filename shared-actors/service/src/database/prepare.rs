//! The startup of a database: waits for the server, creates the database and migrates it, or waits
//! until another process has done so.

use std::pin::pin;
use std::time::Duration;

use shared_actors::health::Component;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::Instant;

use super::at_work::{Backend, while_at_work};
use super::error::{is_deadlock, is_outage, is_refused_login};
use super::observe::no_answer;
use super::owner::{self, Owner};
use super::{STATEMENT_TIMEOUT, connect_options};
use crate::settings::DatabaseSettings;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const INVALID_CATALOG_NAME: &str = "3D000";
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How long a migration waits for a lock: the lock that lets one process migrate at a time, or that
/// of a table in use. Later statements on the same table queue behind the migration, so it gives up
/// soon and retries.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// A migration that takes longer than this is reported.
const SLOW: Duration = Duration::from_secs(5);

/// How long [`migrate_now`] retries while a lock is in its way.
const MIGRATE_WITHIN: Duration = Duration::from_mins(1);

/// Who brings the schema up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrations {
    /// This process, under a lock that lets one process migrate at a time. It also creates the
    /// database.
    Apply,
    /// Another process: wait until it has done so.
    Await,
}

/// A failure that waiting cannot fix.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A migration fails, or one that was applied has changed since.
    #[error("database {database} cannot be migrated: {reason}")]
    Migration {
        /// The database, as `host:port/name`.
        database: String,
        /// What went wrong.
        reason: MigrateError,
    },
    /// Another program uses the database. Nothing in it was changed.
    #[error(
        "database {database} belongs to another program: it contains {contents}. Nothing in it was changed. Check \
         DATABASE_MASTER_HOST_PORT_k and DATABASE_MASTER_NAME_k, or use an empty database"
    )]
    Foreign {
        /// The database, as `host:port/name`.
        database: String,
        /// What the database contains.
        contents: String,
    },
}

/// Waits, with backoff, until the database exists and has the schema of every one of `migrators`,
/// then marks `component` ready. Until then, the component reports what is missing. A migration may
/// take as long as the server works on it. The number of attempts is unlimited.
///
/// Migrations that a newer version has applied are left alone: each version works with the schema
/// of the next one. If several migrators share a database, each needs its own table name.
///
/// # Errors
/// A migration fails, or the database belongs to another program. An outage during a migration is
/// not an error: `prepare` waits until it is over.
pub async fn prepare(
    settings: &DatabaseSettings,
    migrators: &[&Migrator],
    migrations: Migrations,
    component: &Component,
) -> Result<(), PrepareError> {
    let mut wait = FIRST_WAIT;
    let mut last_reason = String::new();
    loop {
        let mut attempt = pin!(async {
            match migrations {
                Migrations::Apply => apply(settings, migrators).await,
                Migrations::Await => check(settings, migrators).await,
            }
        });
        let attempt = if let Ok(attempt) = tokio::time::timeout(SLOW, &mut attempt).await {
            attempt
        } else {
            // Reports the shard as failing, so that the other shards do not wait for it.
            component
                .waiting("a migration is taking long, or the server stopped responding during it");
            attempt.await
        };
        let (reason, is_refusal) = match attempt {
            Ok(()) => {
                component.ready();
                return Ok(());
            }
            Err(Failure::Transient(reason)) => (reason, false),
            Err(Failure::Refused(reason)) => (reason, true),
            Err(Failure::Final(error)) => {
                component.waiting(error.to_string());
                return Err(error);
            }
        };
        if reason != last_reason {
            let database = describe(settings);
            if is_refusal {
                tracing::error!(%database, %reason, "the database refuses the login: check user and password");
            } else {
                tracing::warn!(%database, %reason, "waiting for the database");
            }
            component.waiting(reason.as_str());
            last_reason = reason;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Creates and migrates a database, for `<binary> migrate`. Retries for a minute while another
/// process is migrating or a table is locked, and logs that.
///
/// # Errors
/// Why the migration failed, as a message for people.
pub async fn migrate_now(
    settings: &DatabaseSettings,
    migrators: &[&Migrator],
) -> Result<(), String> {
    let give_up = Instant::now() + MIGRATE_WITHIN;
    loop {
        match apply(settings, migrators).await {
            Ok(()) => return Ok(()),
            Err(Failure::Transient(reason)) if reason == LOCKED && Instant::now() < give_up => {
                tracing::warn!(database = %describe(settings), %reason, "waiting for the database");
            }
            Err(Failure::Transient(reason) | Failure::Refused(reason)) => {
                return Err(format!("database {}: {reason}", describe(settings)));
            }
            Err(Failure::Final(error)) => return Err(error.to_string()),
        }
        tokio::time::sleep(LOCK_TIMEOUT).await;
    }
}

enum Failure {
    Transient(String),
    /// The server refuses the login.
    Refused(String),
    Final(PrepareError),
}

const LOCKED: &str =
    "another process is migrating, or a session has locked a table that a migration changes";

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if is_refused_login(&error) {
            return Self::Refused(reason(&error));
        }
        if code_of(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) {
            return Self::Transient(LOCKED.to_owned());
        }
        Self::Transient(reason(&error))
    }
}

async fn apply(settings: &DatabaseSettings, migrators: &[&Migrator]) -> Result<(), Failure> {
    let options = connect_options(settings, "migrations").options([
        ("lock_timeout", LOCK_TIMEOUT.as_millis().to_string()),
        // The server ends a session whose client is gone without a word, and its locks with it.
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ]);
    let mut connection = match connect(&options).await {
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some(INVALID_CATALOG_NAME) =>
        {
            create(settings, &options).await?;
            connect(&options).await?
        }
        other => other?,
    };
    for migrator in migrators {
        if let Owner::SomebodyElse(contents) = soon(owner::of(&mut connection, migrator)).await? {
            let database = describe(settings);
            return Err(Failure::Final(PrepareError::Foreign { database, contents }));
        }
        // The migrator takes a lock against the migrators of other processes. The connection does
        // not come from a pool: closing it releases the lock after a failure, too, and no statement
        // timeout applies.
        let run = beside_newer(migrator);
        let backend = soon(Backend::of(&mut connection)).await?;
        let run = while_at_work(settings, &backend, run.run_direct(None, &mut connection, false));
        run.await?.map_err(|error| classify(settings, error))?;
    }
    soon(connection.close()).await.map_err(Failure::from)
}

/// Waits for the answer to a short statement. Without the timeout, a dead connection would block it
/// forever.
async fn soon<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(STATEMENT_TIMEOUT, statement).await.unwrap_or_else(|_| Err(no_answer()))
}

/// The same migrations, for a database that may also have migrations of a newer version.
fn beside_newer(migrator: &Migrator) -> Migrator {
    Migrator {
        migrations: migrator.migrations.clone(),
        table_name: migrator.table_name.clone(),
        create_schemas: migrator.create_schemas.clone(),
        ignore_missing: true,
        ..Migrator::DEFAULT
    }
}

async fn check(settings: &DatabaseSettings, migrators: &[&Migrator]) -> Result<(), Failure> {
    let mut connection = connect(&connect_options(settings, "migrations")).await?;
    for migrator in migrators {
        if let Owner::SomebodyElse(contents) = soon(owner::of(&mut connection, migrator)).await? {
            let database = describe(settings);
            return Err(Failure::Final(PrepareError::Foreign { database, contents }));
        }
        let statement = format!("SELECT version FROM {} WHERE success", migrator.table_name);
        let applied: Vec<i64> =
            soon(sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut connection)).await?;
        let missing = migrator
            .iter()
            .filter(|migration| !migration.migration_type.is_down_migration())
            .find(|migration| !applied.contains(&migration.version));
        if let Some(missing) = missing {
            return Err(Failure::Transient(format!(
                "migration {} is not applied yet",
                missing.version
            )));
        }
    }
    soon(connection.close()).await.map_err(Failure::from)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let timed_out = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(timed_out)?
}

async fn create(settings: &DatabaseSettings, options: &PgConnectOptions) -> Result<(), Failure> {
    let mut connection = connect(&options.clone().database("postgres")).await?;
    let statement = format!("CREATE DATABASE \"{}\"", settings.name.replace('"', "\"\""));
    match soon(sqlx::query(AssertSqlSafe(statement)).execute(&mut connection)).await {
        Ok(_) => tracing::info!(database = %describe(settings), "database created"),
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P04" | "23505")) =>
        {
            tracing::debug!(database = %describe(settings), "another instance is creating the database");
        }
        Err(error) => return Err(error.into()),
    }
    soon(connection.close()).await.map_err(Failure::from)
}

fn classify(settings: &DatabaseSettings, error: MigrateError) -> Failure {
    match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if is_outage(&cause) || is_deadlock(&cause) =>
        {
            cause.into()
        }
        error => {
            Failure::Final(PrepareError::Migration { database: describe(settings), reason: error })
        }
    }
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

pub(super) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(denied) if is_refused_login(error) => {
            format!("authentication failed: {}", denied.message())
        }
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

fn describe(settings: &DatabaseSettings) -> String {
    format!("{}/{}", settings.address, settings.name)
}
