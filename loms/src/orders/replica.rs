//! A shard's replica, and whether it is recent enough to be read.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};
use shared_actors::metrics;
use shared_actors::shard::ShardIndex;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::queries;

const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A replica that is slower to answer is not read.
const CHECK_WITHIN: Duration = Duration::from_millis(500);

static LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "How far the replica is behind its primary; NaN while that is not known.";
    metrics::float_gauges("replica_lag_seconds", help, &["shard"])
});
static USABLE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "1 while the replica answers and lags by less than the bound.";
    metrics::gauges("replica_usable", help, &["shard"])
});

pub(super) struct Replica {
    pool: PgPool,
    max_lag: Duration,
    current: AtomicBool,
    lag: Gauge,
    usable: IntGauge,
}

impl Replica {
    pub fn new(shard: ShardIndex, pool: PgPool, max_lag: Duration) -> Self {
        let shard = shard.to_string();
        let lag = LAG.with_label_values(&[&shard]);
        lag.set(f64::NAN);
        let usable = USABLE.with_label_values(&[&shard]);
        Self { pool, max_lag, current: AtomicBool::new(false), lag, usable }
    }

    /// The replica's pool, while it answers and lags by less than the bound.
    pub fn current(&self) -> Option<&PgPool> {
        self.current.load(Ordering::Relaxed).then_some(&self.pool)
    }

    /// A list could not be read there: the next ones are not tried before the next measurement.
    pub fn failed(&self) {
        self.current.store(false, Ordering::Relaxed);
        self.usable.set(0);
    }

    /// Measures the lag once a second. Runs until it is dropped.
    pub async fn watch(&self) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked = timeout(CHECK_WITHIN, queries::replica_lag(&self.pool)).await;
            let lag = asked.ok().and_then(Result::ok).flatten();
            let current = lag.is_some_and(|lag| lag < self.max_lag);
            self.lag.set(lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
            self.usable.set(current.into());
            self.current.store(current, Ordering::Relaxed);
        }
    }
}
