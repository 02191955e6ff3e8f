//! How full the pools are, read at each Prometheus scrape.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use shared_actors::metrics;

use super::Pool;

/// Exports the connections of `pool` as `db_pool_connections` and `db_pool_max_connections` until
/// the pool is closed. `name` says what the pool is for, and `shard` which shard it connects to.
pub fn show_pool(name: &'static str, shard: usize, pool: &Pool) {
    let shown = ShownPool { name, shard: shard.to_string(), pool: pool.clone() };
    POOLS.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
}

struct ShownPool {
    name: &'static str,
    shard: String,
    pool: Pool,
}

static POOLS: LazyLock<Mutex<Vec<ShownPool>>> = LazyLock::new(|| {
    metrics::register(PoolCollector::new());
    Mutex::default()
});

struct PoolCollector {
    connections: IntGaugeVec,
    max: IntGaugeVec,
}

impl PoolCollector {
    #[expect(clippy::expect_used, reason = "the names are constants")]
    fn new() -> Self {
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid metric family")
        };
        let help = "Database connections by state: idle, busy.";
        Self {
            connections: gauges("db_pool_connections", help, &["pool", "shard", "state"]),
            max: gauges(
                "db_pool_max_connections",
                "Maximum number of connections of a pool.",
                &["pool", "shard"],
            ),
        }
    }
}

impl Collector for PoolCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.connections.desc(), self.max.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|shown| !shown.pool.is_closed());
        self.connections.reset();
        self.max.reset();
        for ShownPool { name, shard, pool } in &*pools {
            let all = i64::from(pool.size());
            // The two numbers change independently. Never report more idle connections than there
            // are.
            let idle = i64::try_from(pool.num_idle()).unwrap_or(0).min(all);
            self.connections.with_label_values(&[*name, shard, "idle"]).set(idle);
            self.connections.with_label_values(&[*name, shard, "busy"]).set(all - idle);
            self.max.with_label_values(&[*name, shard]).set(pool.max_connections().into());
        }
        [self.connections.collect(), self.max.collect()].concat()
    }
}
