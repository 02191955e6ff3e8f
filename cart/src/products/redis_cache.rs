//! The cache that all instances share. Every failure counts as a miss.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncCommands, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use deadpool_redis::{Connection, Manager, Pool};
use prometheus::IntCounterVec;
use service_kit::settings::{HostPort, Secret};
use service_kit::tls::PemFile;
use shared_actors::fits;
use shared_actors::health::Component;
use shared_actors::trace;
use shared_actors::{detail_span, metrics};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{Instrument, field};

use super::Product;
use crate::domain::Sku;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
const PROBE_PERIOD: Duration = Duration::from_secs(1);
/// How long sent data may remain unacknowledged before the connection counts as dead.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(2);
/// Replies that mean that the connection leads to a server that cannot serve it, for example after
/// a failover. Every other error reply is about one key or command.
const OF_THE_CONNECTION: [&str; 5] = ["READONLY", "NOAUTH", "LOADING", "MASTERDOWN", "CLUSTERDOWN"];

static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Failed requests to Redis; products then come from the product service.";
    metrics::counters_by("cache_errors_total", help, "operation", &["get", "set"])
});

/// The address of Redis, and how long it keeps a product.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// The server.
    pub address: HostPort,
    /// `None` if the connection is not encrypted.
    pub tls: Option<RedisTls>,
    /// The password; empty if Redis has none.
    pub password: Secret,
    /// The number of the database.
    pub database: i64,
    /// How long a product is kept.
    pub ttl: Duration,
    /// How long to wait for an answer. Redis usually answers in well under a millisecond; a slower
    /// answer is useless.
    pub timeout: Duration,
}

/// How the server proves itself. Its certificate must be valid and name its host.
#[derive(Clone, Debug)]
pub struct RedisTls {
    /// The certificate authorities to trust. The system's if `None`.
    pub ca: Option<PemFile>,
}

/// Products in Redis, over one connection. While there is no connection, only [`RedisCache::watch`]
/// talks to Redis, so that no request waits for a timeout.
pub struct RedisCache {
    pool: Pool,
    ttl: Duration,
    timeout: Duration,
    line: Mutex<Line>,
    /// Notified when the connection is lost or must be replaced.
    trouble: Notify,
    /// Whether a first connection attempt has ended. Until then, requests wait for it.
    tried: watch::Sender<bool>,
}

#[derive(Default)]
struct Line {
    connection: Option<MultiplexedConnection>,
    /// Incremented with each new connection.
    number: u64,
    /// The connection answers but must be replaced: nothing is written over it.
    is_unfit: bool,
}

/// What a failed command means for its connection.
enum Failure {
    /// The connection works, but the reply is an error.
    Reply(RedisError),
    Broken(String),
}

impl RedisCache {
    /// A cache without a connection; [`RedisCache::watch`] connects it.
    ///
    /// # Errors
    /// The settings are invalid for every server.
    pub fn new(settings: &RedisSettings) -> RedisResult<Self> {
        LazyLock::force(&FAILURES);
        let mut access = RedisConnectionInfo::default().set_db(settings.database);
        if !settings.password.expose().is_empty() {
            access = access.set_password(settings.password.expose());
        }
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(TCP_USER_TIMEOUT);
        let info = address(settings)?.set_redis_settings(access).set_tcp_settings(tcp);
        // `attend` and `bounded` set the timeouts.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let manager = Manager::new_with_config(info, config)?;
        let pool = Pool::builder(manager).max_size(1).build();
        let unusable = |error: deadpool_redis::BuildError| {
            (ErrorKind::InvalidClientConfig, "cannot create the connection pool", error.to_string())
        };
        Ok(Self {
            pool: pool.map_err(unusable)?,
            ttl: settings.ttl,
            timeout: settings.timeout,
            line: Mutex::default(),
            trouble: Notify::new(),
            tried: watch::Sender::new(false),
        })
    }

