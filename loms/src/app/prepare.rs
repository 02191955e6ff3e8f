//! The start of a shard: wait for its database, migrate it, and see that it is the shard it is taken for.

use std::time::Duration;

use shared_actors::database::{self, DatabaseError, Migrations, PoolSettings, PrepareError};
use shared_actors::health::Component;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::{ORDER_ID_STEP, ShardIndex, ShardRouter};
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
    /// The settings leave out shards that hold orders.
    #[error(
        "the orders stand on {known} shards and the settings name {configured}: those of the others would be lost from \
         sight; name a database by DATABASE_MASTER_HOST_PORT_k for each k below {known}"
    )]
    ShardsMissing {
        /// On how many shards orders have been written.
        known: i32,
        /// How many are configured.
        configured: u16,
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

/// Brings shard `index` of `shards` up to date, and takes the database for this number.
pub(super) async fn prepare(
    index: ShardIndex,
    shards: u16,
    settings: &DatabaseSettings,
    pool: &PgPool,
    migrations: Migrations,
    components: &ShardComponents,
) -> Result<(), ShardError> {
    let migrators = migrators(index);
    let migrators: Vec<&Migrator> = migrators.iter().collect();
    database::prepare(settings, &migrators, migrations, &components.database).await?;
    until_answered(index, components, async || claim(pool, index, shards).await).await?.check(index, shards)
}

/// The layouts of shards that may still hold keys younger than `key_ttl`; what is on the shard of the stock, which is part of
/// every layout, tells of all.
pub(super) async fn former_layouts(
    pool: &PgPool,
    components: &ShardComponents,
    key_ttl: Duration,
) -> Result<Vec<ShardRouter>, ShardError> {
    let ask = async || sqlx::query_scalar(FORMER).bind(key_ttl).fetch_all(pool).await;
    let former: Vec<i32> = until_answered(STOCK_SHARD, components, ask).await?;
    Ok(former.into_iter().filter_map(|shards| ShardRouter::new(u16::try_from(shards).ok()?)).collect())
}

/// Asks until the database answers. Fails when asking again cannot help.
async fn until_answered<T>(
    shard: ShardIndex,
    components: &ShardComponents,
    ask: impl AsyncFn() -> Result<T, sqlx::Error>,
) -> Result<T, ShardError> {
    loop {
        match ask().await.map_err(DatabaseError::from) {
            Ok(answer) => return Ok(answer),
            Err(source @ DatabaseError::Internal(_)) => return Err(ShardError::Unusable { shard, source }),
            Err(transient) => components.identity.waiting(transient.to_string()),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// What health tells of a shard.
#[derive(Clone)]
pub(super) struct ShardComponents {
    /// Whether the server answers.
    pub database: Component,
    /// Whether the database is known to be the shard it is taken for.
    pub identity: Component,
}

/// Brings shard `index` of `shards` up to date once, without waiting, and takes the database for this number.
pub(super) async fn migrate(
    index: ShardIndex,
    shards: u16,
    settings: &DatabaseSettings,
) -> Result<(), String> {
    let migrators = migrators(index);
    database::migrate_now(settings, &migrators.iter().collect::<Vec<_>>()).await?;
    let pool = database::pool(settings, &PoolSettings::new("migrations").with_max_connections(1));
    let identity = claim(&pool, index, shards).await.map_err(|error| format!("shard {index}: {error}"))?;
    pool.close().await;
    identity.check(index, shards).map_err(|error| error.to_string())
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

/// What a database knows of its place among the shards.
#[derive(sqlx::FromRow)]
struct Identity {
    /// The number that it was first used by.
    shard: i32,
    /// The most shards that it has been one of.
    shards: i32,
}

impl Identity {
    fn check(&self, index: ShardIndex, shards: u16) -> Result<(), ShardError> {
        if self.shard != i32::from(index.get()) {
            return Err(ShardError::WrongShard { wanted: index, found: self.shard });
        }
        if self.shards > i32::from(shards) {
            return Err(ShardError::ShardsMissing { known: self.shards, configured: shards });
        }
        Ok(())
    }
}

const IDENTITY: &str =
    "SELECT shard, (SELECT coalesce(max(shards), 0) FROM shard_layouts) AS shards FROM shard_identity";
const REMEMBER: &str = "
INSERT INTO shard_layouts (shards) SELECT $1 WHERE $1 > (SELECT coalesce(max(shards), 0) FROM shard_layouts)";
const FORMER: &str = "
SELECT shards FROM (
    SELECT shards, lead(first_used) OVER (ORDER BY shards) AS ended FROM shard_layouts
) AS layout WHERE ended > now() - $1";

/// Makes the database shard `index` of `shards` unless it is another one; answers what it is.
async fn claim(pool: &PgPool, index: ShardIndex, shards: u16) -> Result<Identity, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("LOCK TABLE shard_identity IN EXCLUSIVE MODE").execute(&mut *transaction).await?;
    let number = i32::from(index.get());
    let known: Option<Identity> = sqlx::query_as(IDENTITY).fetch_optional(&mut *transaction).await?;
    if known.is_none() {
        let sequence = format!(
            "CREATE SEQUENCE order_id_seq START {} INCREMENT {ORDER_ID_STEP}",
            index.first_order_id()
        );
        sqlx::query(AssertSqlSafe(sequence)).execute(&mut *transaction).await?;
        let insert = sqlx::query("INSERT INTO shard_identity (shard) VALUES ($1)").bind(number);
        insert.execute(&mut *transaction).await?;
    }
    if known.is_none_or(|known| known.shard == number) {
        sqlx::query(REMEMBER).bind(i32::from(shards)).execute(&mut *transaction).await?;
    }
    let identity = sqlx::query_as(IDENTITY).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(identity)
}
