//! Reading orders: merged reads of single ones from the primary, pages from a replica that is recent enough.

use shared_actors::database::DatabaseError;

use super::metrics;
use super::queries::{self, ShardPage};
use super::shard::OrderShard;
use crate::domain::{IdempotencyKey, Order, OrderError, OrderId, UserId};

impl OrderShard {
    /// Reads the orders of one batch in one query.
    pub(super) async fn get(&self, ids: &[OrderId]) -> Vec<Result<Order, OrderError>> {
        let numbers: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        match queries::find(&self.primary, &numbers).await.map_err(DatabaseError::from) {
            Ok(found) => {
                let answer =
                    |id: &OrderId| found.get(id).cloned().unwrap_or(Err(OrderError::OrderNotFound(*id)));
                ids.iter().map(answer).collect()
            }
            Err(error) => vec![Err(error.into()); ids.len()],
        }
    }

    /// The orders made under the keys of one batch, in one query.
    pub(super) async fn find_by_keys(
        &self,
        keys: &[(UserId, IdempotencyKey)],
    ) -> Vec<Result<Option<Order>, OrderError>> {
        let wanted: Vec<(UserId, &IdempotencyKey)> = keys.iter().map(|(user, key)| (*user, key)).collect();
        match queries::find_by_keys(&self.primary, &wanted).await.map_err(DatabaseError::from) {
            Ok(found) => keys.iter().map(|key| found.get(key).cloned().transpose()).collect(),
            Err(error) => vec![Err(error.into()); keys.len()],
        }
    }

    /// The newest orders that are older than `before`, newest first.
    pub(super) async fn page(&self, before: Option<OrderId>, limit: u32) -> Result<ShardPage, OrderError> {
        let before = before.map_or(i64::MAX, OrderId::get);
        let limit = i64::from(limit);
        if !self.is_away()
            && let Some(replica) = &self.replica
            && let Some(page) = replica.page(before, limit).await
        {
            metrics::list_served("replica");
            return Ok(page);
        }
        match queries::page(&self.primary, before, limit).await {
            Ok(page) => {
                metrics::list_served("primary");
                Ok(page)
            }
            Err(error) => {
                // An old list is better than none.
                let old = async { self.replica.as_ref()?.page_however_old(before, limit).await };
                let page = old.await.ok_or_else(|| DatabaseError::from(error))?;
                metrics::list_served("replica");
                Ok(page)
            }
        }
    }
}
