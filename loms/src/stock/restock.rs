//! The command to restock: pieces are added or removed by hand, once per key.

use service_kit::database::{Pool, observe};
use shared_actors::actor::{BatchLimits, Command, Commit, one_by_one};
use shared_actors::crash_point;

use super::queries;
use super::shard::StockShard;
use crate::domain::{Restock, StockError, StockLevel};
use crate::retry::after_conflict;

/// Maximum number of waiting restocks. Any more are refused as `Overloaded`.
pub(super) const CAPACITY: usize = 256;

/// Adds pieces to a SKU or removes them.
pub(super) struct RestockSku(pub Restock);

impl Command for RestockSku {
    type Output = StockLevel;
    type Error = StockError;
    const NAME: &'static str = "restock";
}

impl Commit<RestockSku> for StockShard {
    fn limits(&self) -> BatchLimits {
        // Restocks are rare, so each has its own transaction.
        BatchLimits::ONE_BY_ONE
    }

    async fn commit(&self, batch: Vec<RestockSku>) -> Vec<Result<StockLevel, StockError>> {
        one_by_one(batch, async |RestockSku(wanted)| {
            let _turn = self.turn.lock().await;
            // A conflict means that another instance used the key first. The retry finds its
            // restock.
            after_conflict(|| restock(&self.pool, &wanted)).await?
        })
        .await
    }
}

/// Restocks in one transaction. If the key was used before, the earlier restock is the answer.
/// Otherwise, the level changes and the history gets a row.
///
/// # Errors
/// The inner error is why the restock is refused. The outer one is the error of the database, such
/// as a conflict if another instance used the key first.
async fn restock(
    pool: &Pool,
    restock: &Restock,
) -> Result<Result<StockLevel, StockError>, sqlx::Error> {
    let mut transaction = observe("begin", pool.begin()).await?;
    if restock.change.get() > 0 {
        queries::add_sku(&mut transaction, restock.sku).await?;
    }
    let level = queries::lock_level(&mut transaction, restock.sku).await?;
    // Read after taking the lock: its previous holder may have restocked under this key.
    if let Some(earlier) = queries::find_restock(&mut transaction, &restock.key).await? {
        let same = (earlier.sku, earlier.count) == (restock.sku, restock.change.get());
        let reused = Err(StockError::KeyReused { sku: earlier.sku });
        return Ok(if same { Ok(earlier.level) } else { reused });
    }
    let Some(level) = level else {
        return Ok(Err(StockError::NotFound(restock.sku)));
    };
    let level = match level.after(restock.sku, restock.change) {
        Ok(level) => level,
        Err(refused) => return Ok(Err(refused)),
    };
    crash_point!("restock::locked");
    queries::restock(&mut transaction, restock, level).await?;
    crash_point!("restock::written");
    observe("commit", transaction.commit()).await?;
    crash_point!("restock::committed");
    Ok(Ok(level))
}