    /// How long a product is kept.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns the product, and how long Redis keeps it from now. A value in another format is a
    /// miss. It is overwritten when the product has been found elsewhere.
    pub async fn get(&self, sku: Sku) -> Option<(Product, Duration)> {
        let key = key(sku);
        let (value, left_ms) = self
            .run("get", true, async |mut connection| {
                let (mut same, mut pttl) = (connection.clone(), redis::cmd("PTTL"));
                pttl.arg(&key);
                tokio::try_join!(
                    connection.get::<_, Option<Vec<u8>>>(&key),
                    pttl.query_async::<i64>(&mut same)
                )
            })
            .await?;
        let product = serde_json::from_slice(&value?).ok()?;
        let left = u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0)?;
        Some((product, Duration::from_millis(left).min(self.ttl)))
    }

    /// Stores the product.
    pub async fn put(&self, sku: Sku, product: &Product) {
        let Ok(text) = serde_json::to_string(product) else { return };
        let ttl_ms = fits::<u128, u64>(self.ttl.as_millis()).max(1);
        let key = key(sku);
        self.run("set", false, async |mut connection| {
            connection.pset_ex::<_, _, ()>(&key, text, ttl_ms).await
        })
        .await;
    }

    /// Connects, pings Redis once per second and reports the result to `component`. Replaces a
    /// connection that is lost or unfit. Runs until it is dropped.
    pub async fn watch(&self, component: Component) {
        let mut calm_from = Instant::now();
        loop {
            match self.attend().await {
                Ok(()) => component.ready(),
                Err(reason) => component.waiting(reason),
            }
            self.tried.send_replace(true);
            tokio::select! {
                () = sleep(PROBE_PERIOD) => {}
                () = self.trouble.notified() => {
                    // The first trouble is handled immediately. Further trouble is handled at most
                    // once per second.
                    sleep_until(calm_from).await;
                    calm_from = Instant::now() + PROBE_PERIOD;
                }
            }
        }
    }

    async fn attend(&self) -> Result<(), String> {
        if let Some((mut connection, number)) = self.connection(false) {
            match self.bounded(connection.ping::<()>()).await {
                Ok(()) => return Ok(()),
                Err(Failure::Reply(error)) => return Err(error.to_string()),
                Err(Failure::Broken(_)) => self.lose(number),
            }
        }
        // All requests share this connection. It is taken out of the pool, which would otherwise
        // check it at each request.
        let connection = timeout(CONNECT_TIMEOUT, self.pool.get()).await;
        let connection = connection.map_err(|_| "no answer".to_owned())?;
        let connection = Connection::take(connection.map_err(|error| error.to_string())?);
        let mut line = self.line();
        *line = Line { connection: Some(connection), number: line.number + 1, is_unfit: false };
        Ok(())
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        only_reads: bool,
        work: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Option<T> {
        if !*self.tried.borrow() {
            // This happens only at the start of the process.
            let _ = timeout(CONNECT_TIMEOUT, self.tried.subscribe().wait_for(|tried| *tried)).await;
        }
        let (connection, number) = self.connection(only_reads)?;
        let span = detail_span!(
            "redis",
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = field::Empty,
            error.type = field::Empty,
            db.system.name = "redis",
            db.operation.name = operation,
        );
        let failure = match self.bounded(work(connection)).instrument(span.clone()).await {
            Ok(value) => return Some(value),
            Err(failure) => failure,
        };
        trace::failed(&span, "unavailable");
        FAILURES.with_label_values(&[operation]).inc();
        match failure {
            Failure::Reply(error) => {
                tracing::warn!(operation, %error, "Redis refused a command");
                if error.code().is_some_and(|code| OF_THE_CONNECTION.contains(&code)) {
                    self.replace(number);
                }
            }
            Failure::Broken(error) => {
                tracing::warn!(operation, error, "Redis failed, continuing without it");
                self.lose(number);
            }
        }
        None
    }

    async fn bounded<T>(&self, work: impl Future<Output = RedisResult<T>>) -> Result<T, Failure> {
        match timeout(self.timeout, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error))
                if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) =>
            {
                Err(Failure::Reply(error))
            }
            Ok(Err(error)) => Err(Failure::Broken(error.to_string())),
            Err(_) => Err(Failure::Broken("no answer".to_owned())),
        }
    }

    /// Returns the connection and its number, if there is a connection that permits the operation.
    fn connection(&self, only_reads: bool) -> Option<(MultiplexedConnection, u64)> {
        let line = self.line();
        let connection = line.connection.clone().filter(|_| only_reads || !line.is_unfit)?;
        Some((connection, line.number))
    }

    /// Stops using the connection.
    fn lose(&self, number: u64) {
        let mut line = self.line();
        if line.number == number && line.connection.take().is_some() {
            self.trouble.notify_one();
        }
    }

    /// Uses the connection only for reads until it is replaced.
    fn replace(&self, number: u64) {
        let mut line = self.line();
        if line.number == number && !line.is_unfit {
            line.is_unfit = true;
            self.trouble.notify_one();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(settings: &RedisSettings) -> RedisResult<ConnectionInfo> {
    let (host, port) = (settings.address.host.clone(), settings.address.port);
    let Some(tls) = &settings.tls else {
        return ConnectionAddr::Tcp(host, port).into_connection_info();
    };
    let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
    let root_cert = tls.ca.as_ref().map(|ca| ca.bytes().to_vec());
    let certificates = TlsCertificates { client_tls: None, root_cert };
    Ok(Client::build_with_tls(address, certificates)?.get_connection_info().clone())
}

fn key(sku: Sku) -> String {
    format!("cart:product:{sku}")
}
