//! A shard's replica, and whether lists may be read from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};
use service_kit::database::Pool;
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use shared_actors::metrics;
use tokio::time::timeout;

use super::queries::{self, Lineage, ReplicaState, ShardPage};

/// A replica that takes longer to answer is not read; the primary has the same orders.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// How long the replica has to answer when the primary cannot serve the list.
const LAST_RESORT_WITHIN: Duration = Duration::from_secs(5);

static LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "Lag of the replica, in seconds; NaN while it is unknown.";
    metrics::float_gauges("replica_lag_seconds", help, &["shard"])
});
static USABLE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "1 while lists are read from the replica: it replicates this primary, answers and is recent enough.";
    metrics::gauges("replica_usable", help, &["shard"])
});

/// A replica that lists may be read from, and how far it may lag.
pub struct ReplicaParts {
    /// The replica's address and credentials.
    pub database: DatabaseSettings,
    /// Connections for lists.
    pub pool: Pool,
    /// Maximum lag behind the primary.
    pub max_lag: Duration,
}

pub(super) struct Replica {
    shard: ShardIndex,
    parts: ReplicaParts,
    /// Whether it replicated the primary when both were last queried.
    fit: AtomicBool,
    usable: AtomicBool,
    /// The reason that was logged last for not reading it.
    told: Mutex<Option<Unfit>>,
    lag_seconds: Gauge,
    shown_usable: IntGauge,
}

/// Why a server is not a replica of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("it was promoted and accepts writes of its own")]
    Promoted,
    #[error("it belongs to a different database cluster than the primary")]
    OtherSystem,
    #[error("it diverged from the primary at a promotion: its timeline is different")]
    OtherTimeline,
}

impl Unfit {
    fn why(state: &ReplicaState, primary: Lineage) -> Option<Self> {
        if !state.in_recovery {
            Some(Self::Promoted)
        } else if state.lineage.system != primary.system {
            Some(Self::OtherSystem)
        } else if state.lineage.timeline != primary.timeline {
            Some(Self::OtherTimeline)
        } else {
            None
        }
    }
}

impl Replica {
    pub fn new(shard: ShardIndex, parts: ReplicaParts) -> Self {
        let label = shard.to_string();
        let lag_seconds = LAG.with_label_values(&[&label]);
        lag_seconds.set(f64::NAN);
        let shown_usable = USABLE.with_label_values(&[&label]);
        let (fit, usable, told) =
            (AtomicBool::new(false), AtomicBool::new(false), Mutex::new(None));
        Self { shard, parts, fit, usable, told, lag_seconds, shown_usable }
    }

    pub fn database(&self) -> &DatabaseSettings {
        &self.parts.database
    }

    /// The newest orders with ids below `before`. `None` if the replica may not be read or does not
    /// answer in time.
    pub async fn page(&self, before: i64, limit: i64) -> Option<ShardPage> {
        if !self.usable.load(Ordering::Relaxed) {
            return None;
        }
        let reason =
            match timeout(ANSWER_WITHIN, queries::page(&self.parts.pool, before, limit)).await {
                Ok(Ok(page)) => return Some(page),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
        // Lists do not try the replica again before the next check.
        self.unusable();
        tracing::warn!(reason, shard = %self.shard, "the replica failed, reading from the primary");
        None
    }

    /// The same, but whatever the lag and with a longer timeout. Used when the primary cannot
    /// answer.
    pub async fn page_however_old(&self, before: i64, limit: i64) -> Option<ShardPage> {
        if !self.fit.load(Ordering::Relaxed) {
            return None;
        }
        let reason =
            match timeout(LAST_RESORT_WITHIN, queries::page(&self.parts.pool, before, limit)).await
            {
                Ok(Ok(page)) => return Some(page),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
        tracing::warn!(reason, shard = %self.shard, "neither the primary nor the replica could serve a list");
        None
    }

    /// Takes in the state that the replica reported, if it answered, and the last known lineage of
    /// the primary. While the primary is unreachable, the replica is shown as usable whatever its
    /// lag: a stale list is better than none.
    pub fn judge(
        &self,
        state: Option<&ReplicaState>,
        primary: Option<Lineage>,
        primary_is_away: bool,
    ) {
        let (Some(state), Some(primary)) = (state, primary) else { return self.unusable() };
        let unfit = Unfit::why(state, primary);
        self.tell(unfit);
        self.fit.store(unfit.is_none(), Ordering::Relaxed);
        let lag = state.lag.filter(|_| unfit.is_none());
        let recent = lag.is_some_and(|lag| lag < self.parts.max_lag);
        // Lists read a stale replica only while the primary is unreachable. Once the primary is
        // back, they wait for the next check.
        self.usable.store(recent, Ordering::Relaxed);
        self.show(lag, recent || (unfit.is_none() && primary_is_away));
    }

    /// Stops reading lists from it until the next check.
    fn unusable(&self) {
        self.usable.store(false, Ordering::Relaxed);
        self.show(None, false);
    }

    fn tell(&self, unfit: Option<Unfit>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != unfit {
            *told = unfit;
            if let Some(why) = unfit {
                tracing::error!(shard = %self.shard, %why, "the replica is not used");
            } else {
                tracing::info!(shard = %self.shard, "the replica replicates the primary");
            }
        }
    }

    /// Sets the metrics.
    fn show(&self, lag: Option<Duration>, is_read: bool) {
        self.lag_seconds.set(lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
        self.shown_usable.set(is_read.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_in_recovery_of_the_same_system_and_timeline_is_a_replica() {
        let primary = Lineage { system: 7, timeline: 2 };
        let why = |in_recovery, system, timeline| {
            let lineage = Lineage { system, timeline };
            Unfit::why(&ReplicaState { in_recovery, lineage, lag: Some(Duration::ZERO) }, primary)
        };
        assert_eq!(why(true, 7, 2), None);
        assert_eq!(why(false, 7, 2), Some(Unfit::Promoted));
        assert_eq!(why(false, 7, 3), Some(Unfit::Promoted));
        assert_eq!(why(true, 8, 2), Some(Unfit::OtherSystem));
        assert_eq!(why(true, 7, 1), Some(Unfit::OtherTimeline));
        assert_eq!(why(true, 7, 3), Some(Unfit::OtherTimeline));
    }
}
