//! Records in each database which shard it is and how many shards there are, and checks the
//! settings against that.

use service_kit::database::{DatabaseError, Pool};
use service_kit::shard::ShardIndex;

use super::prepare::ShardError;
use super::queries;

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
        identities.push(queries::identity(pool).await.map_err(unusable(shard))?);
    }
    check(known, &identities)?;
    for (shard, pool) in shards() {
        let found = queries::claim(pool, shard).await.map_err(unusable(shard))?;
        is_shard(shard, found)?;
    }
    for (shard, pool) in shards() {
        queries::remember(pool, pools.len()).await.map_err(unusable(shard))?;
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
    let known = queries::known(pool).await?;
    // Read after the number of shards: a concurrent instance records that number only after it has
    // claimed all databases.
    let identity = queries::identity(pool).await?;
    Ok(Seen { known, identity })
}

/// The number of shards that orders have been written to, over all databases.
async fn known(pools: &[Pool]) -> Result<i32, ShardError> {
    let mut known = 0;
    for (shard, pool) in (0..).map(ShardIndex::new).zip(pools) {
        known = known.max(queries::known(pool).await.map_err(unusable(shard))?);
    }
    Ok(known)
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
    if found == i32::from(wanted.get()) {
        Ok(())
    } else {
        Err(ShardError::WrongShard { wanted, found })
    }
}

fn unusable(shard: ShardIndex) -> impl FnOnce(sqlx::Error) -> ShardError {
    move |error| ShardError::Unusable { shard, source: DatabaseError::from(error) }
}
