//! The shop and its client.

use std::collections::BTreeMap;

use cart::{Application, Settings};
use dev::testing::{Database, ProductStandIn, Servers, create_database, eventually, http_client};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::settings::Reader;
use sqlx::PgConnection;

use super::{LomsStandIn, SOON};

/// SKUs that the product stand-in knows.
const SKUS: [u32; 5] = [773_297_411, 1002, 1003, 1004, 1005];

/// Two databases and the stand-ins. Any number of cart services can run on them.
pub struct Shop {
    pub servers: Servers,
    pub databases: [Database; 2],
    pub products: ProductStandIn,
    pub loms: LomsStandIn,
    /// Settings that override those of the shop.
    pub settings: Vec<(String, String)>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<u64>,
}

/// A client of one cart service.
#[derive(Clone, Debug)]
pub struct Client {
    pub base_url: String,
    http: reqwest::Client,
    /// The value of the `Grpc-Timeout` header.
    patience: Option<&'static str>,
}

impl Shop {
    pub async fn open() -> Self {
        let servers = Servers::from_env();
        let databases = [
            create_database(&servers.postgres_0, "cart").await,
            create_database(&servers.postgres_1, "cart").await,
        ];
        let products = ProductStandIn::start().unwrap();
        let loms = LomsStandIn::start().await;
        for sku in SKUS {
            loms.stock(sku, 1_000_000);
        }
        Self { servers, databases, products, loms, settings: Vec::new() }
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.settings.retain(|(own, _)| own != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            ("HOST_PORT".to_owned(), "127.0.0.1:0".to_owned()),
            ("HTTP_WORKERS".to_owned(), "1".to_owned()),
            ("LOMS_BASE_URL".to_owned(), self.loms.address.to_string()),
            ("PRODUCT_SERVICE_BASE_URL".to_owned(), self.products.base_url().to_owned()),
            ("REDIS_ADDRESS".to_owned(), self.servers.redis.clone()),
            // A Redis database in which no other test uses the same SKUs.
            ("REDIS_DB_INDEX".to_owned(), "0".to_owned()),
            ("DATABASE_MAX_CONNECTIONS".to_owned(), "4".to_owned()),
        ];
        for (shard, database) in (0..).zip(&self.databases) {
            env.extend(database.master_env(shard));
        }
        env.retain(|(name, _)| self.settings.iter().all(|(own, _)| own != name));
        env.extend(self.settings.iter().cloned());
        env
    }

    /// Starts a cart service and waits until it is ready.
    pub async fn start(&self) -> Application {
        let settings = Settings::read(Reader::from_pairs(self.env())).unwrap();
        let application = Application::build(&settings).unwrap();
        let health = application.health().clone();
        eventually(SOON, "the cart service is ready", async || health.is_ready()).await;
        application
    }

    /// The sum over all databases of the number that `query` returns.
    pub async fn count(&self, query: &'static str) -> i64 {
        let mut sum = 0;
        for database in &self.databases {
            let mut connection: PgConnection = database.connect().await;
            sum += sqlx::query_scalar::<_, i64>(query).fetch_one(&mut connection).await.unwrap();
        }
        sum
    }

    /// Waits until no checkout is open. After an interrupted attempt, the sweepers would rest for up to
    /// 45 s; here they do not.
    pub async fn all_settled(&self) {
        eventually(SOON, "no checkout is open", async || {
            self.execute("update checkout_intents set next_attempt_at = now()").await;
            let open = self.count("select count(*) from checkout_intents").await;
            if open == 0 { Ok(()) } else { Err(open) }
        })
        .await;
    }

    /// Runs a statement on all databases.
    pub async fn execute(&self, statement: &'static str) {
        for database in &self.databases {
            let mut connection: PgConnection = database.connect().await;
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
    }
}

impl Client {
    pub fn of(application: &Application) -> Self {
        Self::at(format!("http://{}", application.address()))
    }

    pub fn at(base_url: String) -> Self {
        Self { base_url, http: http_client(), patience: None }
    }

    /// The same client with a timeout of `patience`, such as `250m`.
    pub fn patient_for(&self, patience: &'static str) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    pub async fn add(&self, user: i64, sku: u32, count: u32) -> Reply {
        self.post(&format!("/user/{user}/cart/{sku}"), &json!({"count": count}), None).await
    }

    /// Adds pieces of some SKUs. Each call must succeed.
    pub async fn fill(&self, user: i64, lines: &[(u32, u32)]) {
        for (sku, count) in lines {
            let reply = self.add(user, *sku, *count).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    pub async fn add_with_key(&self, user: i64, sku: u32, count: u32, key: &str) -> Reply {
        self.post(&format!("/user/{user}/cart/{sku}"), &json!({"count": count}), Some(key)).await
    }

    pub async fn checkout(&self, user: i64) -> Reply {
        self.post("/cart/checkout", &json!({"user": user}), None).await
    }

    pub async fn checkout_with_key(&self, user: i64, key: &str) -> Reply {
        self.post("/cart/checkout", &json!({"user": user}), Some(key)).await
    }

    /// Like [`Self::checkout_with_key`], for a service that may die meanwhile.
    pub async fn try_checkout_with_key(
        &self,
        user: i64,
        key: &str,
    ) -> Result<Reply, reqwest::Error> {
        let body = json!({"user": user}).to_string();
        self.try_send(Method::POST, "/cart/checkout", Some(body), Some(key)).await
    }

    pub async fn remove(&self, user: i64, sku: u32) -> Reply {
        self.send(Method::DELETE, &format!("/user/{user}/cart/{sku}"), None, None).await
    }

    pub async fn clear(&self, user: i64) -> Reply {
        self.send(Method::DELETE, &format!("/user/{user}/cart"), None, None).await
    }

    pub async fn show(&self, user: i64) -> Reply {
        self.send(Method::GET, &format!("/user/{user}/cart"), None, None).await
    }

    /// The SKU and count of each line. Empty for an empty cart.
    pub async fn lines(&self, user: i64) -> Vec<(u64, u64)> {
        let cart = self.show(user).await;
        assert!(matches!(cart.status, 200 | 404), "{cart:?}");
        let items = cart.body["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|item| (item["sku_id"].as_u64().unwrap(), item["count"].as_u64().unwrap()))
            .collect()
    }

    /// The SKU and count of each line, if the service answers.
    pub async fn try_lines(&self, user: i64) -> Option<BTreeMap<u32, u32>> {
        let path = format!("/user/{user}/cart");
        let cart = self.try_send(Method::GET, &path, None, None).await.ok()?;
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        match cart.status {
            200 => {
                let items = cart.body["items"].as_array().unwrap();
                let line = |item: &Value| (number(&item["sku_id"]), number(&item["count"]));
                Some(items.iter().map(line).collect())
            }
            404 => Some(BTreeMap::new()),
            503 | 504 => None,
            _ => panic!("{cart:?}"),
        }
    }

    pub async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Reply {
        self.send(Method::POST, path, Some(body.to_string()), key).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        key: Option<&str>,
    ) -> Reply {
        self.try_send(method, path, body, key).await.unwrap()
    }

    /// Like [`Self::send`], for a service that may die meanwhile.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        key: Option<&str>,
    ) -> Result<Reply, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(patience) = self.patience {
            request = request.header("Grpc-Timeout", patience);
        }
        let response = request.send().await?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(text.into())
        };
        Ok(Reply { status, body, retry_after })
    }
}

impl Reply {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}
