//! Records in each database which shard it is and how many shards there are, and checks the
//! settings against that.

use std::time::Duration;

use shared_actors::database::{DatabaseError, Pool};
use shared_actors::shard::{ORDER_ID_STEP, ShardIndex, ShardRouter};
use sqlx::AssertSqlSafe;

use super::prepare::ShardError;

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

/// Checks that each database is the shard it is configured as. Databases that were never a shard
/// become that shard.
///
/// No database is claimed before all have been read, and the number of shards is recorded only
/// after all are claimed. Refused settings therefore do not prevent a later start with the right
/// ones.
///
/// # Errors
/// A database belongs to another shard or lost its orders, shards are missing from the settings, or
/// a statement failed.
pub(super) async fn join(pools: &[Pool]) -> Result<(), ShardError> {
    let shards = || (0..).map(ShardIndex::new).zip(pools);
    let known = known(pools).await?;
    // Read after the number of shards: a concurrent instance records that number only after it has
    // claimed all databases.
    let mut identities = Vec::with_capacity(pools.len());
    for (shard, pool) in shards() {
        let query = sqlx::query_scalar(IDENTITY).fetch_optional(pool);
        identities.push(query.await.map_err(unusable(shard))?);
    }
    check(known, &identities)?;
    for (shard, pool) in shards() {
        let found = claim(pool, shard).await.map_err(unusable(shard))?;
        is_shard(shard, found)?;
    }
    for (shard, pool) in shards() {
        let remember = sqlx::query(REMEMBER).bind(i32::try_from(pools.len()).unwrap_or(i32::MAX));
        remember.execute(pool).await.map_err(unusable(shard))?;
    }
    // Another instance may have recorded a larger number in the meantime.
    none_is_missing(self::known(pools).await?, pools.len())
}

/// The records of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The number of shards that orders have been written to.
    pub known: i32,
    /// The shard number that the database was first used with.
    pub identity: Option<i32>,
}

/// Reads the records of one database.
pub(super) async fn look(pool: &Pool) -> Result<Seen, sqlx::Error> {
    let known = sqlx::query_scalar(KNOWN).fetch_one(pool).await?;
    // Read after the number of shards: a concurrent instance records that number only after it has
    // claimed all databases.
    let identity = sqlx::query_scalar(IDENTITY).fetch_optional(pool).await?;
    Ok(Seen { known, identity })
}

/// The number of shards that orders have been written to, over all databases.
async fn known(pools: &[Pool]) -> Result<i32, ShardError> {
    let mut known = 0;
    for (shard, pool) in (0..).map(ShardIndex::new).zip(pools) {
        let query = sqlx::query_scalar(KNOWN).fetch_one(pool);
        known = known.max(query.await.map_err(unusable(shard))?);
    }
    Ok(known)
}

/// The earlier layouts that may still have keys younger than `key_ttl`, according to one database.
pub(super) async fn former_layouts(pool: &Pool, key_ttl: Duration) -> Result<Vec<ShardRouter>, sqlx::Error> {
    let former: Vec<i32> = sqlx::query_scalar(FORMER).bind(key_ttl).fetch_all(pool).await?;
    Ok(former.into_iter().filter_map(|shards| ShardRouter::new(u16::try_from(shards).ok()?)).collect())
}

/// Checks the records against the settings. `known` is the number of shards that orders have been
/// written to. `identities` has the recorded number of each configured database, if any.
pub(crate) fn check(known: i32, identities: &[Option<i32>]) -> Result<(), ShardError> {
    let shards = || (0..).map(ShardIndex::new).zip(identities.iter().copied());
    for (shard, found) in shards() {
        found.map_or(Ok(()), |found| is_shard(shard, found))?;
    }
    none_is_missing(known, identities.len())?;
    let lost = shards().find(|(shard, found)| found.is_none() && i32::from(shard.get()) < known);
    lost.map_or(Ok(()), |(shard, _)| Err(ShardError::ShardLost { shard, known }))
}

pub(super) fn none_is_missing(known: i32, configured: usize) -> Result<(), ShardError> {
    if usize::try_from(known).is_ok_and(|known| known > configured) {
        return Err(ShardError::ShardsMissing { known, configured });
    }
    Ok(())
}

pub(super) fn is_shard(wanted: ShardIndex, found: i32) -> Result<(), ShardError> {
    if found == i32::from(wanted.get()) { Ok(()) } else { Err(ShardError::WrongShard { wanted, found }) }
}

/// Makes the database this shard unless it already is a shard. Returns which shard it is.
async fn claim(pool: &Pool, shard: ShardIndex) -> Result<i32, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("LOCK TABLE shard_identity IN EXCLUSIVE MODE").execute(&mut transaction).await?;
    let taken = sqlx::query_scalar(IDENTITY);
    if let Some(taken) = taken.fetch_optional(&mut transaction).await? {
        return Ok(taken);
    }
    let (number, first) = (i32::from(shard.get()), shard.first_order_id());
    let sequence = format!("CREATE SEQUENCE order_id_seq START {first} INCREMENT {ORDER_ID_STEP}");
    sqlx::query(AssertSqlSafe(sequence)).execute(&mut transaction).await?;
    let insert = sqlx::query("INSERT INTO shard_identity (shard) VALUES ($1)").bind(number);
    insert.execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(number)
}

fn unusable(shard: ShardIndex) -> impl FnOnce(sqlx::Error) -> ShardError {
    move |error| ShardError::Unusable { shard, source: DatabaseError::from(error) }
}
