//! Order ids, taken in blocks from the shard's sequence.

use std::collections::VecDeque;

use service_kit::database::Pool;
use shared_actors::fits;
use tokio::sync::Mutex;

use super::queries;
use crate::domain::OrderId;

/// Size of the first and of the largest block of ids. Each block is twice as large as the last,
/// because fetching one waits for the disk. Ids that a process still holds when it ends are never
/// used.
const FIRST_BLOCK: usize = 64;
const LARGEST_BLOCK: usize = 4096;

/// Order ids of one shard that are reserved for this process.
#[derive(Default)]
pub(super) struct IdBlock(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    left: VecDeque<OrderId>,
    last_block: usize,
}

impl IdBlock {
    /// Takes `count` ids, in ascending order.
    pub async fn take(&self, pool: &Pool, count: usize) -> Result<Vec<OrderId>, sqlx::Error> {
        let mut ids = self.0.lock().await;
        if ids.left.len() < count {
            let block = (ids.last_block * 2).clamp(FIRST_BLOCK, LARGEST_BLOCK).max(count);
            let next = queries::next_ids(pool, fits(block)).await?;
            assert_eq!(next.len(), block, "a block is complete");
            assert!(next.is_sorted(), "ids of a sequence rise");
            ids.left.extend(next);
            ids.last_block = block;
        }
        assert!(ids.left.len() >= count, "{} ids of {count}", ids.left.len());
        Ok(ids.left.drain(..count).collect())
    }
}
