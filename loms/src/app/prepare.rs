//! The start of the shards: wait for their databases, migrate them, and see that each is the shard it is taken for.

use shared_actors::database::{self, DatabaseError, Migrations, Pool, PoolSettings, PrepareError};
use shared_actors::health::Component;
use shared_actors::shard::{ShardIndex, ShardRouter};
use sqlx::migrate::Migrator;
use thiserror::Error;

use super::identity;
use super::places::Places;
use super::shards::Shard;
use crate::settings::Settings;

/// The table of the migrations of the stock, which stand in one database with those of the orders.
const STOCK_MIGRATIONS: &str = "_sqlx_migrations_stock";

/// Why a shard can never be used as it is.
#[derive(Debug, Error)]
pub enum ShardError {
    /// It cannot be migrated.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It is another shard.
    #[error(
        "the database of shard {wanted} belongs to shard {found}: check the order of DATABASE_MASTER_HOST_PORT_k"
    )]
    WrongShard {
        /// The number by which it is configured.
        wanted: ShardIndex,
        /// The number that it was first used by.
        found: i32,
    },
    /// The settings leave out shards that hold orders.
    #[error(
        "the orders stand on {known} shards and the settings name {configured}: those of the others would be lost from \
         sight; name a database by DATABASE_MASTER_HOST_PORT_k for each k below {known}"
    )]
    ShardsMissing {
        /// On how many shards orders have been written.
        known: i32,
        /// How many are configured.
        configured: usize,
    },
    /// A database was never a shard, and its number was one.
    #[error(
        "the database of shard {shard} was never used and the orders stand on {known} shards: check its address and its \
         name, or restore its backup"
    )]
    ShardLost {
        /// Whose orders are not there.
        shard: ShardIndex,
        /// On how many shards orders have been written.
        known: i32,
    },
    /// A statement fails for good.
    #[error("shard {shard} cannot be used: {source}")]
    Unusable {
        /// The shard.
        shard: ShardIndex,
        /// Why.
        source: DatabaseError,
    },
}

/// Waits for the database of `shard`, brings it up to date, and sees that it is the shard it is taken for.
///
/// Shards are prepared side by side, and one that is away keeps no other from being used. Only when a shard is new do all
/// have to be there: none is taken before all have been read.
pub(super) async fn prepare(
    shard: &Shard,
    places: &Places,
    migrations: Migrations,
) -> Result<Vec<ShardRouter>, ShardError> {
    let prepared = async |migrator: &Migrator| {
        database::prepare(&shard.settings.primary, &[migrator], migrations, &shard.components.database).await
    };
    prepared(&orders_migrator()).await?;
    let former = places.take(shard.index, &shard.components.identity).await?;
    if shard.index == STOCK_SHARD {
        // Only now is it known where the stock belongs.
        prepared(&stock_migrator()).await?;
    }
    Ok(former)
}

/// What health tells of a shard.
#[derive(Clone)]
pub(super) struct ShardComponents {
    /// Whether the server answers.
    pub database: Component,
    /// Whether the database is known to be the shard it is taken for.
    pub identity: Component,
}

/// Brings the databases of all shards up to date once, without waiting.
///
/// # Errors
/// Why one could not be, in words for people.
pub async fn migrate(settings: &Settings) -> Result<(), String> {
    let limits = PoolSettings::new("migrations").with_max_connections(1);
    let mut pools = Vec::new();
    for shard in &settings.shards {
        database::migrate_now(&shard.primary, &[&orders_migrator()]).await?;
        pools.push(Pool::new(&shard.primary, &limits));
    }
    let joined = identity::join(&pools).await.map_err(|error| error.to_string());
    for pool in pools {
        pool.close().await;
    }
    joined?;
    database::migrate_now(&settings.shards[STOCK_SHARD.index()].primary, &[&stock_migrator()]).await
}

fn orders_migrator() -> Migrator {
    sqlx::migrate!("../migrations/loms")
}

fn stock_migrator() -> Migrator {
    let mut stock = sqlx::migrate!("../migrations/loms-stock");
    stock.dangerous_set_table_name(STOCK_MIGRATIONS);
    stock
}

/// The shard where the stock stands.
pub(crate) const STOCK_SHARD: ShardIndex = ShardIndex::new(0);
