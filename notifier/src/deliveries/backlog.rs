//! Measures what the channels have not sent yet.

use std::collections::BTreeSet;
use std::time::Duration;

use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use tracing::warn;

use super::{metrics, queries};

/// Measures the backlog of all channels, whichever notifier sends it.
pub struct BacklogMonitor {
    pool: Pool,
    /// The channels that are enabled, and others that had a backlog.
    channels: BTreeSet<String>,
    /// Whether the last measurement failed. Later failures are not logged.
    failing: bool,
}

impl BacklogMonitor {
    /// The time between two measurements.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// Measures the deliveries in the database of `pool`. `channels` are those that are enabled.
    pub fn new(pool: Pool, channels: &[&'static str]) -> Self {
        let channels = channels.iter().map(ToString::to_string).collect();
        Self { pool, channels, failing: false }
    }
}

impl Periodic for BacklogMonitor {
    async fn pass(&mut self) -> Pass {
        match queries::backlog(&self.pool).await.map_err(DatabaseError::from) {
            Ok(backlog) => {
                for found in &backlog {
                    if self.channels.insert(found.channel.clone()) {
                        let (channel, pending) = (&found.channel, found.pending);
                        warn!(
                            channel,
                            pending, "notifications wait for a channel that is not enabled"
                        );
                    }
                }
                metrics::show_backlog(self.channels.iter().map(String::as_str), &backlog);
                self.failing = false;
            }
            Err(error) if !self.failing => {
                warn!(%error, "cannot measure the backlog yet");
                self.failing = true;
            }
            Err(_) => {}
        }
        Pass::Done
    }
}
