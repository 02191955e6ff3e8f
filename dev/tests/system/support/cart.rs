//! cart as it ships, with its own databases.

use dev::testing::{Database, Servers, ServiceProcess, create_database, free_port};
use serde_json::{Value, json};

use super::{Answer, Env, Rest, Samples, on_loopback, set};

/// A running cart with two shards.
#[derive(Debug)]
pub struct Cart {
    pub process: ServiceProcess,
    pub shards: [Database; 2],
}

impl Cart {
    /// Starts cart with a loms and a product service, and with `more` settings besides the required
    /// ones. Waits until it is ready.
    pub async fn start(servers: &Servers, loms_port: u16, products: &str, more: Env) -> Self {
        let shards = [
            create_database(&servers.postgres_0, "cart").await,
            create_database(&servers.postgres_1, "cart").await,
        ];
        let mut env = [shards[0].master_env(0), shards[1].master_env(1)].concat();
        env.extend(Self::addresses(&servers.redis, loms_port, products));
        env.extend(more);
        let process = ServiceProcess::start("cart", &env).await;
        Self { process, shards }
    }

    /// The settings for cart's port and for the services that it calls.
    pub fn addresses(redis: &str, loms_port: u16, products: &str) -> Env {
        vec![
            set("HOST_PORT", on_loopback(free_port())),
            set("LOMS_BASE_URL", format!("127.0.0.1:{loms_port}")),
            set("PRODUCT_SERVICE_BASE_URL", products),
            set("REDIS_ADDRESS", redis),
            set("REQUESTS_PER_SECOND", 1000),
        ]
    }

    /// The current metrics.
    pub async fn samples(&self) -> Samples {
        Samples::parse(&self.client().0.get("/metrics").await.expect(200).body)
    }

    /// A client of cart's REST calls.
    pub fn client(&self) -> CartClient {
        CartClient(Rest::new(self.process.base_url()))
    }
}

/// cart's five calls.
#[derive(Debug, Clone)]
pub struct CartClient(pub Rest);

impl CartClient {
    /// Adds pieces of a SKU.
    pub async fn add(&self, user: i64, sku: u32, count: u32) -> Answer {
        self.0.post(&line(user, sku), json!({ "count": count })).await
    }

    /// Adds pieces of a SKU under an idempotency key.
    pub async fn add_keyed(&self, user: i64, sku: u32, count: u32, key: &str) -> Answer {
        self.post_keyed(&line(user, sku), json!({ "count": count }), key).await
    }

    /// Removes a SKU from the cart.
    pub async fn remove(&self, user: i64, sku: u32) -> Answer {
        self.0.delete(&line(user, sku)).await
    }

    /// Removes the whole cart.
    pub async fn clear(&self, user: i64) -> Answer {
        self.0.delete(&format!("/user/{user}/cart")).await
    }

    /// Shows the cart.
    pub async fn show(&self, user: i64) -> Answer {
        self.0.get(&format!("/user/{user}/cart")).await
    }

    /// `(sku, count)` of each line. Empty if the cart is empty.
    pub async fn lines(&self, user: i64) -> Vec<(u64, u64)> {
        let answer = self.show(user).await;
        if answer.status == 404 {
            return Vec::new();
        }
        let cart = answer.expect(200).json();
        let number = |value: &Value| value.as_u64().unwrap();
        let items = cart["items"].as_array().unwrap();
        items.iter().map(|item| (number(&item["sku_id"]), number(&item["count"]))).collect()
    }

    /// Checks out.
    pub async fn checkout(&self, user: i64) -> Answer {
        self.0.post("/cart/checkout", json!({ "user": user })).await
    }

    /// Checks out under an idempotency key.
    pub async fn checkout_keyed(&self, user: i64, key: &str) -> Answer {
        self.post_keyed("/cart/checkout", json!({ "user": user }), key).await
    }

    /// Checks out and returns the order's id.
    pub async fn order(&self, user: i64) -> i64 {
        self.checkout(user).await.expect(200).json()["orderID"]
            .as_i64()
            .expect("orderID is a number")
    }

    async fn post_keyed(&self, path: &str, body: Value, key: &str) -> Answer {
        let request = self.0.request(reqwest::Method::POST, path).header("Idempotency-Key", key);
        Answer::of(request.body(body.to_string())).await
    }
}

fn line(user: i64, sku: u32) -> String {
    format!("/user/{user}/cart/{sku}")
}
