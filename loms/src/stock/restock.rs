//! Restocking: pieces that come or go by hand, once for each key.

use shared_actors::crash_point;
use shared_actors::database::{Pool, observe};

use super::queries;
use crate::domain::{OrderError, Restock, StockLevel};

/// A restock in one transaction: the key's earlier one answers, or the level changes with its row of history.
///
/// # Errors
/// Within: why it is refused. Without: what the database says; a conflict when another instance was first to use the key.
pub(super) async fn restock(
    pool: &Pool,
    restock: &Restock,
) -> Result<Result<StockLevel, OrderError>, sqlx::Error> {
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
