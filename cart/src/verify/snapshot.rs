//! The snapshots of all databases: first those of cart, then those of loms.

use futures::future::{join_all, try_join_all};
use service_kit::settings::ShardSettings;
use service_kit::shard::{ShardIndex, ShardRouter};
use service_kit::verify::Snapshot;

use super::error::VerifyError;
use super::queries;
use crate::app::check_identity;
use crate::settings::Settings;

/// A snapshot of each database, in the order of the shards.
pub(super) struct Round {
    pub router: ShardRouter,
    pub carts: Vec<Snapshot>,
    pub orders: Vec<Snapshot>,
}

impl Round {
    /// Opens all connections first, so that little time passes between the snapshots.
    pub async fn begin(settings: &Settings) -> Result<Self, VerifyError> {
        let no_shards =
            || VerifyError::Refused("the settings name no shard, or too many".to_owned());
        let count = u16::try_from(settings.shards.len()).map_err(|_| no_shards())?;
        let router = ShardRouter::new(count).ok_or_else(no_shards)?;
        let (mut carts, mut orders) = futures::try_join!(
            connect("cart", &settings.shards),
            connect("loms", &settings.loms_shards)
        )?;
        try_join_all(carts.iter_mut().map(|cart| is_cart(cart, settings))).await?;
        let shards = orders.len();
        try_join_all(orders.iter_mut().map(|orders| is_loms(orders, shards))).await?;
        Ok(Self { router, carts, orders })
    }

    pub async fn end(self) {
        join_all(self.carts.into_iter().chain(self.orders).map(Snapshot::close)).await;
    }
}

async fn connect(
    service: &'static str,
    shards: &[ShardSettings],
) -> Result<Vec<Snapshot>, VerifyError> {
    let connect = async |(shard, settings): (u16, &ShardSettings)| {
        let shard = ShardIndex::new(shard);
        let name = name(service, shard);
        Snapshot::connect(shard, name, "cart verify", &settings.primary).await
    };
    Ok(try_join_all((0..).zip(shards).map(connect)).await?)
}

fn name(service: &str, shard: ShardIndex) -> String {
    format!("the database of shard {shard} of {service}")
}

/// Fixes the snapshot: it sees everything that is committed now.
async fn is_cart(cart: &mut Snapshot, settings: &Settings) -> Result<(), VerifyError> {
    let shard = cart.shard;
    let Some(found) = cart.read(queries::place_of_carts).await? else {
        return Err(VerifyError::Unprepared { database: name("cart", shard), service: "cart" });
    };
    Ok(check_identity(settings, shard, found)?)
}

async fn is_loms(orders: &mut Snapshot, shards: usize) -> Result<(), VerifyError> {
    let (shard, database) = (orders.shard, name("loms", orders.shard));
    match orders.read(queries::place_of_orders).await? {
        None => Err(VerifyError::Unprepared { database, service: "loms" }),
        Some((_, known)) if usize::try_from(known).is_ok_and(|known| known > shards) => {
            Err(VerifyError::MissingShards { known, shards })
        }
        Some((found, _)) if found == i32::from(shard.get()) => Ok(()),
        Some((found, _)) => {
            let found = ShardIndex::new(u16::try_from(found).unwrap_or(u16::MAX));
            Err(VerifyError::OtherShard { database, found })
        }
    }
}
