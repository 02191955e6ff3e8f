//! Deletes events that are too old to be delivered again, and their notifications.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool, observe};
use shared_actors::actor::{Pass, Periodic};
use tracing::{debug, warn};

use super::queries;

/// How many events one statement deletes, so that none holds locks for long.
const BATCH: u32 = 1000;

/// Deletes old events once per minute, in batches. Several instances may run at once.
pub struct InboxSweeper {
    pool: Pool,
    ttl: Duration,
}

impl InboxSweeper {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_mins(1);

    /// Deletes events that were received longer than `ttl` ago.
    pub fn new(pool: Pool, ttl: Duration) -> Self {
        Self { pool, ttl }
    }
}

impl Periodic for InboxSweeper {
    async fn pass(&mut self) -> Pass {
        let forgotten =
            observe("forget_events", queries::forget(&self.pool, self.ttl, BATCH)).await;
        match forgotten.map_err(DatabaseError::from) {
            Ok(forgotten) if forgotten < u64::from(BATCH) => Pass::Done,
            Ok(forgotten) => {
                debug!(forgotten, "deleted old events");
                Pass::More
            }
            Err(error) => {
                warn!(%error, "cannot delete old events yet");
                Pass::Done
            }
        }
    }
}
