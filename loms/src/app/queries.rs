//! The SQL of the start: which shard a database is, and how many there were.

use std::time::Duration;

use service_kit::database::Pool;
use service_kit::shard::{ShardIndex, ShardRouter};
use shared_actors::fits;
use sqlx::AssertSqlSafe;

use crate::domain::OrderId;

/// The largest number of shards that this database has been part of, or 0.
const KNOWN: &str = "SELECT coalesce(max(shards), 0) FROM shard_layouts";
/// The shard number that the database was first used with. No row if it was never a shard.
const IDENTITY: &str = "SELECT shard FROM shard_identity";
const REMEMBER: &str = "
INSERT INTO shard_layouts (shards) SELECT $1 WHERE $1 > (SELECT coalesce(max(shards), 0) FROM shard_layouts)
ON CONFLICT DO NOTHING";
const FORMER: &str = "
SELECT shards FROM (
    SELECT shards, lead(first_used) OVER (ORDER BY shards) AS ended FROM shard_layouts
) AS layout WHERE ended > now() - $1";

/// The largest number of shards that this database has been part of, or 0.
pub(super) async fn known(pool: &Pool) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(KNOWN).fetch_one(pool).await
}

/// The shard number that the database was first used with, if any.
pub(super) async fn identity(pool: &Pool) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(IDENTITY).fetch_optional(pool).await
}

/// Records that the database is one of `shards`.
///
/// # Panics
/// Panics if there are more shards than [`ShardRouter::MAX_SHARDS`].
pub(super) async fn remember(pool: &Pool, shards: usize) -> Result<(), sqlx::Error> {
    assert!(shards <= usize::from(ShardRouter::MAX_SHARDS), "{shards} shards");
    sqlx::query(REMEMBER).bind(fits::<usize, i32>(shards)).execute(pool).await.map(drop)
}

/// The earlier layouts that may still have keys younger than `key_ttl`, according to one database.
pub(super) async fn former_layouts(
    pool: &Pool,
    key_ttl: Duration,
) -> Result<Vec<ShardRouter>, sqlx::Error> {
    let former: Vec<i32> = sqlx::query_scalar(FORMER).bind(key_ttl).fetch_all(pool).await?;
    Ok(former
        .into_iter()
        .filter_map(|shards| ShardRouter::new(u16::try_from(shards).ok()?))
        .collect())
}

/// Makes the database this shard unless it already is a shard. Returns which shard it is.
pub(super) async fn claim(pool: &Pool, shard: ShardIndex) -> Result<i32, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("LOCK TABLE shard_identity IN EXCLUSIVE MODE").execute(&mut transaction).await?;
    let taken = sqlx::query_scalar(IDENTITY);
    if let Some(taken) = taken.fetch_optional(&mut transaction).await? {
        return Ok(taken);
    }
    let (number, first) = (i32::from(shard.get()), OrderId::first(shard));
    let sequence =
        format!("CREATE SEQUENCE order_id_seq START {first} INCREMENT {}", OrderId::STEP);
    sqlx::query(AssertSqlSafe(sequence)).execute(&mut transaction).await?;
    let insert = sqlx::query("INSERT INTO shard_identity (shard) VALUES ($1)").bind(number);
    insert.execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(number)
}
