//! Forgets keys that are older than their time to live.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::carts::CartShard;

/// How many keys one statement forgets, so that none holds locks for long.
const BATCH: u32 = 1000;
const PERIOD: Duration = Duration::from_mins(1);

/// Forgets the expired keys of one shard, batch by batch; several instances may do so at once.
pub struct KeySweeper {
    shard: CartShard,
}

impl KeySweeper {
    /// A sweeper of `shard`.
    pub fn new(shard: CartShard) -> Self {
        Self { shard }
    }
}

impl Actor for KeySweeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let shard = self.shard.clone();
        ctx.spawn(wrap_future(async move {
            shard.until_prepared().await;
            loop {
                sweep(&shard).await;
                sleep(PERIOD).await;
            }
        }));
    }
}

async fn sweep(shard: &CartShard) {
    loop {
        match shard.forget_keys(BATCH).await {
            Ok(forgotten) if forgotten < u64::from(BATCH) => return,
            Ok(forgotten) => debug!(forgotten, "expired idempotency keys"),
            Err(error) => return warn!(%error, "cannot delete expired idempotency keys yet"),
        }
    }
}
