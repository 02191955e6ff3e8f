//! Checks which shard a database is. The hash of the user, modulo the number of shards, selects a
//! cart's shard. With another number or order of shards every cart would seem empty, so cart
//! refuses to start.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool, PoolSettings, observe};
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use shared_actors::health::Component;
use tokio::time::sleep;

use super::queries::{IdentityRow, claim_shard};

const RETRY: Duration = Duration::from_secs(1);
/// Marks the database as shard `shard` of `shards`, or checks that it is marked so. Waits while the
/// server is unreachable, and reports that to `component`.
///
/// # Errors
/// Which shard the database is instead, or why a statement can never succeed.
pub async fn claim(
    database: &DatabaseSettings,
    shard: ShardIndex,
    shards: u16,
    component: &Component,
) -> Result<(), String> {
    let pool = Pool::new(database, &PoolSettings::new("cart start").with_max_connections(1));
    let (address, name) = (&database.address, &database.name);
    let found = loop {
        match observe("shard_identity", claim_shard(&pool, shard, shards))
            .await
            .map_err(DatabaseError::from)
        {
            Ok(found) => break found,
            Err(error) if error.is_transient() => component.waiting(error.to_string()),
            Err(error) => {
                return Err(format!("the database {address}/{name} cannot be used: {error}"));
            }
        }
        sleep(RETRY).await;
    };
    pool.close().await;
    let wanted = IdentityRow { shard: i32::from(shard.get()), shards: i32::from(shards) };
    if found == wanted {
        return Ok(());
    }
    Err(format!(
        "the database {address}/{name} holds the carts of shard {} of {}, but the settings make it shard {shard} of \
         {shards}: its carts would not be found",
        found.shard, found.shards
    ))
}
