//! A shard's replica, and whether it is recent enough to be read.
//!
//! The lag is asked over a connection of its own: while the replica is silent, no question about it may fill the pool
//! that lists are to find when it is back.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};
use shared_actors::database::connect_options;
use shared_actors::metrics;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, PgPool};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::queries;
use crate::domain::Order;

const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A replica that is slower to answer is not read: the primary has the same.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

static LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "How far the replica is behind its primary; NaN while that is not known.";
    metrics::float_gauges("replica_lag_seconds", help, &["shard"])
});
static USABLE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "1 while the replica answers and lags by less than the bound.";
    metrics::gauges("replica_usable", help, &["shard"])
});

/// Where lists may be read, and by how much that may lag.
pub struct ReplicaParts {
    /// The replica itself.
    pub database: DatabaseSettings,
    /// Connections for lists.
    pub pool: PgPool,
    /// How far it may be behind its primary.
    pub max_lag: Duration,
}

pub(super) struct Replica {
    shard: ShardIndex,
    parts: ReplicaParts,
    current: AtomicBool,
    lag: Gauge,
    usable: IntGauge,
}

impl Replica {
    pub fn new(shard: ShardIndex, parts: ReplicaParts) -> Self {
        let label = shard.to_string();
        let lag = LAG.with_label_values(&[&label]);
        lag.set(f64::NAN);
        let usable = USABLE.with_label_values(&[&label]);
        Self { shard, parts, current: AtomicBool::new(false), lag, usable }
    }

    /// The newest orders that are older than `before`; `None` unless the replica is recent enough and answers soon.
    pub async fn page(&self, before: i64, limit: i64) -> Option<Vec<Order>> {
        if !self.current.load(Ordering::Relaxed) {
            return None;
        }
        let reason = match timeout(ANSWER_WITHIN, queries::page(&self.parts.pool, before, limit)).await {
            Ok(Ok(orders)) => return Some(orders),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        // The next lists are not tried before the next measurement.
        self.show(None);
        tracing::warn!(reason, shard = %self.shard, "the replica fails: asking the primary");
        None
    }

    /// Measures the lag once a second. Runs until it is dropped.
    pub async fn watch(&self) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        loop {
            ticks.tick().await;
            // A connection that does not answer in time is gone with the question.
            let asked = timeout(ANSWER_WITHIN, self.measure(connection.take())).await;
            let (lag, open) = match asked {
                Ok(Ok((lag, open))) => (lag, Some(open)),
                Ok(Err(_)) | Err(_) => (None, None),
            };
            connection = open;
            self.show(lag);
        }
    }

    async fn measure(
        &self,
        connection: Option<PgConnection>,
    ) -> Result<(Option<Duration>, PgConnection), sqlx::Error> {
        let mut connection = match connection {
            Some(open) => open,
            None => connect_options(&self.parts.database, "loms replica lag").connect().await?,
        };
        let lag = queries::replica_lag(&mut connection).await?;
        Ok((lag, connection))
    }

    fn show(&self, lag: Option<Duration>) {
        let current = lag.is_some_and(|lag| lag < self.parts.max_lag);
        self.lag.set(lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
        self.usable.set(current.into());
        self.current.store(current, Ordering::Relaxed);
    }
}
