//! Whose database it is: ours, nobody's yet, or somebody else's, which is left alone.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, FromRow};

/// How many tables of a foreign database are named.
const NAMED_TABLES: usize = 5;

/// Tables, but those that belong to an extension.
const TABLES: &str = "
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
ORDER BY relname";

/// The table of each migrator begins like this.
const MIGRATIONS: &str = "_sqlx_migrations";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is empty, or it has been migrated by this program.
    Us,
    /// What is in it.
    SomebodyElse(String),
}

#[derive(FromRow)]
struct FirstMigration {
    version: i64,
    description: String,
}

/// Tells whose the database is before anything in it is changed.
pub(super) async fn of(connection: &mut PgConnection, migrator: &Migrator) -> Result<Owner, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await?;
    if tables.iter().any(|table| *table == migrator.table_name) {
        return of_migrations(connection, migrator).await;
    }
    // Another migrator of ours may have been here before.
    if tables.is_empty() || tables.iter().any(|table| table.starts_with(MIGRATIONS)) {
        return Ok(Owner::Us);
    }
    let named: Vec<&str> = tables.iter().take(NAMED_TABLES).map(String::as_str).collect();
    let more = if tables.len() > NAMED_TABLES { ", …" } else { "" };
    Ok(Owner::SomebodyElse(format!("the tables {}{more}", named.join(", "))))
}

/// Each program's first migration has its own name.
async fn of_migrations(connection: &mut PgConnection, migrator: &Migrator) -> Result<Owner, sqlx::Error> {
    let statement =
        format!("SELECT version, description FROM {} ORDER BY version LIMIT 1", migrator.table_name);
    let first: Option<FirstMigration> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_optional(connection).await?;
    let own = migrator.iter().find(|own| first.as_ref().is_some_and(|first| first.version == own.version));
    Ok(match (first, own) {
        (Some(first), Some(own)) if own.description != first.description => Owner::SomebodyElse(format!(
            "the schema of another program, which begins with {:?}",
            first.description
        )),
        _ => Owner::Us,
    })
}
