//! Prepares one shard's database, from a server that may not be up yet to one that serves.

use std::sync::Arc;

use service_kit::database::{Migrations, Places, Pool, prepare, watch};
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use shared_actors::health::Component;
use sqlx::migrate::Migrator;
use tokio::sync::watch::Sender;

use super::identity::CartShards;

/// The migrations of a shard's schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/cart");

/// Prepares the database of one shard.
#[derive(Clone)]
pub(super) struct Preparation {
    /// The shard's number.
    pub shard: ShardIndex,
    /// The check of which shard each database is.
    pub places: Arc<Places<CartShards>>,
    /// The database.
    pub database: DatabaseSettings,
    /// Whether this process migrates the database or waits for another one to do so.
    pub migrations: Migrations,
    /// Reports the state of the server and the schema to `/readyz`.
    pub component: Component,
    /// Reports the shard's identity to `/readyz`. Nothing is served before the identity is
    /// verified.
    pub identity: Component,
    /// Locked until the identity is verified.
    pub pool: Pool,
}

impl Preparation {
    /// Waits for the database, prepares it and sets `prepared`. From then on, keeps the component
    /// up to date. Sends the reason to `unusable` if the database cannot be used.
    pub async fn run(self, prepared: &Sender<bool>, unusable: &Sender<Option<String>>) {
        if let Err(reason) = self.prepare().await {
            unusable.send_replace(Some(reason));
            return;
        }
        prepared.send_replace(true);
        watch(self.database, self.component, vec![self.pool]).await;
    }

    async fn prepare(&self) -> Result<(), String> {
        let migrated =
            prepare(&self.database, &[&MIGRATIONS], self.migrations, &self.component).await;
        migrated.map_err(|error| error.to_string())?;
        let taken = self.places.take(self.shard, &self.identity).await;
        taken
            .inspect(|()| {
                self.pool.unlock();
                self.identity.ready();
            })
            .map_err(|error| {
                let reason = error.to_string();
                self.identity.waiting(reason.as_str());
                reason
            })
    }
}
