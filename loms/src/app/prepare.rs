//! The start of a shard: wait for its database, migrate it, and see that it is the shard it is taken for.

use std::time::Duration;

use shared_actors::database::{self, DatabaseError, Migrations, PoolSettings, PrepareError};
use shared_actors::health::Component;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::{ORDER_ID_STEP, ShardIndex};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};
use thiserror::Error;

/// The table of the migrations of the stock, which stand in one database with those of the orders.
const STOCK_MIGRATIONS: &str = "_sqlx_migrations_stock";
const RETRY_AFTER: Duration = Duration::from_millis(500);

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
    /// A statement fails for good.
    #[error("shard {shard} cannot be used: {source}")]
    Unusable {
        /// The shard.
        shard: ShardIndex,
        /// Why.
        source: DatabaseError,
    },
}

/// Brings shard `index` up to date, and takes it for this number.
pub(super) async fn prepare(
    index: ShardIndex,
    settings: &DatabaseSettings,
    pool: &PgPool,
    migrations: Migrations,
    components: &ShardComponents,
) -> Result<(), ShardError> {
    let migrators = migrators(index);
    let migrators: Vec<&Migrator> = migrators.iter().collect();
    database::prepare(settings, &migrators, migrations, &components.database).await?;
    loop {
        match claim(pool, index).await {
            Ok(found) if found == i32::from(index.get()) => break,
            Ok(found) => return Err(ShardError::WrongShard { wanted: index, found }),
            Err(error) => match DatabaseError::from(error) {
                source @ DatabaseError::Internal(_) => {
                    return Err(ShardError::Unusable { shard: index, source });
                }
                transient => components.identity.waiting(transient.to_string()),
            },
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    components.identity.ready();
    Ok(())
}

/// What health tells of a shard.
#[derive(Clone)]
pub(super) struct ShardComponents {
    /// Whether the server answers.
    pub database: Component,
    /// Whether the database is known to be the shard it is taken for.
    pub identity: Component,
}

/// Brings shard `index` up to date once, without waiting, and takes the database for this number.
pub(super) async fn migrate(index: ShardIndex, settings: &DatabaseSettings) -> Result<(), String> {
    let migrators = migrators(index);
    database::migrate_now(settings, &migrators.iter().collect::<Vec<_>>()).await?;
    let pool = database::pool(settings, &PoolSettings::new("migrations").with_max_connections(1));
    let found = claim(&pool, index).await.map_err(|error| format!("shard {index}: {error}"))?;
    pool.close().await;
    if found == i32::from(index.get()) {
        Ok(())
    } else {
        Err(ShardError::WrongShard { wanted: index, found }.to_string())
    }
}

fn migrators(index: ShardIndex) -> Vec<Migrator> {
    let mut migrators = vec![sqlx::migrate!("../migrations/loms")];
    if index == STOCK_SHARD {
        let mut stock = sqlx::migrate!("../migrations/loms-stock");
        stock.dangerous_set_table_name(STOCK_MIGRATIONS);
        migrators.push(stock);
    }
    migrators
}

/// The shard where the stock stands.
pub(crate) const STOCK_SHARD: ShardIndex = ShardIndex::new(0);

const IDENTITY: &str = "SELECT shard FROM shard_identity";

/// The number that the database was first used by, which is `index` when nobody used it before.
async fn claim(pool: &PgPool, index: ShardIndex) -> Result<i32, sqlx::Error> {
    if let Some(shard) = sqlx::query_scalar(IDENTITY).fetch_optional(pool).await? {
        return Ok(shard);
    }
    let mut transaction = pool.begin().await?;
    sqlx::query("LOCK TABLE shard_identity IN EXCLUSIVE MODE").execute(&mut *transaction).await?;
    if let Some(shard) = sqlx::query_scalar(IDENTITY).fetch_optional(&mut *transaction).await? {
        return Ok(shard);
    }
    let sequence =
        format!("CREATE SEQUENCE order_id_seq START {} INCREMENT {ORDER_ID_STEP}", index.first_order_id());
    sqlx::query(AssertSqlSafe(sequence)).execute(&mut *transaction).await?;
    let number = i32::from(index.get());
    sqlx::query("INSERT INTO shard_identity (shard) VALUES ($1)")
        .bind(number)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(number)
}
