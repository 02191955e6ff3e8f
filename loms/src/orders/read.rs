//! Reading orders: merged reads of single ones from the primary, pages from a replica that is recent enough.

use std::collections::HashMap;

use shared_actors::database::DatabaseError;

use super::metrics;
use super::queries;
use super::shard::OrderShard;
use crate::domain::{IdempotencyKey, Order, OrderError, OrderId, UserId};

impl OrderShard {
    /// Reads the orders of one batch in one query.
    pub(super) async fn get(&self, ids: &[OrderId]) -> Vec<Result<Order, OrderError>> {
        let numbers: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        match queries::find(&self.primary, &numbers).await.map_err(DatabaseError::from) {
            Ok(found) => {
                let found: HashMap<OrderId, Order> =
                    found.into_iter().map(|order| (order.id, order)).collect();
                ids.iter().map(|id| found.get(id).cloned().ok_or(OrderError::OrderNotFound(*id))).collect()
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
            Ok(found) => keys.iter().map(|key| Ok(found.get(key).cloned())).collect(),
            Err(error) => vec![Err(error.into()); keys.len()],
        }
    }

    /// The newest orders that are older than `before`, newest first.
    pub(super) async fn page(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<Order>, OrderError> {
        let before = before.map_or(i64::MAX, OrderId::get);
        let limit = i64::from(limit);
        if let Some(replica) = &self.replica
            && let Some(orders) = replica.page(before, limit).await
        {
            metrics::list_served("replica");
            return Ok(orders);
        }
        metrics::list_served("primary");
        Ok(queries::page(&self.primary, before, limit).await.map_err(DatabaseError::from)?)
    }
}
