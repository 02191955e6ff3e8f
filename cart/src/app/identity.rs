//! Which shard a database is. A cart is found by its user's hash modulo the number of shards: under another number or
//! in another order, every cart would seem empty. Such a start is refused.

use std::time::Duration;

use shared_actors::database::connect_options;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;
use tracing::warn;

const RETRY: Duration = Duration::from_secs(1);
const CLAIM: &str = "insert into shard_identity (shard, shards) values ($1, $2) on conflict do nothing";
const READ: &str = "select shard, shards from shard_identity";

/// Makes the database shard `shard` of `shards`, or checks that it is. Waits while the server is away.
///
/// # Errors
/// What the database is instead.
pub async fn claim(database: &DatabaseSettings, shard: ShardIndex, shards: u16) -> Result<(), String> {
    let found = loop {
        match exchange(database, shard, shards).await {
            Ok(found) => break found,
            Err(error) => warn!(%error, "waiting for the database to say which shard it is"),
        }
        sleep(RETRY).await;
    };
    let wanted = (i32::from(shard.get()), i32::from(shards));
    if found == wanted {
        return Ok(());
    }
    let (address, name) = (&database.address, &database.name);
    Err(format!(
        "the database {address}/{name} holds the carts of shard {} of {}, but the settings make it shard {shard} of \
         {shards}: its carts would be lost from sight",
        found.0, found.1
    ))
}

async fn exchange(
    database: &DatabaseSettings,
    shard: ShardIndex,
    shards: u16,
) -> Result<(i32, i32), sqlx::Error> {
    let mut connection = connect_options(database, "cart").connect().await?;
    let claim = sqlx::query(CLAIM).bind(i32::from(shard.get())).bind(i32::from(shards));
    claim.execute(&mut connection).await?;
    let found = sqlx::query_as(READ).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}
