//! The command to restock: pieces that come or go by hand, once for each key.

use shared_actors::actor::{BatchLimits, Command, Commit, one_by_one};
use shared_actors::crash_point;
use shared_actors::database::{Pool, observe};

use super::queries;
use super::shard::StockShard;
use crate::domain::{OrderError, Restock, StockLevel};
use crate::retry::after_conflict;

/// How many restocks may wait; more are refused as `Overloaded`.
pub(super) const CAPACITY: usize = 256;

/// Add pieces to a SKU or take some away.
pub(super) struct RestockSku(pub Restock);

impl Command for RestockSku {
    type Output = StockLevel;
    type Error = OrderError;
    const NAME: &'static str = "restock";
}

impl Commit<RestockSku> for StockShard {
    fn limits(&self) -> BatchLimits {
        // They are few: each has a transaction of its own.
        BatchLimits { commands: 1, ..BatchLimits::default() }
    }

    async fn commit(&self, batch: Vec<RestockSku>) -> Vec<Result<StockLevel, OrderError>> {
        one_by_one(batch, async |RestockSku(wanted)| {
            let _turn = self.turn.lock().await;
            // A conflict: another instance was the first to use the key. Its restock will be found now.
            after_conflict(|| restock(&self.pool, &wanted)).await?
        })
        .await
    }
}

/// A restock in one transaction: the key's earlier one answers, or the level changes with its row of history.
///
/// # Errors
/// Within: why it is refused. Without: what the database says; a conflict when another instance was first to use the key.
async fn restock(pool: &Pool, restock: &Restock) -> Result<Result<StockLevel, OrderError>, sqlx::Error> {
    let mut transaction = observe("begin", pool.begin()).await?;
    if restock.change.get() > 0 {
        queries::add_sku(&mut transaction, restock.sku).await?;
    }
    let level = queries::lock_level(&mut transaction, restock.sku).await?;
    // Look after taking the lock: its previous holder may have restocked under this key.
    if let Some(earlier) = queries::find_restock(&mut transaction, &restock.key).await? {
        let same = (earlier.sku, earlier.count) == (restock.sku, restock.change.get());
        let reused = Err(OrderError::RestockKeyReused { sku: earlier.sku });
        return Ok(if same { Ok(earlier.level) } else { reused });
    }
    let Some(level) = level else {
        return Ok(Err(OrderError::SkuNotFound(restock.sku)));
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
