//! Prepares the shards at startup: waits for their databases, migrates them, and checks that each
//! is the configured shard.

use std::time::Duration;

use service_kit::database;
use service_kit::database::{DatabaseError, Migrations, Places, Pool, PoolSettings, PrepareError};
use service_kit::shard::{ShardIndex, ShardRouter};
use shared_actors::health::Component;
use sqlx::migrate::Migrator;
use thiserror::Error;

use super::identity::{self, OrderShards};
use super::queries;
use super::shards::Shard;
use crate::settings::Settings;

/// The migration table of the stock. The stock shares a database with orders, which have a table of
/// their own.
const STOCK_MIGRATIONS: &str = "_sqlx_migrations_stock";

/// Why a shard cannot be used, and a retry would not help.
#[derive(Debug, Error)]
pub enum ShardError {
    /// It cannot be migrated.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The database belongs to another shard.
    #[error(
        "the database of shard {wanted} belongs to shard {found}: check the order of DATABASE_MASTER_HOST_PORT_k"
    )]
    WrongShard {
        /// The shard number in the settings.
        wanted: ShardIndex,
        /// The shard number that the database was first used with.
        found: i32,
    },
    /// The settings leave out shards that hold orders.
    #[error(
        "orders are stored on {known} shards, but the settings name {configured}: the orders of the other shards would \
         not be found; set DATABASE_MASTER_HOST_PORT_k for each k below {known}"
    )]
    ShardsMissing {
        /// The number of shards that orders have been written to.
        known: i32,
        /// The number of shards in the settings.
        configured: usize,
    },
    /// The database was never used, although its shard holds orders.
    #[error(
        "the database of shard {shard} was never used, but orders are stored on {known} shards: check its address and \
         name, or restore its backup"
    )]
    ShardLost {
        /// The shard whose orders are missing.
        shard: ShardIndex,
        /// The number of shards that orders have been written to.
        known: i32,
    },
    /// A statement failed, and a retry would not help.
    #[error("shard {shard} cannot be used: {source}")]
    Unusable {
        /// The shard.
        shard: ShardIndex,
        /// The error of the database.
        source: DatabaseError,
    },
}

/// Waits for the database of `shard`, migrates it, and checks that it is that shard.
///
/// Shards are prepared concurrently, so an unreachable one does not delay the others. Only a new
/// shard has to wait for all databases: none is claimed before all have been read. Returns the
/// earlier layouts that may still have keys younger than `key_ttl`.
pub(super) async fn prepare(
    shard: &Shard,
    places: &Places<OrderShards>,
    migrations: Migrations,
    key_ttl: Duration,
) -> Result<Vec<ShardRouter>, ShardError> {
    let prepared = async |migrator: &Migrator| {
        database::prepare(
            &shard.settings.primary,
            &[migrator],
            migrations,
            &shard.components.database,
        )
        .await
    };
    prepared(&orders_migrator()).await?;
    let component = &shard.components.identity;
    places.take(shard.index, component).await?;
    let layouts = async |pool: &Pool| queries::former_layouts(pool, key_ttl).await;
    let former = places.until_answered(shard.index, component, layouts).await?;
    if shard.index == STOCK_SHARD {
        // The stock belongs to shard 0, and only now is this database known to be shard 0.
        prepared(&stock_migrator()).await?;
    }
    Ok(former)
}

/// The check of which shard each database is.
pub(super) fn places(settings: &Settings) -> Places<OrderShards> {
    let databases = settings.shards.iter().map(|shard| shard.primary.clone()).collect();
    Places::new(OrderShards, databases, "loms start")
}

/// The health components of a shard.
#[derive(Clone)]
pub(super) struct ShardComponents {
    /// Whether the server answers.
    pub database: Component,
    /// Whether the database is known to be the configured shard.
    pub identity: Component,
}

/// Migrates the databases of all shards once, without waiting for unreachable ones.
///
/// # Errors
/// The reason why a database could not be migrated or joined, as a message for people.
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

/// The shard that holds the stock.
pub(crate) const STOCK_SHARD: ShardIndex = ShardIndex::new(0);
