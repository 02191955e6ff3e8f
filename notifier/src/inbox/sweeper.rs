//! Deletes old rows: received orders, ended deliveries and dead letters.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use tracing::{debug, warn};

use super::queries;

/// How many rows one statement deletes, so that none holds locks for long.
const BATCH: u32 = 1000;

/// Deletes old rows once per minute, in batches. Several instances may run at once.
pub struct InboxSweeper {
    pool: Pool,
    ttl: Duration,
}

impl InboxSweeper {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_mins(1);

    /// Deletes what ended longer than `ttl` ago.
    pub fn new(pool: Pool, ttl: Duration) -> Self {
        Self { pool, ttl }
    }
}

impl Periodic for InboxSweeper {
    async fn pass(&mut self) -> Pass {
        let forgotten = queries::forget(&self.pool, self.ttl, BATCH).await;
        match forgotten.map_err(DatabaseError::from) {
            Ok(forgotten) if forgotten < u64::from(BATCH) => Pass::Done,
            Ok(forgotten) => {
                debug!(forgotten, "deleted old rows");
                Pass::More
            }
            Err(error) => {
                warn!(%error, "cannot delete old rows yet");
                Pass::Done
            }
        }
    }
}
