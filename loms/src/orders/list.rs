//! The command to list the orders of one shard, from a replica that is recent enough, or else from
//! the primary.
//!
//! Few lists run at once, so that the shard's pool has connections left for everything else.

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit, one_by_one};

use super::metrics;
use super::queries::{self, ShardPage};
use super::shard::OrderShard;
use crate::domain::{Failure, OrderId};

/// Maximum number of lists of a shard that run at once.
const CONCURRENCY: usize = 2;

/// Maximum number of lists that wait or run. Any more are refused as `Overloaded`.
pub(super) const CAPACITY: usize = 64 + CONCURRENCY;

/// Reads the newest orders with ids below `before`, newest first.
pub(super) struct ListOrders {
    pub before: Option<OrderId>,
    pub limit: u32,
}

impl Command for ListOrders {
    type Output = ShardPage;
    type Error = Failure;
    const NAME: &'static str = "list_orders";
}

impl Commit<ListOrders> for OrderShard {
    fn limits(&self) -> BatchLimits {
        // Each list is a separate query.
        BatchLimits { concurrency: CONCURRENCY, ..BatchLimits::ONE_BY_ONE }
    }

    async fn commit(&self, batch: Vec<ListOrders>) -> Vec<Result<ShardPage, Failure>> {
        one_by_one(batch, async |list| self.page(list).await).await
    }
}

impl OrderShard {
    async fn page(&self, ListOrders { before, limit }: ListOrders) -> Result<ShardPage, Failure> {
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
                // A stale list is better than none.
                let old = async { self.replica.as_ref()?.page_however_old(before, limit).await };
                let page = old.await.ok_or_else(|| DatabaseError::from(error))?;
                metrics::list_served("replica");
                Ok(page)
            }
        }
    }
}
