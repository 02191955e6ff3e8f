//! The SQL of the start.

use service_kit::database::Pool;
use service_kit::shard::ShardIndex;

const CLAIM: &str =
    "INSERT INTO shard_identity (shard, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const READ: &str = "SELECT shard, shards FROM shard_identity";

/// Which shard a database is, and of how many.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct IdentityRow {
    pub shard: i32,
    pub shards: i32,
}

/// Makes the database shard `shard` of `shards` unless it is a shard already. Returns which one it is,
/// and of how many.
pub(super) async fn claim_shard(
    pool: &Pool,
    shard: ShardIndex,
    shards: u16,
) -> Result<IdentityRow, sqlx::Error> {
    let claim = sqlx::query(CLAIM).bind(i32::from(shard.get())).bind(i32::from(shards));
    claim.execute(pool).await?;
    sqlx::query_as(READ).fetch_one(pool).await
}
