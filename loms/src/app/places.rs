//! Checks at startup which shard each database is. A database is used only after that is certain.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool, PoolSettings, observe};
use service_kit::shard::{ShardIndex, ShardRouter};
use shared_actors::fits;
use shared_actors::health::Component;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::identity::{self, Seen};
use super::prepare::ShardError;
use super::queries;
use crate::settings::Settings;

const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long joining all databases as shards may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of the check over the databases of all shards.
pub(super) struct Places {
    /// Pools only for these checks: the shards' own pools are locked until the checks are done.
    pools: Vec<Pool>,
    key_ttl: Duration,
    seen: watch::Sender<Vec<Option<Seen>>>,
    joining: Mutex<()>,
}

/// The conclusion for one shard, drawn from the records of all databases seen so far.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The database is this shard.
    Taken,
    /// The database has never been used, but as many shards as are configured hold orders.
    Lost { known: i32 },
    /// A shard is new, and not all databases have answered.
    Waits,
    /// A shard is new, and all databases have answered.
    Joins,
}

impl Places {
    pub fn new(settings: &Settings) -> Self {
        let limits = PoolSettings::new("loms start").with_max_connections(1);
        let pools: Vec<Pool> =
            settings.shards.iter().map(|shard| Pool::new(&shard.primary, &limits)).collect();
        let seen = watch::Sender::new(vec![None; pools.len()]);
        Self { pools, key_ttl: settings.key_ttl, seen, joining: Mutex::default() }
    }

    /// Waits until the database of `shard` is known to be that shard, or claims it as a new one.
    /// Returns the earlier layouts that may still have keys.
    ///
    /// # Errors
    /// The database belongs to another shard, or the settings contradict the recorded shards.
    pub async fn take(
        &self,
        shard: ShardIndex,
        component: &Component,
    ) -> Result<Vec<ShardRouter>, ShardError> {
        let pool = &self.pools[shard.index()];
        let mut changes = self.seen.subscribe();
        let mut seemed_lost = false;
        loop {
            let seen =
                until_answered(shard, component, async || identity::look(pool).await).await?;
            self.seen.send_modify(|all| all[shard.index()] = Some(seen));
            let place = place(shard, &changes.borrow_and_update())?;
            match place {
                Place::Taken => break,
                // Another instance may have claimed it between the two queries, so ask once more.
                Place::Lost { .. } if !seemed_lost => seemed_lost = true,
                Place::Lost { known } => return Err(ShardError::ShardLost { shard, known }),
                Place::Joins => self.join(component).await?,
                Place::Waits => {
                    component.starting(
                        "a shard is new: waiting until the databases of all shards answer",
                    );
                    // The sender lives as long as `self`, so this cannot fail.
                    let _ = changes.changed().await;
                }
            }
        }
        let layouts = async || queries::former_layouts(pool, self.key_ttl).await;
        let former = until_answered(shard, component, layouts).await?;
        pool.close().await;
        Ok(former)
    }

    /// Joins all databases together, unless another shard's task already did.
    async fn join(&self, component: &Component) -> Result<(), ShardError> {
        let _joining = self.joining.lock().await;
        if self.seen.borrow().iter().flatten().any(|seen| is_complete(seen.known, self.pools.len()))
        {
            return Ok(());
        }
        let joined = timeout(JOIN_TIMEOUT, identity::join(&self.pools)).await;
        let Ok(joined) = joined else {
            component.waiting("a database stopped answering while the shards were joined");
            return Ok(());
        };
        match joined {
            Ok(()) => {
                let known = fits(self.pools.len());
                self.seen.send_modify(|all| {
                    for (number, seen) in (0..).zip(all) {
                        *seen = Some(Seen { known, identity: Some(number) });
                    }
                });
                Ok(())
            }
            Err(ShardError::Unusable { source, .. }) if source.is_transient() => {
                component.waiting(source.to_string());
                tokio::time::sleep(RETRY_AFTER).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_complete(known: i32, configured: usize) -> bool {
    usize::try_from(known).is_ok_and(|known| known == configured)
}

/// Decides the place of `shard` from the records seen so far.
///
/// # Errors
/// The records contradict the settings.
fn place(shard: ShardIndex, seen: &[Option<Seen>]) -> Result<Place, ShardError> {
    let known = seen.iter().flatten().map(|seen| seen.known).max().unwrap_or_default();
    identity::none_is_missing(known, seen.len())?;
    let Some(own) = seen[shard.index()] else { return Ok(Place::Waits) };
    if let Some(found) = own.identity {
        identity::is_shard(shard, found)?;
    }
    if is_complete(known, seen.len()) {
        return Ok(if own.identity.is_some() { Place::Taken } else { Place::Lost { known } });
    }
    Ok(if seen.iter().all(Option::is_some) { Place::Joins } else { Place::Waits })
}

/// Retries until the database answers. Fails if a retry cannot help.
async fn until_answered<T>(
    shard: ShardIndex,
    component: &Component,
    ask: impl AsyncFn() -> Result<T, sqlx::Error>,
) -> Result<T, ShardError> {
    loop {
        match observe("shard_place", ask()).await.map_err(DatabaseError::from) {
            Ok(answer) => return Ok(answer),
            Err(source) if source.is_transient() => component.waiting(source.to_string()),
            Err(source) => return Err(ShardError::Unusable { shard, source }),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(known: i32, identity: Option<i32>) -> Seen {
        Seen { known, identity }
    }

    fn place_of_1(of_0: impl Into<Option<Seen>>, of_1: Seen) -> Result<Place, String> {
        place(ShardIndex::new(1), &[of_0.into(), Some(of_1)]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_that_is_known_needs_no_other() {
        assert_eq!(place_of_1(None, seen(2, Some(1))), Ok(Place::Taken));
    }

    #[test]
    fn a_new_shard_needs_all_the_others() {
        assert_eq!(place_of_1(None, seen(0, None)), Ok(Place::Waits));
        assert_eq!(place_of_1(seen(1, Some(0)), seen(0, None)), Ok(Place::Joins));
        assert_eq!(place_of_1(seen(0, None), seen(0, None)), Ok(Place::Joins));
    }

    #[test]
    fn an_empty_database_is_not_taken_for_a_shard_with_orders() {
        assert_eq!(place_of_1(seen(2, Some(0)), seen(0, None)), Ok(Place::Lost { known: 2 }));
    }

    #[test]
    fn settings_that_leave_out_or_mix_up_shards_are_refused() {
        assert!(place_of_1(None, seen(3, Some(1))).unwrap_err().contains("3 shards"));
        assert!(place_of_1(None, seen(2, Some(0))).unwrap_err().contains("belongs to shard 0"));
    }
}
