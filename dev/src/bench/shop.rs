//! The services under measurement, with everything on, as they ship.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use loms_proto::{Item, Order, OrderCreateRequest};
use prost::Message;
use sqlx::Executor;

use super::cpu::{self, Meter, Usage};
use super::generators::{Load, Method, h2load};
use crate::http;
use crate::product_stand_in::ProductStandIn;
use crate::stack::ports::on_loopback;
use crate::testing::{
    Database, Servers, ServiceProcess, Topic, create_database, free_port, unique_topic,
};

/// How long events may take to arrive after a load.
const ARRIVED_WITHIN: Duration = Duration::from_mins(5);
/// How old the backlog can be that loms reports.
const BACKLOG_AGE: Duration = Duration::from_millis(1_100);
/// SKUs 1 to this number are in stock, with more pieces than any load orders.
pub const SKUS: u64 = 1_000;

type Env = Vec<(String, String)>;

/// Which parts of the shop run, and how.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Events are not published, because no broker answers.
    pub without_kafka: bool,
    /// cart runs too.
    pub cart: bool,
    /// How many shards of orders, if not two. They are on two servers in turn.
    pub shards: Option<u16>,
    /// More settings for loms.
    pub loms: Vec<(&'static str, String)>,
    /// More settings for cart.
    pub cart_settings: Vec<(&'static str, String)>,
}

/// A running shop on empty databases.
pub struct Shop {
    pub loms: ServiceProcess,
    pub cart: Option<ServiceProcess>,
    pub notifier: Option<ServiceProcess>,
    pub shards: Vec<Database>,
    pub carts: Vec<Database>,
    pub grpc: u16,
    loms_env: Env,
    servers: Servers,
    _notifications: Database,
    pub topic: Topic,
    _products: ProductStandIn,
}

/// What a load did, and what it cost.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub load: Load,
    /// How many operations succeeded.
    pub succeeded: f64,
    /// The CPU seconds of each process, the load generator included.
    pub cpu: Vec<(&'static str, f64)>,
    /// The resident memory of each of our services after the load, in bytes.
    pub resident: Vec<(&'static str, u64)>,
}

impl Shop {
    pub async fn start(servers: &Servers, parts: Parts) -> Result<Self> {
        let mut shards = Vec::new();
        for shard in 0..parts.shards.unwrap_or(2) {
            let server = if shard % 2 == 0 { &servers.postgres_0 } else { &servers.postgres_1 };
            shards.push(create_database(server, "bench_loms").await);
        }
        let topic = unique_topic(&servers.kafka, 2).await;
        let products = ProductStandIn::start()?;
        let grpc = free_port();
        let mut env = shards[0].replica_env(0, &servers.postgres_replica_0);
        for (shard, number) in shards.iter().zip(0..) {
            env.extend(shard.master_env(number));
        }
        let broker = if parts.without_kafka { "127.0.0.1:1" } else { &servers.kafka };
        env.extend(settings([
            ("HTTP_PORT", on_loopback(free_port())),
            ("GRPC_HOST_PORT", on_loopback(grpc)),
            ("KAFKA_BROKER", broker.to_owned()),
            ("KAFKA_TOPIC", topic.name.clone()),
            ("RUST_LOG", "warn".to_owned()),
        ]));
        env.extend(settings(parts.loms));
        let loms = ServiceProcess::start("loms", &env).await;
        let loms_env = env;
        shards[0].connect().await.execute(FILL_STOCK).await?;

        let notifications = create_database(&servers.postgres_0, "bench_notifier").await;
        let notifier = if parts.without_kafka {
            None
        } else {
            let mut env = notifications.master_env(0);
            env.extend(settings([
                ("HTTP_PORT", on_loopback(free_port())),
                ("KAFKA_BROKER", servers.kafka.clone()),
                ("KAFKA_TOPIC", topic.name.clone()),
                ("KAFKA_GROUP_ID", topic.name.clone()),
                ("RUST_LOG", "warn,notification=info".to_owned()),
            ]));
            Some(ServiceProcess::start("notifier", &env).await)
        };

        let mut carts = Vec::new();
        let mut cart = None;
        if parts.cart {
            for server in [&servers.postgres_0, &servers.postgres_1] {
                carts.push(create_database(server, "bench_cart").await);
            }
            let mut env = [carts[0].master_env(0), carts[1].master_env(1)].concat();
            env.extend(settings([
                ("HOST_PORT", on_loopback(free_port())),
                ("LOMS_BASE_URL", format!("127.0.0.1:{grpc}")),
                ("PRODUCT_SERVICE_BASE_URL", products.base_url().to_owned()),
                ("REQUESTS_PER_SECOND", "1000".to_owned()),
                ("REDIS_ADDRESS", servers.redis.clone()),
                ("RUST_LOG", "warn".to_owned()),
            ]));
            env.extend(settings(parts.cart_settings));
            cart = Some(ServiceProcess::start("cart", &env).await);
        }
        let servers = servers.clone();
        Ok(Self {
            loms,
            cart,
            notifier,
            shards,
            carts,
            grpc,
            loms_env,
            servers,
            _notifications: notifications,
            topic,
            _products: products,
        })
    }

    /// Runs a load and measures what it costs until its events have arrived. `succeeded` is the
    /// counter of loms or cart that tells how many operations succeeded.
    pub async fn measure(
        &self,
        succeeded: &Counter<'_>,
        load: impl Future<Output = Result<Load>>,
    ) -> Result<Measured> {
        let meter = self.meter()?;
        let (before, generator, done) =
            (meter.read()?, cpu::of_ended_children()?, succeeded.read().await?);
        let load = load.await?;
        let generator = cpu::of_ended_children()? - generator;
        let done = succeeded.read().await? - done;
        self.events_arrived().await?;
        let after = meter.read()?;
        let spent =
            |((name, before), (_, after)): (&(&'static str, Usage), &(&'static str, Usage))| {
                (*name, after.cpu_seconds - before.cpu_seconds)
            };
        let mut cpu: Vec<(&'static str, f64)> = before.iter().zip(&after).map(spent).collect();
        cpu.push(("load", generator));
        let ours = ["loms", "cart", "notifier"];
        let resident = after.iter().filter(|(name, _)| ours.contains(name));
        let resident = resident.map(|(name, usage)| (*name, usage.resident_bytes)).collect();
        Ok(Measured { load, succeeded: done, cpu, resident })
    }

    /// A counter of the notifier.
    pub fn notifier_counter<'a>(&self, parts: &'a [&'a str]) -> Result<Counter<'a>> {
        let notifier = self.notifier.as_ref().context("the notifier runs")?;
        Ok(Counter::of(notifier, parts))
    }

    /// Creates orders of one piece each, for `lasting`. The orders of each connection are for one
    /// user and one SKU.
    pub async fn create_orders(
        &self,
        connections: u64,
        skus: u64,
        in_flight: usize,
        lasting: Duration,
    ) -> Result<Measured> {
        let messages = orders(connections, skus);
        let load = h2load(create_order(self.grpc), &messages, in_flight, lasting);
        self.measure(&self.counter(&["api_requests_total", "OrderCreate", "\"OK\""]), load).await
    }

    /// Starts another loms on the same databases. Returns it with its gRPC port.
    pub async fn another_loms(&self) -> (ServiceProcess, u16) {
        let (http, grpc) = (free_port(), free_port());
        let mut env = self.loms_env.clone();
        env.retain(|(name, _)| name != "HTTP_PORT" && name != "GRPC_HOST_PORT");
        env.extend(settings([
            ("HTTP_PORT", on_loopback(http)),
            ("GRPC_HOST_PORT", on_loopback(grpc)),
        ]));
        (ServiceProcess::start("loms", &env).await, grpc)
    }

    /// The sum of what a query counts on each shard of orders.
    pub async fn count(&self, query: &'static str) -> Result<i64> {
        let mut sum = 0;
        for shard in &self.shards {
            sum +=
                sqlx::query_scalar::<_, i64>(query).fetch_one(&mut shard.connect().await).await?;
        }
        Ok(sum)
    }

    /// A counter of loms.
    pub fn counter<'a>(&self, parts: &'a [&'a str]) -> Counter<'a> {
        Counter::of(&self.loms, parts)
    }

    /// A counter of cart.
    pub fn cart_counter<'a>(&self, parts: &'a [&'a str]) -> Result<Counter<'a>> {
        let cart = self.cart.as_ref().context("cart runs")?;
        Ok(Counter::of(cart, parts))
    }

    /// Waits until all events are published and notified.
    async fn events_arrived(&self) -> Result<()> {
        let Some(notifier) = &self.notifier else { return Ok(()) };
        let sent = Counter::of(notifier, &["notifications_total", "sent"]);
        let published = self.counter(&["events_published_total"]);
        let backlog = self.counter(&["outbox_backlog"]);
        let begun = Instant::now();
        let mut arrived_since: Option<Instant> = None;
        loop {
            let all =
                backlog.read().await? == 0.0 && sent.read().await? >= published.read().await?;
            arrived_since = all.then(|| arrived_since.unwrap_or_else(Instant::now));
            if arrived_since.is_some_and(|since| since.elapsed() > BACKLOG_AGE) {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < ARRIVED_WITHIN,
                "the events of a load did not arrive in time"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn meter(&self) -> Result<Meter> {
        let mut meter = Meter::default();
        meter.add("loms", self.loms.id())?;
        for (name, service) in [("cart", &self.cart), ("notifier", &self.notifier)] {
            if let Some(service) = service {
                meter.add(name, service.id())?;
            }
        }
        meter.add_server("shard 0", &self.servers.postgres_0)?;
        meter.add_server("shard 1", &self.servers.postgres_1)?;
        meter.add_server("replica", &self.servers.postgres_replica_0)?;
        meter.add_server("Kafka", &self.servers.kafka)?;
        meter.add_server("Redis", &self.servers.redis)?;
        Ok(meter)
    }

    /// Ends the services. The databases stay until this is dropped.
    pub async fn stop_services(&mut self) {
        for service in [&mut self.cart, &mut self.notifier].into_iter().flatten() {
            service.terminate().await;
        }
        self.loms.terminate().await;
    }
}

/// Samples of a service's metrics: those whose line begins with the first part and contains the
/// others.
pub struct Counter<'a> {
    url: String,
    parts: &'a [&'a str],
}

impl<'a> Counter<'a> {
    /// The counter of a service.
    pub fn of(service: &ServiceProcess, parts: &'a [&'a str]) -> Self {
        Self { url: format!("{}/metrics", service.base_url()), parts }
    }

    /// The sum of the samples.
    pub async fn read(&self) -> Result<f64> {
        let value = |line: &String| line.rsplit(' ').next()?.parse::<f64>().ok();
        Ok(self.samples().await?.iter().filter_map(value).sum())
    }

    /// The samples, each as a line of text.
    pub async fn samples(&self) -> Result<Vec<String>> {
        let text = http::client().get(&self.url).send().await?.text().await?;
        let (name, others) = self.parts.split_first().context("a counter has a name")?;
        let matches =
            |line: &&str| line.starts_with(name) && others.iter().all(|part| line.contains(part));
        Ok(text.lines().filter(matches).map(str::to_owned).collect())
    }
}

const FILL_STOCK: &str = "
INSERT INTO stock (sku, total_count, reserved_count) SELECT sku, 1000000000, 0 FROM generate_series(1, 1100) sku
ON CONFLICT (sku) DO UPDATE SET total_count = excluded.total_count;
INSERT INTO stock_seed SELECT sku, total_count FROM stock ON CONFLICT (sku) DO UPDATE SET total_count = excluded.total_count";

/// The method that creates an order.
pub fn create_order(port: u16) -> Method<'static> {
    Method { port, path: "/Loms/OrderCreate", per_second: None, token: None }
}

/// Requests to create an order of one piece, each of another user.
pub fn orders(users: u64, skus: u64) -> Vec<Vec<u8>> {
    (0..users).map(|user| order(user + 1, user % skus + 1)).collect()
}

fn order(user: u64, sku: u64) -> Vec<u8> {
    let items = vec![Item { sku: u32::try_from(sku).unwrap_or(1), count: 1 }];
    let order = Order { user: user.cast_signed(), items, ..Order::default() };
    OrderCreateRequest { order: Some(order), ..OrderCreateRequest::default() }.encode_to_vec()
}

fn settings<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Env {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
