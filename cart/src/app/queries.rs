//! The SQL of the start.

use service_kit::database::Pool;
use service_kit::shard::ShardIndex;

const CLAIM: &str = "insert into shard_identity (shard, shards) values ($1, $2) on conflict do nothing";
const READ: &str = "select shard, shards from shard_identity";

/// Makes the database shard `shard` of `shards` unless it is a shard already. Returns which one it is,
/// and of how many.
pub(super) async fn claim_shard(
    pool: &Pool,
    shard: ShardIndex,
    shards: u16,
) -> Result<(i32, i32), sqlx::Error> {
    let claim = sqlx::query(CLAIM).bind(i32::from(shard.get())).bind(i32::from(shards));
    claim.execute(pool).await?;
    sqlx::query_as(READ).fetch_one(pool).await
}
