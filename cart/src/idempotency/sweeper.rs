//! Deletes keys that are older than their time to live.

use std::time::Duration;

use shared_actors::actor::{Pass, Periodic};
use shared_actors::crash_point;
use tracing::{debug, warn};

use crate::carts::CartShardHandle;

/// How many keys one statement deletes, so that none holds locks for long.
const BATCH: u32 = 1000;

/// Deletes the expired keys of one shard, in batches. Several instances may run at once.
pub struct KeySweeper {
    shard: CartShardHandle,
}

impl KeySweeper {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_mins(1);

    /// A sweeper of `shard`.
    pub fn new(shard: CartShardHandle) -> Self {
        Self { shard }
    }
}

impl Periodic for KeySweeper {
    async fn ready(&mut self) {
        self.shard.until_prepared().await;
    }

    async fn pass(&mut self) -> Pass {
        let forgotten = self.shard.forget_keys(BATCH).await;
        if forgotten.as_ref().is_ok_and(|forgotten| *forgotten > 0) {
            crash_point!("keys::forgotten");
        }
        match forgotten {
            Ok(forgotten) if forgotten < u64::from(BATCH) => Pass::Done,
            Ok(forgotten) => {
                debug!(forgotten, "deleted expired idempotency keys");
                Pass::More
            }
            Err(error) => {
                warn!(%error, "cannot delete expired idempotency keys yet");
                Pass::Done
            }
        }
    }
}
