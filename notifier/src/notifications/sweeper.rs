//! Forgets events, and what was sent because of them, that are too old to be delivered again.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use shared_actors::database::{DatabaseError, Pool, observe};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::queries;

/// How many events one statement forgets, so that none holds locks for long.
const BATCH: u32 = 1000;
const PERIOD: Duration = Duration::from_mins(1);

/// Deletes old events once per minute, in batches. Several instances may do so at once.
pub struct InboxSweeper {
    pool: Pool,
    ttl: Duration,
}

impl InboxSweeper {
    /// Forgets what was received longer than `ttl` ago.
    pub fn new(pool: Pool, ttl: Duration) -> Self {
        Self { pool, ttl }
    }
}

impl Actor for InboxSweeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (pool, ttl) = (self.pool.clone(), self.ttl);
        ctx.spawn(wrap_future(async move {
            loop {
                sweep(&pool, ttl).await;
                sleep(PERIOD).await;
            }
        }));
    }
}

async fn sweep(pool: &Pool, ttl: Duration) {
    loop {
        let forgotten = observe("forget_events", queries::forget(pool, ttl, BATCH)).await;
        match forgotten.map_err(DatabaseError::from) {
            Ok(forgotten) if forgotten < u64::from(BATCH) => return,
            Ok(forgotten) => debug!(forgotten, "old events"),
            Err(error) => return warn!(%error, "cannot delete old events yet"),
        }
    }
}
