//! The SQL of the start.

use service_kit::database::Pool;
use service_kit::shard::ShardIndex;

const CLAIM: &str = "
INSERT INTO shard_identity (shard, shards, complete) VALUES ($1, $2, false) ON CONFLICT DO NOTHING";
const READ: &str = "SELECT shard, shards, complete FROM shard_identity";
const COMPLETE: &str = "UPDATE shard_identity SET complete = true WHERE NOT complete";

/// Which shard a database is, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct IdentityRow {
    pub shard: i32,
    pub shards: i32,
    /// Whether the databases of all shards are claimed.
    pub complete: bool,
}

/// Which shard the database is. `None` if it was never claimed.
pub(super) async fn identity(pool: &Pool) -> Result<Option<IdentityRow>, sqlx::Error> {
    sqlx::query_as(READ).fetch_optional(pool).await
}

/// Makes the database shard `shard` of `shards` unless it is a shard already. Returns which one it is,
/// and of how many.
pub(super) async fn claim(
    pool: &Pool,
    shard: ShardIndex,
    shards: u16,
) -> Result<IdentityRow, sqlx::Error> {
    let claim = sqlx::query(CLAIM).bind(i32::from(shard.get())).bind(i32::from(shards));
    claim.execute(pool).await?;
    sqlx::query_as(READ).fetch_one(pool).await
}

/// Records that the databases of all shards are claimed.
pub(super) async fn complete(pool: &Pool) -> Result<(), sqlx::Error> {
    sqlx::query(COMPLETE).execute(pool).await.map(drop)
}
