//! Reading orders: merged reads of single ones from the primary, pages from a replica that is recent enough.

use shared_actors::database::DatabaseError;

use super::metrics;
use super::pulse::away;
use super::queries::{self, ShardPage};
use super::shard::OrderShard;
use crate::domain::{IdempotencyKey, Order, OrderError, OrderId, UserId};

impl OrderShard {
    /// Reads the orders of one batch in one query.
    pub(super) async fn get(&self, ids: &[OrderId]) -> Vec<Result<Order, OrderError>> {
        if let Err(error) = self.pulse.check() {
            return vec![Err(error); ids.len()];
        }
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
        if let Err(error) = self.pulse.check() {
            return vec![Err(error); keys.len()];
        }
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
        let is_away = self.pulse.is_away();
        if !is_away
            && let Some(replica) = &self.replica
            && let Some(page) = replica.page(before, limit).await
        {
            metrics::list_served("replica");
            return Ok(page);
        }
        let failure = if is_away {
            away()
        } else {
            match queries::page(&self.primary, before, limit).await.map_err(DatabaseError::from) {
                Ok(page) => {
                    metrics::list_served("primary");
                    return Ok(page);
                }
                Err(error) => error.into(),
            }
        };
        // An old list is better than none.
        let Some(replica) = &self.replica else { return Err(failure) };
        let page = replica.page_however_old(before, limit).await.ok_or(failure)?;
        metrics::list_served("replica");
        Ok(page)
    }
}
