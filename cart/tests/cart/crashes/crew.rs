//! Two instances of cart, and the loms that they use.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use cart::Settings;
use cart::verify::verify;
use dev::testing::{
    Database, Proxy, ServiceProcess, Signal, Topic, create_database, eventually, free_port,
    http_client, unique_topic,
};
use service_kit::settings::Reader;
use service_kit::verify::Report;
use sqlx::{AssertSqlSafe, Executor};

use super::load::SKUS;
use crate::support::{Client, Shop};

/// How long a start may take on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long each message between cart and loms travels. Checkouts are open for longer then, and more
/// happens meanwhile.
const DISTANCE: Duration = Duration::from_millis(8);

type Env = Vec<(String, String)>;

pub struct Crew<'a> {
    pub shop: &'a Shop,
    pub loms_databases: [Database; 2],
    /// Between cart and loms.
    pub proxy: Proxy,
    verify: Env,
    services: [Service; 3],
    _topic: Topic,
}

/// A process that is killed and started again.
struct Service {
    binary: &'static str,
    env: Env,
    process: ServiceProcess,
}

/// The place of loms among the services. The others are cart.
pub const LOMS: usize = 2;

impl<'a> Crew<'a> {
    pub async fn start(shop: &'a Shop) -> Self {
        let servers = &shop.servers;
        let loms_databases = [
            create_database(&servers.postgres_0, "loms").await,
            create_database(&servers.postgres_1, "loms").await,
        ];
        let topic = unique_topic(&servers.kafka, 2).await;
        let grpc = format!("127.0.0.1:{}", free_port());
        let mut env: Env = loms_databases[0].master_env(0);
        env.extend(loms_databases[1].master_env(1));
        env.extend(settings(&[
            ("HTTP_PORT", &format!("127.0.0.1:{}", free_port())),
            ("GRPC_HOST_PORT", &grpc),
            ("KAFKA_BROKER", &servers.kafka),
            ("KAFKA_TOPIC", &topic.name),
            ("RUST_LOG", "error"),
        ]));
        let loms = Service::start("loms", env).await;
        let proxy = Proxy::to(&grpc);
        proxy.delay(DISTANCE);
        let cart = async || {
            let mut env = shop.env();
            env.retain(|(name, _)| name != "HOST_PORT" && name != "LOMS_BASE_URL");
            env.extend(settings(&[
                ("HOST_PORT", &format!("127.0.0.1:{}", free_port())),
                ("LOMS_BASE_URL", &proxy.address()),
                ("LOMS_TIMEOUT", "1s"),
                ("REQUEST_TIMEOUT", "3s"),
                ("REQUESTS_PER_SECOND", "1000"),
                ("CHECKOUT_GRACE", "300ms"),
                ("SWEEP_INTERVAL", "100ms"),
                ("RUST_LOG", "error"),
            ]));
            Service::start("cart", env).await
        };
        let services = [cart().await, cart().await, loms];
        let mut verify = shop.env();
        for (shard, database) in (0..).zip(&loms_databases) {
            let own = database.master_env(shard);
            verify.extend(own.into_iter().map(|(name, value)| (format!("LOMS_{name}"), value)));
        }
        let crew = Self { shop, loms_databases, proxy, verify, services, _topic: topic };
        for (sku, total) in SKUS.into_iter().zip([1_000_000, 1_000_000, 400]) {
            crew.stock(sku, total).await;
        }
        crew
    }

    async fn stock(&self, sku: u32, total: i64) {
        let mut connection = self.loms_databases[0].connect().await;
        for table in ["stock", "stock_seed"] {
            let set = format!("update {table} set total_count = {total} where sku = {sku}");
            connection.execute(AssertSqlSafe(set)).await.unwrap();
        }
    }

    /// What `cart verify` finds.
    pub async fn verify(&self) -> Report {
        let settings = Settings::read(Reader::from_pairs(self.verify_env())).unwrap();
        verify(&settings).await.unwrap()
    }

    /// The settings of `cart verify`.
    pub fn verify_env(&self) -> Env {
        self.verify.clone()
    }

    /// Clients of both instances of cart.
    pub fn clients(&self) -> [Client; 2] {
        [0, 1].map(|cart: usize| Client::at(self.services[cart].process.base_url()))
    }

    /// Kills a service and starts it again so that it dies the n-th time it reaches the point.
    /// Waits until it is ready or already dead.
    pub async fn arm(&mut self, service: usize, point: &str, times: u32) {
        self.kill(service);
        let victim = &mut self.services[service];
        let mut env = victim.env.clone();
        env.extend(settings(&[("CRASH_AT", &format!("{point}#{times}"))]));
        victim.process = ServiceProcess::launch(victim.binary, &env);
        let url = format!("{}/readyz", victim.process.base_url());
        let client = http_client();
        eventually(READY_WITHIN, "the armed service works or is dead", async || {
            let answer = client.get(&url).send().await;
            self.is_dead(service) || answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    pub fn kill(&mut self, service: usize) {
        self.services[service].process.kill9();
    }

    pub fn signal(&mut self, service: usize, signal: Signal) {
        self.services[service].process.signal(signal);
    }

    /// Whether the service was killed. If it ended in any other way, the test fails.
    pub fn is_dead(&mut self, service: usize) -> bool {
        let Service { binary, process, .. } = &mut self.services[service];
        let Some(status) = process.exited() else { return false };
        let killed = status.signal() == Some(Signal::SIGKILL as i32);
        assert!(killed, "{binary} ended by itself, {status}:\n{}", process.log());
        true
    }

    /// Starts every service that has died, without a crash point, and waits until it is ready.
    pub async fn recover(&mut self) {
        for service in 0..self.services.len() {
            if self.is_dead(service) {
                let dead = &mut self.services[service];
                dead.process = ServiceProcess::launch(dead.binary, &dead.env);
            }
        }
        for service in &mut self.services {
            service.process.ready().await;
        }
    }
}

impl Service {
    async fn start(binary: &'static str, env: Env) -> Self {
        let process = ServiceProcess::start(binary, &env).await;
        Self { binary, env, process }
    }
}

fn settings(settings: &[(&str, &str)]) -> Env {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
