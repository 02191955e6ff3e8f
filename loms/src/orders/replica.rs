//! A shard's replica, and whether it is recent enough to be read.
//!
//! The replica alone cannot tell: cut off from its primary, it has everything it ever received for a minute. So both servers are
//! asked, over connections of their own: while one is silent, no question about it may fill a pool.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};
use shared_actors::database::{Pool, connect_options};
use shared_actors::metrics;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnection;
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
    /// Whose orders it repeats.
    pub primary: DatabaseSettings,
    /// Connections for lists.
    pub pool: Pool,
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
        let mut primary = Probe { database: &self.parts.primary, connection: None };
        let mut replica = Probe { database: &self.parts.database, connection: None };
        let mut earlier = None;
        loop {
            ticks.tick().await;
            // In this order: what the primary did after its answer is nothing that the replica lacks.
            let position = primary.ask(queries::log_position).await;
            let (now, before) = (position.as_ref(), earlier.as_ref());
            let lag = replica.ask(async |replica| queries::replica_lag(replica, now, before).await).await;
            self.show(lag.flatten());
            earlier = position.or(earlier);
        }
    }

    fn show(&self, lag: Option<Duration>) {
        let current = lag.is_some_and(|lag| lag < self.parts.max_lag);
        self.lag.set(lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
        self.usable.set(current.into());
        self.current.store(current, Ordering::Relaxed);
    }
}

/// A server that is asked again and again.
struct Probe<'a> {
    database: &'a DatabaseSettings,
    connection: Option<PgConnection>,
}

impl Probe<'_> {
    /// What the server answers, if it does in time; if not, the connection is gone with the question.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Option<T> {
        let connection = self.connection.take();
        let exchange = async {
            let mut connection = match connection {
                Some(open) => open,
                None => connect_options(self.database, "loms replica lag").connect().await?,
            };
            let answer = question(&mut connection).await?;
            Ok::<_, sqlx::Error>((answer, connection))
        };
        let (answer, connection) = timeout(ANSWER_WITHIN, exchange).await.ok()?.ok()?;
        self.connection = Some(connection);
        Some(answer)
    }
}
