//! loms as it ships, with its own databases and topic, and direct access to its tables.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dev::testing::{
    Database, Servers, ServiceProcess, Topic, create_database, free_port, unique_topic,
};
use sqlx::{Connection, PgConnection};

use super::{
    Env, EventReader, LomsClient, Rest, SOON, Samples, eventually, on_loopback, run_to_end, set,
};

/// The initial stock of a new database: SKU, total, reserved.
pub const SEEDS: [(u32, i64, i64); 5] =
    [(773_297_411, 150, 10), (1002, 200, 20), (1003, 250, 30), (1004, 300, 40), (1005, 350, 50)];

/// The next SKU that the product service does not have.
static NEXT_SKU: AtomicU32 = AtomicU32::new(3_000_000);
/// The next SKU that the product service has.
static NEXT_PRODUCT: AtomicU32 = AtomicU32::new(1006);

/// A running loms with two shards. Shard 0 has a replica.
#[derive(Debug)]
pub struct Loms {
    pub process: ServiceProcess,
    pub shards: [Database; 2],
    pub topic: Topic,
    pub grpc_port: u16,
    settings: Env,
}

impl Loms {
    /// Starts loms with `more` settings besides the required ones, and waits until it is ready.
    pub async fn start(servers: &Servers, more: Env) -> Self {
        let shards = [
            create_database(&servers.postgres_0, "loms").await,
            create_database(&servers.postgres_1, "loms").await,
        ];
        let topic = unique_topic(&servers.kafka, 2).await;
        let grpc_port = free_port();
        let mut env = shards[0].master_env(0);
        env.extend(shards[0].replica_env(0, &servers.postgres_replica_0));
        env.extend(shards[1].master_env(1));
        env.extend(Self::addresses(grpc_port, &servers.kafka, &topic.name));
        env.extend(more);
        let process = ServiceProcess::start("loms", &env).await;
        Self { process, shards, topic, grpc_port, settings: env }
    }

    /// Starts another instance on the same databases and topic.
    pub async fn another(&self) -> (ServiceProcess, LomsClient) {
        let grpc_port = free_port();
        let mut process = self.launch_another(vec![set("GRPC_HOST_PORT", on_loopback(grpc_port))]);
        process.ready().await;
        (process, LomsClient::new(grpc_port))
    }

    /// Starts another instance with other settings, and does not wait until it is ready.
    pub fn launch_another(&self, more: Env) -> ServiceProcess {
        let mut env = self.settings.clone();
        for port in ["HTTP_PORT", "GRPC_HOST_PORT"] {
            env.push(set(port, on_loopback(free_port())));
        }
        env.extend(more);
        ServiceProcess::launch("loms", &env)
    }

    /// The settings for ports, broker and topic.
    pub fn addresses(grpc_port: u16, kafka: &str, topic: &str) -> Env {
        vec![
            set("HTTP_PORT", on_loopback(free_port())),
            set("GRPC_HOST_PORT", on_loopback(grpc_port)),
            set("KAFKA_BROKER", kafka),
            set("KAFKA_TOPIC", topic),
        ]
    }

    /// A gRPC client with its own connection.
    pub fn client(&self) -> LomsClient {
        LomsClient::new(self.grpc_port)
    }

    /// A client of the REST gateway.
    pub fn gateway(&self) -> Rest {
        Rest::new(self.process.base_url())
    }

    /// The current metrics.
    pub async fn samples(&self) -> Samples {
        Samples::parse(&Rest::new(self.process.base_url()).get("/metrics").await.expect(200).body)
    }

    /// Waits until `loms verify` finds nothing, because sweepers need time for their work.
    pub async fn is_sound(&self) {
        eventually(Duration::from_mins(1), "loms verify finds nothing", async || {
            let ended = run_to_end("loms", &["verify"], &self.settings).await;
            if ended.code == Some(0) { Ok(()) } else { Err(ended) }
        })
        .await;
    }

    /// Reads this loms's events from the first one on.
    pub fn events(&self) -> EventReader {
        EventReader::open(&self.topic.host_port, &self.topic.name)
    }

    /// Puts `total` pieces of a new SKU into stock. The product service does not have it.
    pub async fn stock(&self, total: i64) -> u32 {
        let sku = new_sku();
        self.stock_of(sku, total).await;
        sku
    }

    /// Puts `total` pieces of a SKU that the product service has into stock. No other test sells
    /// it.
    pub async fn stock_product(&self, total: i64) -> u32 {
        let sku = NEXT_PRODUCT.fetch_add(1, Ordering::Relaxed);
        assert!(sku < 1326, "the stand-in has no more products");
        self.stock_of(sku, total).await;
        sku
    }

    /// Puts `total` pieces of this SKU into stock.
    pub async fn stock_of(&self, sku: u32, total: i64) {
        let statement = "with stocked as (insert into stock (sku, total_count, reserved_count) values ($1, $2, 0) returning *)
            insert into stock_seed (sku, total_count) select sku, total_count from stocked";
        sqlx::query(statement)
            .bind(i64::from(sku))
            .bind(total)
            .execute(&mut self.shards[0].connect().await)
            .await
            .unwrap();
    }

    /// `(total_count, reserved_count)` of a SKU, according to the table.
    pub async fn stock_row(&self, sku: u32) -> (i64, i64) {
        let mut connection = self.shards[0].connect().await;
        let row = stock_row(&mut connection, sku).await;
        close(connection).await;
        row
    }

    /// Waits until the table has these counts for a SKU, since the stock may lag behind an answer.
    #[track_caller]
    pub fn stock_becomes(&self, sku: u32, expected: (i64, i64)) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let what = format!("the stock of {sku} is {expected:?} ({caller})");
            let mut connection = self.shards[0].connect().await;
            eventually(SOON, &what, async || {
                let row = stock_row(&mut connection, sku).await;
                if row == expected { Ok(()) } else { Err(row) }
            })
            .await;
            close(connection).await;
        }
    }

    /// `(id, state)` of a user's orders on all shards, according to the tables.
    pub async fn orders_of(&self, user: i64) -> Vec<(i64, String)> {
        self.orders().await.remove(&user).unwrap_or_default()
    }

    /// `(id, state)` of all orders, by user.
    pub async fn orders(&self) -> HashMap<i64, Vec<(i64, String)>> {
        let mut found: HashMap<i64, Vec<(i64, String)>> = HashMap::new();
        for shard in &self.shards {
            let mut connection = shard.connect().await;
            let query = "select user_id, id, state::text from orders order by id";
            let rows: Vec<(i64, i64, String)> =
                sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
            for (user, id, state) in rows {
                found.entry(user).or_default().push((id, state));
            }
            close(connection).await;
        }
        found
    }
}

/// A SKU that neither the stock nor the product service has.
pub fn new_sku() -> u32 {
    NEXT_SKU.fetch_add(1, Ordering::Relaxed)
}

async fn stock_row(connection: &mut PgConnection, sku: u32) -> (i64, i64) {
    let query = "select total_count::bigint, reserved_count::bigint from stock where sku = $1";
    sqlx::query_as(query).bind(i64::from(sku)).fetch_one(connection).await.unwrap()
}

async fn close(connection: PgConnection) {
    connection.close().await.unwrap();
}
