//! Which shard a database is. A cart is found by its user's hash modulo the number of shards: under another number or
//! in another order, every cart would seem empty. cart refuses to start then.

use std::time::Duration;

use shared_actors::database::{DatabaseError, Pool, PoolSettings, observe};
use shared_actors::health::Component;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use tokio::time::sleep;

const RETRY: Duration = Duration::from_secs(1);
const CLAIM: &str = "insert into shard_identity (shard, shards) values ($1, $2) on conflict do nothing";
const READ: &str = "select shard, shards from shard_identity";

/// Makes the database shard `shard` of `shards`, or checks that it is. Waits while the server is away, which
/// `component` tells.
///
/// # Errors
/// What the database is instead, or why a statement can never work.
pub async fn claim(
    database: &DatabaseSettings,
    shard: ShardIndex,
    shards: u16,
    component: &Component,
) -> Result<(), String> {
    let pool = Pool::new(database, &PoolSettings::new("cart start").with_max_connections(1));
    let (address, name) = (&database.address, &database.name);
    let found = loop {
        match observe("shard_identity", exchange(&pool, shard, shards)).await.map_err(DatabaseError::from) {
            Ok(found) => break found,
            Err(error) if error.is_transient() => component.waiting(error.to_string()),
            Err(error) => return Err(format!("the database {address}/{name} cannot be used: {error}")),
        }
        sleep(RETRY).await;
    };
    pool.close().await;
    let wanted = (i32::from(shard.get()), i32::from(shards));
    if found == wanted {
        return Ok(());
    }
    Err(format!(
        "the database {address}/{name} holds the carts of shard {} of {}, but the settings make it shard {shard} of \
         {shards}: its carts would be lost from sight",
        found.0, found.1
    ))
}

async fn exchange(pool: &Pool, shard: ShardIndex, shards: u16) -> Result<(i32, i32), sqlx::Error> {
    let claim = sqlx::query(CLAIM).bind(i32::from(shard.get())).bind(i32::from(shards));
    claim.execute(pool).await?;
    sqlx::query_as(READ).fetch_one(pool).await
}
