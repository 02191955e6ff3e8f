//! From a server that may not be up yet to a database that serves one shard.

use shared_actors::database::{Migrations, Pool, prepare, watch};
use shared_actors::health::Component;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use sqlx::migrate::Migrator;
use tokio::sync::watch::Sender;

use super::identity;

/// The schema of a shard.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/cart");

/// How one shard's database is made ready.
pub struct Preparation {
    /// Its number.
    pub shard: ShardIndex,
    /// How many shards there are.
    pub shards: u16,
    /// The database.
    pub database: DatabaseSettings,
    /// Who migrates.
    pub migrations: Migrations,
    /// What `/readyz` says of its server and schema.
    pub component: Component,
    /// What `/readyz` says of its identity: nothing is served before that is known.
    pub identity: Component,
    /// Locked until then.
    pub pool: Pool,
}

impl Preparation {
    /// Waits for the database, prepares it, says so to `prepared`, and from then on keeps the component true to life.
    /// A database that cannot be used is told to `unusable`.
    pub async fn run(self, prepared: &Sender<bool>, unusable: &Sender<Option<String>>) {
        if let Err(reason) = self.prepare().await {
            unusable.send_replace(Some(reason));
            return;
        }
        prepared.send_replace(true);
        watch(self.database, self.component, vec![self.pool]).await;
    }

    async fn prepare(&self) -> Result<(), String> {
        let migrated = prepare(&self.database, &[&MIGRATIONS], self.migrations, &self.component).await;
        migrated.map_err(|error| error.to_string())?;
        let claimed = identity::claim(&self.database, self.shard, self.shards, &self.identity).await;
        match &claimed {
            Ok(()) => {
                self.pool.unlock();
                self.identity.ready();
            }
            Err(reason) => self.identity.waiting(reason.as_str()),
        }
        claimed
    }
}
