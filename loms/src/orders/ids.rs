//! Order ids, taken from the shard's sequence a block at a time.

use shared_actors::database::Pool;
use std::collections::VecDeque;

use tokio::sync::Mutex;

use super::queries;
use crate::domain::OrderId;

/// How many ids are fetched at first, and at the most: each time twice as many, since fetching waits for the disk. What a
/// process holds when it ends is never used.
const FIRST_BLOCK: usize = 64;
const LARGEST_BLOCK: usize = 4096;

/// Ids of one shard that this process may use.
#[derive(Default)]
pub(super) struct IdBlock(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    left: VecDeque<OrderId>,
    last_block: usize,
}

impl IdBlock {
    /// `count` ids, rising.
    pub async fn take(&self, pool: &Pool, count: usize) -> Result<Vec<OrderId>, sqlx::Error> {
        let mut ids = self.0.lock().await;
        if ids.left.len() < count {
            let block = (ids.last_block * 2).clamp(FIRST_BLOCK, LARGEST_BLOCK).max(count);
            ids.left.extend(queries::next_ids(pool, i32::try_from(block).unwrap_or(i32::MAX)).await?);
            ids.last_block = block;
        }
        Ok(ids.left.drain(..count).collect())
    }
}
