//! Records in each database which shard it is and how many shards there are, and checks the
//! settings against that.

use service_kit::database::{DatabaseError, JoinError, Place, Pool, ShardRecords};
use service_kit::shard::ShardIndex;
use shared_actors::fits;

use super::prepare::ShardError;
use super::queries;

/// The records of the shards of orders.
pub(super) struct OrderShards;

impl ShardRecords for OrderShards {
    type Seen = Seen;
    type Error = ShardError;

    async fn look(&self, pool: &Pool) -> Result<Seen, sqlx::Error> {
        let known = queries::known(pool).await?;
        // Read after the number of shards: a concurrent instance records that number only after it
        // has claimed all databases.
        let identity = queries::identity(pool).await?;
        Ok(Seen { known, identity })
    }

    fn place(
        &self,
        shard: ShardIndex,
        seen: &[Option<Seen>],
    ) -> Result<Place<ShardError>, ShardError> {
        let known = seen.iter().flatten().map(|seen| seen.known).max().unwrap_or_default();
        none_is_missing(known, seen.len())?;
        let Some(own) = seen[shard.index()] else { return Ok(Place::Waits) };
        if let Some(found) = own.identity {
            is_shard(shard, found)?;
        }
        if usize::try_from(known).is_ok_and(|known| known == seen.len()) {
            return Ok(match own.identity {
                None => Place::Lost(ShardError::ShardLost { shard, known }),
                Some(_) if own.known < known => Place::Confirms,
                Some(_) => Place::Taken,
            });
        }
        Ok(if seen.iter().all(Option::is_some) { Place::Joins } else { Place::Waits })
    }

    async fn join(&self, pools: &[Pool]) -> Result<Vec<Seen>, JoinError<ShardError>> {
        join(pools).await.map_err(|error| match error {
            ShardError::Unusable { shard, source } => JoinError::Database(shard, source),
            refused => JoinError::Refused(refused),
        })?;
        let (known, numbers) = (fits(pools.len()), 0..fits(pools.len()));
        Ok(numbers.map(|number| Seen { known, identity: Some(number) }).collect())
    }

    async fn confirm(&self, pool: &Pool, shards: usize) -> Result<(), sqlx::Error> {
        queries::remember(pool, shards).await
    }

    fn unusable(&self, shard: ShardIndex, source: DatabaseError) -> ShardError {
        ShardError::Unusable { shard, source }
    }
}

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

fn none_is_missing(known: i32, configured: usize) -> Result<(), ShardError> {
    if usize::try_from(known).is_ok_and(|known| known > configured) {
        return Err(ShardError::ShardsMissing { known, configured });
    }
    Ok(())
}

fn is_shard(wanted: ShardIndex, found: i32) -> Result<(), ShardError> {
    if found == i32::from(wanted.get()) {
        Ok(())
    } else {
        Err(ShardError::WrongShard { wanted, found })
    }
}

fn unusable(shard: ShardIndex) -> impl FnOnce(sqlx::Error) -> ShardError {
    move |error| ShardError::Unusable { shard, source: DatabaseError::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(known: i32, identity: Option<i32>) -> Seen {
        Seen { known, identity }
    }

    fn place_of_1(of_0: impl Into<Option<Seen>>, of_1: Seen) -> Result<Place<String>, String> {
        let place = OrderShards.place(ShardIndex::new(1), &[of_0.into(), Some(of_1)]);
        Ok(match place.map_err(|error| error.to_string())? {
            Place::Lost(lost) => Place::Lost(lost.to_string()),
            Place::Taken => Place::Taken,
            Place::Confirms => Place::Confirms,
            Place::Waits => Place::Waits,
            Place::Joins => Place::Joins,
        })
    }

    #[test]
    fn a_shard_that_is_known_needs_no_other() {
        assert_eq!(place_of_1(None, seen(2, Some(1))), Ok(Place::Taken));
    }

    #[test]
    fn a_shard_that_was_claimed_with_all_others_records_so_itself() {
        assert_eq!(place_of_1(seen(2, Some(0)), seen(0, Some(1))), Ok(Place::Confirms));
    }

    #[test]
    fn a_new_shard_needs_all_the_others() {
        assert_eq!(place_of_1(None, seen(0, None)), Ok(Place::Waits));
        assert_eq!(place_of_1(seen(1, Some(0)), seen(0, None)), Ok(Place::Joins));
        assert_eq!(place_of_1(seen(0, None), seen(0, None)), Ok(Place::Joins));
    }

    #[test]
    fn an_empty_database_is_not_taken_for_a_shard_with_orders() {
        let place = place_of_1(seen(2, Some(0)), seen(0, None)).unwrap();
        assert!(
            matches!(&place, Place::Lost(why) if why.contains("stored on 2 shards")),
            "{place:?}"
        );
    }

    #[test]
    fn settings_that_leave_out_or_mix_up_shards_are_refused() {
        assert!(place_of_1(None, seen(3, Some(1))).unwrap_err().contains("3 shards"));
        assert!(place_of_1(None, seen(2, Some(0))).unwrap_err().contains("belongs to shard 0"));
    }
}
