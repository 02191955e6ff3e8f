//! The cache that all instances share. Every failure of it is a miss.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{self, AsyncCommands};
use deadpool_redis::{
    Config, ConnectionAddr, ConnectionInfo, CreatePoolError, Pool, PoolConfig, RedisConnectionInfo, Runtime,
    Timeouts,
};
use prometheus::IntCounterVec;
use shared_actors::health::Component;
use shared_actors::settings::{HostPort, Secret};
use shared_actors::{detail_span, metrics, telemetry};
use tokio::time::{sleep, timeout};
use tracing::{Instrument, field};

use super::Product;
use crate::domain::Sku;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
const PROBE_PERIOD: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 8;

static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Failed requests to Redis; products are asked for elsewhere.";
    metrics::counters_by("cache_errors_total", help, "operation", &["get", "set"])
});

/// Where Redis is and how long it keeps a product.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// The server.
    pub address: HostPort,
    /// Its password; empty when it has none.
    pub password: Secret,
    /// The number of the database.
    pub database: i64,
    /// How long a product is kept.
    pub ttl: Duration,
    /// How long an answer is waited for. Redis answers in well under a millisecond, or it is of no use.
    pub timeout: Duration,
}

/// Products in Redis. While Redis is down nobody but [`RedisCache::watch`] talks to it, so that it costs no request a
/// timeout.
pub struct RedisCache {
    pool: Pool,
    ttl: Duration,
    timeout: Duration,
    up: AtomicBool,
}

impl RedisCache {
    /// A pool that connects when it is first used.
    ///
    /// # Errors
    /// Settings that no server can have.
    pub fn new(settings: &RedisSettings) -> Result<Self, CreatePoolError> {
        LazyLock::force(&FAILURES);
        let password = settings.password.expose();
        let connection = ConnectionInfo {
            addr: ConnectionAddr::Tcp(settings.address.host.clone(), settings.address.port),
            redis: RedisConnectionInfo {
                db: settings.database,
                password: (!password.is_empty()).then(|| password.to_owned()),
                ..RedisConnectionInfo::default()
            },
        };
        let mut config = Config::from_connection_info(connection);
        config.pool = Some(PoolConfig {
            timeouts: Timeouts {
                wait: Some(settings.timeout),
                create: Some(CONNECT_TIMEOUT),
                recycle: Some(settings.timeout),
            },
            ..PoolConfig::new(CONNECTIONS)
        });
        let pool = config.create_pool(Some(Runtime::Tokio1))?;
        Ok(Self { pool, ttl: settings.ttl, timeout: settings.timeout, up: AtomicBool::new(true) })
    }

    /// How long a product is kept.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The product, and how long it will be kept from now.
    pub async fn get(&self, sku: Sku) -> Option<(Product, Duration)> {
        let key = key(sku);
        let answer: (Option<String>, i64) = self
            .run("get", async |mut connection| {
                redis::pipe().get(&key).pttl(&key).query_async(&mut connection).await
            })
            .await?;
        let product = serde_json::from_str(&answer.0?).ok()?;
        let left = u64::try_from(answer.1).ok().filter(|left_ms| *left_ms > 0)?;
        Some((product, Duration::from_millis(left).min(self.ttl)))
    }

    /// Keeps the product.
    pub async fn put(&self, sku: Sku, product: &Product) {
        let Ok(text) = serde_json::to_string(product) else { return };
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let key = key(sku);
        self.run("set", async |mut connection| connection.pset_ex::<_, _, ()>(&key, text, ttl_ms).await)
            .await;
    }

    /// Asks Redis once a second whether it is there, and says so to `component`. Runs until it is dropped.
    pub async fn watch(&self, component: Component) {
        loop {
            let answer = timeout(CONNECT_TIMEOUT + self.timeout, async {
                let mut connection = self.pool.get().await.map_err(|error| error.to_string())?;
                connection.ping::<()>().await.map_err(|error| error.to_string())
            });
            match answer.await.unwrap_or_else(|_| Err("no answer".to_owned())) {
                Ok(()) => {
                    self.up.store(true, Ordering::Relaxed);
                    component.ready();
                }
                Err(reason) => {
                    self.up.store(false, Ordering::Relaxed);
                    component.waiting(reason);
                }
            }
            sleep(PROBE_PERIOD).await;
        }
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(deadpool_redis::Connection) -> redis::RedisResult<T>,
    ) -> Option<T> {
        if !self.up.load(Ordering::Relaxed) {
            return None;
        }
        let span = detail_span!(
            "redis",
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = field::Empty,
            error.type = field::Empty,
            db.system.name = "redis",
            db.operation.name = operation,
        );
        let answer = timeout(self.timeout, async {
            let connection = self.pool.get().await.map_err(|error| error.to_string())?;
            work(connection).await.map_err(|error| error.to_string())
        })
        .instrument(span.clone());
        match answer.await.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(value) => Some(value),
            Err(error) => {
                telemetry::failed(&span, "unavailable");
                self.up.store(false, Ordering::Relaxed);
                FAILURES.with_label_values(&[operation]).inc();
                tracing::warn!(operation, error, "Redis failed, going on without it");
                None
            }
        }
    }
}

fn key(sku: Sku) -> String {
    format!("cart:product:{sku}")
}
