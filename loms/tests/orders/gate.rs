//! Blocks writes at a point that no row lock reaches.

use std::time::Duration;

use dev::testing::eventually;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

/// While the gate is closed, every write that moves an order to one state waits. Every other
/// statement proceeds.
pub struct Gate<'a> {
    pool: &'a PgPool,
    key: i64,
    held: Transaction<'a, Postgres>,
}

impl<'a> Gate<'a> {
    /// Closes a gate in front of `state` on one shard.
    pub async fn before(state: &str, pool: &'a PgPool) -> Self {
        let key: i64 = sqlx::query_scalar("SELECT hashtext($1)::bigint & x'ffffff'::bigint")
            .bind(state)
            .fetch_one(pool)
            .await
            .unwrap();
        let mut held = pool.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(key)
            .execute(&mut *held)
            .await
            .unwrap();
        for statement in [
            format!(
                "CREATE FUNCTION wait_{state}() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock_shared({key}); RETURN NEW; END $$"
            ),
            format!(
                "CREATE TRIGGER wait_{state} BEFORE INSERT OR UPDATE OF state ON orders FOR EACH ROW
                 WHEN (NEW.state = '{state}') EXECUTE FUNCTION wait_{state}()"
            ),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(pool).await.unwrap();
        }
        Self { pool, key, held }
    }

    /// Returns when a statement waits at the gate.
    pub async fn is_reached(&self) {
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted AND objid::bigint = $1)";
        let waits = async || {
            sqlx::query_scalar::<_, bool>(waiting)
                .bind(self.key)
                .fetch_one(self.pool)
                .await
                .unwrap()
        };
        eventually(Duration::from_secs(20), "somebody waits at the gate", waits).await;
    }

    /// Lets all statements through, now and later.
    pub async fn open(self) {
        self.held.rollback().await.unwrap();
    }
}
