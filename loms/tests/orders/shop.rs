//! An application for one test, driven through its use cases, with access to its databases.

use std::time::Duration;

use dev::testing::{
    Database, Servers, ServiceProcess, Topic, create_database, eventually, free_port, unique_topic,
};
use loms::domain::{IdempotencyKey, Line, Lines, NewOrder, OrderId, Quantity, Sku, UserId};
use loms::orders::Orders;
use loms::stock::Stocks;
use loms::{Application, Settings, StartError};
use service_kit::settings::Reader;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const READY_WITHIN: Duration = Duration::from_mins(1);

/// What the applications of one test share: the databases of two shards, and a topic.
pub struct Backend {
    pub servers: Servers,
    pub databases: [Database; 2],
    pub topic: Topic,
    pub pools: [PgPool; 2],
}

/// loms with two shards.
pub struct Shop {
    pub orders: Orders,
    pub stocks: Stocks,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), StartError>>,
}

impl Backend {
    pub async fn new() -> Self {
        let servers = Servers::from_env();
        let databases = [
            create_database(&servers.postgres_0, "loms").await,
            create_database(&servers.postgres_1, "loms").await,
        ];
        let topic = unique_topic(&servers.kafka, 2).await;
        let pool = |database: &Database| {
            PgPoolOptions::new().max_connections(4).connect_lazy_with(database.options())
        };
        let pools = [pool(&databases[0]), pool(&databases[1])];
        Self { servers, databases, topic, pools }
    }

    pub fn settings(&self, extra: &[(&str, &str)]) -> Settings {
        Settings::read(Reader::from_pairs(self.environment("127.0.0.1:0", extra))).unwrap()
    }

    /// The environment of an application that serves HTTP at `http`.
    pub fn environment(&self, http: &str, extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("HTTP_PORT".to_owned(), http.to_owned()),
            ("GRPC_HOST_PORT".to_owned(), "127.0.0.1:0".to_owned()),
            ("KAFKA_BROKER".to_owned(), self.servers.kafka.clone()),
            ("KAFKA_TOPIC".to_owned(), self.topic.name.clone()),
        ];
        for (shard, database) in (0..).zip(&self.databases) {
            pairs.extend(database.master_env(shard));
        }
        pairs.extend(self.databases[0].replica_env(0, &self.servers.postgres_replica_0));
        pairs.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        pairs
    }

    /// Starts a separate process and waits until it is ready.
    pub async fn launch(&self, extra: &[(&str, &str)]) -> ServiceProcess {
        let address = format!("127.0.0.1:{}", free_port());
        ServiceProcess::start("loms", &self.environment(&address, extra)).await
    }

    /// Starts an application in this process and waits until it is ready.
    pub async fn open(&self, extra: &[(&str, &str)]) -> Shop {
        let application = Application::build(&self.settings(extra)).await.unwrap();
        let (orders, stocks) = (application.orders().clone(), application.stocks().clone());
        let health = application.health().clone();
        let (stop, stopped) = oneshot::channel();
        let running = actix::spawn(application.run_until(async {
            let _ = stopped.await;
        }));
        eventually(READY_WITHIN, "the shop is ready", async || health.is_ready()).await;
        Shop { orders, stocks, stop, running }
    }

    /// Adds a SKU to the stock.
    pub async fn add_stock(&self, sku: i64, total: i64) {
        for statement in [
            "INSERT INTO stock (sku, total_count, reserved_count) VALUES ($1, $2, 0)",
            "INSERT INTO stock_seed (sku, total_count) VALUES ($1, $2)",
        ] {
            sqlx::query(statement).bind(sku).bind(total).execute(&self.pools[0]).await.unwrap();
        }
    }

    /// Waits until no event and no effect is pending.
    pub async fn at_rest(&self) {
        self.at_rest_on(&self.pools).await;
    }

    /// Like [`Self::at_rest`], for some of the databases.
    pub async fn at_rest_on(&self, pools: &[PgPool]) {
        let left = async |pool: &PgPool| -> i64 {
            let query =
                "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM stock_effects)";
            sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
        };
        let all_done = async || {
            for pool in pools {
                if left(pool).await > 0 {
                    return false;
                }
            }
            true
        };
        eventually(Duration::from_secs(20), "nothing is under way", all_done).await;
    }

    /// The number of effects, and of reservations without an order, that wait for a sweeper.
    pub async fn left_behind(&self) -> i64 {
        let mut left = 0;
        for (shard, pool) in (0..).zip(&self.pools) {
            let query =
                sqlx::query_scalar("SELECT order_id FROM reservations WHERE order_id % 1000 = $1")
                    .bind(shard);
            let held: Vec<i64> = query.fetch_all(&self.pools[0]).await.unwrap();
            let query = "SELECT (SELECT count(*) FROM stock_effects)
                + (SELECT count(*) FROM unnest($1::bigint[]) AS held (id) WHERE NOT EXISTS (
                    SELECT FROM orders WHERE orders.id = held.id))";
            let query = sqlx::query_scalar(query).bind(held);
            left += query.fetch_one(pool).await.map(|count: i64| count).unwrap();
        }
        left
    }

    /// The state of an order according to its row. `None` if there is no such order.
    pub async fn state(&self, id: i64) -> Option<String> {
        let pool = &self.pools[usize::try_from(id % 1000).unwrap()];
        sqlx::query_scalar("SELECT state FROM orders WHERE id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await
            .unwrap()
    }

    /// Creates the state after an instance died between the reservation and the order.
    pub async fn leave_reservation(
        &self,
        order: i64,
        user: i64,
        key: Option<&str>,
        sku: i64,
        count: i64,
    ) {
        sqlx::query("UPDATE stock SET reserved_count = reserved_count + $2 WHERE sku = $1")
            .bind(sku)
            .bind(count)
            .execute(&self.pools[0])
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO reservations (order_id, user_id, idempotency_key, skus, counts) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(order)
        .bind(user)
        .bind(key)
        .bind([sku])
        .bind([count])
        .execute(&self.pools[0])
        .await
        .unwrap();
    }
}

impl Shop {
    /// The number of pieces of a SKU that are left.
    pub async fn left(&self, sku: u32) -> u64 {
        self.stocks.available(Sku::try_from(sku).unwrap()).await.unwrap()
    }

    /// Stops the application as SIGTERM does.
    pub async fn close(self) {
        let Self { stop, running, .. } = self;
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }
}

/// An order of `user` for the given count of each SKU.
pub fn order(user: i64, items: &[(u32, u32)]) -> NewOrder {
    let line = |(sku, count): &(u32, u32)| Line {
        sku: Sku::try_from(*sku).unwrap(),
        count: Quantity::try_from(*count).unwrap(),
    };
    NewOrder {
        user: UserId::try_from(user).unwrap(),
        lines: Lines::new(items.iter().map(line)).unwrap(),
        key: None,
        traceparent: None,
    }
}

/// Like [`order`], under a key.
pub fn keyed(key: &str, user: i64, items: &[(u32, u32)]) -> NewOrder {
    NewOrder { key: Some(IdempotencyKey::try_from(key).unwrap()), ..order(user, items) }
}

pub fn id(number: i64) -> OrderId {
    OrderId::try_from(number).unwrap()
}
