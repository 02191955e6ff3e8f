//! Whether a database is ours, still empty, or in use by another program. The latter is left alone.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, FromRow};

/// How many tables of a foreign database an error names.
const NAMED_TABLES: usize = 5;

/// All tables except those of extensions.
const TABLES: &str = "
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
ORDER BY relname";

/// The prefix of every migrator's table name.
const MIGRATIONS: &str = "_sqlx_migrations";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The database is empty, or this program has migrated it.
    Us,
    /// Another program uses the database. The text describes its contents.
    SomebodyElse(String),
}

#[derive(FromRow)]
struct FirstMigration {
    version: i64,
    description: String,
}

/// Determines the owner of the database, before anything in it is changed.
pub(super) async fn of(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<Owner, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await?;
    if tables.iter().any(|table| *table == migrator.table_name) {
        return of_migrations(connection, migrator).await;
    }
    // Another of our migrators may have run here before.
    if tables.is_empty() || tables.iter().any(|table| table.starts_with(MIGRATIONS)) {
        return Ok(Owner::Us);
    }
    let named: Vec<&str> = tables.iter().take(NAMED_TABLES).map(String::as_str).collect();
    let more = if tables.len() > NAMED_TABLES { ", …" } else { "" };
    Ok(Owner::SomebodyElse(format!("the tables {}{more}", named.join(", "))))
}

/// Compares the first migration, which has a different name in each program.
async fn of_migrations(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<Owner, sqlx::Error> {
    let statement = format!(
        "SELECT version, description FROM {} ORDER BY version LIMIT 1",
        migrator.table_name
    );
    let first: Option<FirstMigration> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_optional(connection).await?;
    let own = migrator
        .iter()
        .find(|own| first.as_ref().is_some_and(|first| first.version == own.version));
    Ok(match (first, own) {
        (Some(first), Some(own)) if own.description != first.description => {
            Owner::SomebodyElse(format!(
                "the schema of another program, whose first migration is {:?}",
                first.description
            ))
        }
        _ => Owner::Us,
    })
}
