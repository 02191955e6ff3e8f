//! The snapshots of all databases, and the conclusions that their order allows about rows of
//! different databases.
//!
//! The snapshots of a round are taken one after the other: all orders, then the stock, then all
//! orders again. Every step of the protocol waits for the commit of the previous step. So if one
//! snapshot shows a step, every later snapshot shows all the steps before it.

use futures::future::try_join_all;
use service_kit::settings::DatabaseSettings;
use service_kit::shard::{ShardIndex, ShardRouter};
use service_kit::verify::{ReadError, Snapshot};

use super::error::VerifyError;
use super::queries::{self, Place};
use crate::app::identity;
use crate::settings::Settings;

/// Connects to the database of a shard.
async fn connect(shard: ShardIndex, settings: &DatabaseSettings) -> Result<Snapshot, ReadError> {
    Snapshot::connect(shard, format!("shard {shard}"), "loms verify", settings).await
}

/// Fixes a snapshot: it sees everything that is committed now. Returns the database's record of its
/// place.
async fn fix(snapshot: &mut Snapshot) -> Result<Place, ReadError> {
    snapshot.read(queries::place).await
}

/// The snapshots of one round, in the order in which they were taken.
pub(super) struct Round {
    pub router: ShardRouter,
    pub before: Vec<Snapshot>,
    pub stock: Snapshot,
    pub after: Vec<Snapshot>,
}

impl Round {
    /// Opens all connections first, so that little time passes between the snapshots.
    pub async fn begin(settings: &Settings) -> Result<Self, VerifyError> {
        let shards = || settings.router.all().zip(&settings.shards);
        let orders = || try_join_all(shards().map(|(index, shard)| connect(index, &shard.primary)));
        let stock_shard = crate::app::STOCK_SHARD;
        let stock = connect(stock_shard, &settings.shards[stock_shard.index()].primary);
        let (mut before, mut stock, mut after) = futures::try_join!(orders(), stock, orders())?;

        are_the_shards(&try_join_all(before.iter_mut().map(fix)).await?)?;
        fix(&mut stock).await?;
        try_join_all(after.iter_mut().map(fix)).await?;
        Ok(Self { router: settings.router, before, stock, after })
    }

    pub async fn end(self) {
        let all = self.before.into_iter().chain([self.stock]).chain(self.after);
        futures::future::join_all(all.map(Snapshot::close)).await;
    }
}

/// Refuses databases that are not all the shards in the configured order, as loms does when it
/// starts.
fn are_the_shards(places: &[Place]) -> Result<(), VerifyError> {
    let known = places.iter().map(|place| place.known_shards).max().unwrap_or_default();
    let identities: Vec<Option<i32>> = places.iter().map(|place| place.shard).collect();
    identity::check(known, &identities)?;
    match (0..).map(ShardIndex::new).zip(&identities).find(|(_, identity)| identity.is_none()) {
        Some((shard, _)) => Err(VerifyError::Unprepared { shard }),
        None => Ok(()),
    }
}
