//! Measures what the channels have not sent yet.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use tracing::warn;

use super::{metrics, queries};

/// Measures the backlog of all channels, whichever notifier sends it.
pub struct BacklogMonitor {
    pool: Pool,
    channels: Vec<&'static str>,
}

impl BacklogMonitor {
    /// The time between two measurements.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// Measures the deliveries in the database of `pool`. `channels` are those that are enabled.
    pub fn new(pool: Pool, channels: Vec<&'static str>) -> Self {
        Self { pool, channels }
    }
}

impl Periodic for BacklogMonitor {
    async fn pass(&mut self) -> Pass {
        match queries::backlog(&self.pool).await.map_err(DatabaseError::from) {
            Ok(backlog) => metrics::show_backlog(&self.channels, &backlog),
            Err(error) => warn!(%error, "cannot measure the backlog yet"),
        }
        Pass::Done
    }
}
