//! Order ids, taken from the shard's sequence a block at a time.

use sqlx::PgPool;
use tokio::sync::Mutex;

use super::queries;
use crate::domain::OrderId;

/// The fewest ids that are fetched at once. What a process holds when it ends is never used.
const BLOCK: usize = 256;

/// Ids of one shard that this process may use.
#[derive(Default)]
pub(super) struct IdBlock(Mutex<Vec<OrderId>>);

impl IdBlock {
    /// `count` ids, rising.
    pub async fn take(&self, pool: &PgPool, count: usize) -> Result<Vec<OrderId>, sqlx::Error> {
        let mut block = self.0.lock().await;
        if block.len() < count {
            let missing = i32::try_from((count - block.len()).max(BLOCK)).unwrap_or(i32::MAX);
            block.extend(queries::next_ids(pool, missing).await?);
        }
        Ok(block.drain(..count).collect())
    }
}
