//! Checks once per second whether a shard's replica may be read.
//!
//! The replica alone cannot tell. Cut off from its primary, it seems up to date for a minute; once
//! promoted, it never lags. So both servers are queried, over separate connections.

use std::time::Duration;

use service_kit::database::Probe;
use tokio::time::{MissedTickBehavior, interval};

use super::queries::{self, LogPosition};
use super::replica::ANSWER_WITHIN;
use super::shard::OrderShard;

const PERIOD: Duration = Duration::from_secs(1);

/// A primary that takes longer to answer counts as unreachable.
const PRIMARY_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

impl OrderShard {
    /// Watches the replica, if there is one. Runs until it is dropped.
    pub(super) async fn watch_replica(&self) {
        let Some(replica) = &self.replica else { return };
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut of_primary = Probe::new(&self.database, "loms watch");
        let mut of_replica = Probe::new(replica.database(), "loms watch");
        let mut earlier: Option<LogPosition> = None;
        loop {
            ticks.tick().await;
            // The primary is asked first, so that the replica is not expected to have anything
            // written after its answer.
            let now = if self.is_away() {
                // The session is as dead as the primary.
                of_primary.close();
                None
            } else {
                of_primary.ask(PRIMARY_ANSWERS_WITHIN, queries::log_position).await.ok()
            };
            let (position, before) = (now.as_ref(), earlier.as_ref());
            let state =
                async |server: &mut _| queries::replica_state(server, position, before).await;
            let state = of_replica.ask(ANSWER_WITHIN, state).await.ok();
            // The lag cannot be judged without a position of the primary, unless the primary is
            // unreachable.
            let state = state.filter(|_| position.is_some() || self.is_away());
            let lineage = position.or(before).map(|position| position.lineage);
            replica.judge(state.as_ref(), lineage, self.is_away());
            earlier = now.or(earlier);
        }
    }
}
