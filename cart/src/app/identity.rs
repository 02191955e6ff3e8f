//! Checks which shard a database is. The hash of the user, modulo the number of shards, selects a
//! cart's shard. With another number or order of shards, or with an empty database in the place of
//! a shard, carts would seem empty, so cart refuses to start.

use service_kit::database::{DatabaseError, JoinError, Place, Pool, ShardRecords};
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use thiserror::Error;

use super::queries::{self, IdentityRow};
use crate::Settings;

/// Why a database cannot be used as it is configured.
#[derive(Debug, Error)]
pub(crate) enum IdentityError {
    /// It holds the carts of another shard, or was one of more or fewer shards.
    #[error(
        "the database {database} holds the carts of shard {found} of {found_of}, but the settings make it shard \
         {shard} of {shards}: its carts would not be found"
    )]
    WrongShard { database: String, shard: ShardIndex, shards: u16, found: i32, found_of: i32 },
    /// It was never used, although the other databases hold carts.
    #[error(
        "the database {database} of shard {shard} was never used, but the databases of the other shards were: check \
         its address and name, or restore its backup"
    )]
    Lost { database: String, shard: ShardIndex },
    /// A statement failed, and a retry would not help.
    #[error("the database {database} cannot be used: {source}")]
    Unusable { database: String, source: DatabaseError },
}

/// The records of the shards of carts, in the order of the settings.
pub(super) struct CartShards(pub Vec<DatabaseSettings>);

impl CartShards {
    fn shards(&self) -> u16 {
        shared_actors::fits(self.0.len())
    }

    fn database(&self, shard: ShardIndex) -> String {
        let DatabaseSettings { address, name, .. } = &self.0[shard.index()];
        format!("{address}/{name}")
    }

    fn check(&self, shard: ShardIndex, found: IdentityRow) -> Result<(), IdentityError> {
        let wanted = (i32::from(shard.get()), i32::from(self.shards()));
        if (found.shard, found.shards) == wanted {
            return Ok(());
        }
        Err(IdentityError::WrongShard {
            database: self.database(shard),
            shard,
            shards: self.shards(),
            found: found.shard,
            found_of: found.shards,
        })
    }
}

/// Whether a database that says it is `found` is shard `shard` of the settings.
pub(crate) fn check_identity(
    settings: &Settings,
    shard: ShardIndex,
    found: IdentityRow,
) -> Result<(), IdentityError> {
    let databases = settings.shards.iter().map(|shard| shard.primary.clone());
    CartShards(databases.collect()).check(shard, found)
}

impl ShardRecords for CartShards {
    type Seen = Option<IdentityRow>;
    type Error = IdentityError;

    async fn look(&self, pool: &Pool) -> Result<Self::Seen, sqlx::Error> {
        queries::identity(pool).await
    }

    fn place(
        &self,
        shard: ShardIndex,
        seen: &[Option<Self::Seen>],
    ) -> Result<Place<IdentityError>, IdentityError> {
        let Some(own) = seen[shard.index()] else { return Ok(Place::Waits) };
        if let Some(found) = own {
            self.check(shard, found)?;
        }
        if seen.iter().flatten().flatten().any(|row| row.complete) {
            return Ok(match own {
                None => Place::Lost(IdentityError::Lost { database: self.database(shard), shard }),
                Some(IdentityRow { complete: false, .. }) => Place::Confirms,
                Some(_) => Place::Taken,
            });
        }
        Ok(if seen.iter().all(Option::is_some) { Place::Joins } else { Place::Waits })
    }

    /// Claims all databases first, and then records in each that all are claimed. If the process
    /// dies in between, the next start continues.
    async fn join(&self, pools: &[Pool]) -> Result<Vec<Self::Seen>, JoinError<IdentityError>> {
        let failed = |shard| move |error| JoinError::Database(shard, DatabaseError::from(error));
        let shards = || (0..).map(ShardIndex::new).zip(pools);
        // All are checked before any is claimed: settings that are refused leave no trace.
        for (shard, pool) in shards() {
            let found = queries::identity(pool).await.map_err(failed(shard))?;
            found.map_or(Ok(()), |found| self.check(shard, found))?;
        }
        let mut claimed = Vec::with_capacity(pools.len());
        for (shard, pool) in shards() {
            let found = queries::claim(pool, shard, self.shards()).await.map_err(failed(shard))?;
            self.check(shard, found)?;
            claimed.push(Some(IdentityRow { complete: true, ..found }));
        }
        for (shard, pool) in shards() {
            queries::complete(pool).await.map_err(failed(shard))?;
        }
        Ok(claimed)
    }

    async fn confirm(&self, pool: &Pool, _shards: usize) -> Result<(), sqlx::Error> {
        queries::complete(pool).await
    }

    fn unusable(&self, shard: ShardIndex, source: DatabaseError) -> IdentityError {
        IdentityError::Unusable { database: self.database(shard), source }
    }
}

#[cfg(test)]
mod tests {
    use service_kit::settings::Reader;

    use super::*;

    fn shards() -> CartShards {
        let settings = crate::Settings::read(Reader::from_pairs(Vec::<(String, String)>::new()));
        CartShards(settings.unwrap().shards.into_iter().map(|shard| shard.primary).collect())
    }

    type Seen = <CartShards as ShardRecords>::Seen;

    fn row(shard: i32, shards: i32, complete: bool) -> IdentityRow {
        IdentityRow { shard, shards, complete }
    }

    /// The place of shard 1 of 2.
    fn place(of_0: Option<Seen>, of_1: Seen) -> String {
        match shards().place(ShardIndex::new(1), &[of_0, Some(of_1)]) {
            Ok(Place::Lost(error)) | Err(error) => error.to_string(),
            Ok(place) => format!("{place:?}"),
        }
    }

    #[test]
    fn a_shard_that_is_known_needs_no_other() {
        assert_eq!(place(None, Some(row(1, 2, true))), "Taken");
    }

    #[test]
    fn a_new_shard_needs_all_the_others() {
        assert_eq!(place(None, None), "Waits");
        assert_eq!(place(None, Some(row(1, 2, false))), "Waits");
        assert_eq!(place(Some(None), None), "Joins");
        assert_eq!(place(Some(None), Some(row(1, 2, false))), "Joins");
        assert_eq!(place(Some(Some(row(0, 2, false))), None), "Joins");
    }

    #[test]
    fn a_shard_that_was_claimed_with_all_others_records_so_itself() {
        assert_eq!(place(Some(Some(row(0, 2, true))), Some(row(1, 2, false))), "Confirms");
    }

    #[test]
    fn an_empty_database_is_not_taken_for_a_shard_with_carts() {
        assert!(place(Some(Some(row(0, 2, true))), None).contains("was never used"));
    }

    #[test]
    fn settings_that_leave_out_or_mix_up_shards_are_refused() {
        assert!(place(None, Some(row(0, 2, true))).contains("holds the carts of shard 0 of 2"));
        assert!(place(None, Some(row(1, 3, true))).contains("holds the carts of shard 1 of 3"));
    }
}
