//! An application for one test, and a client for it.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use dev::testing::{
    Database, Servers, Topic, create_database, eventually, http_client, unique_topic,
};
use loms::api::proto::loms_client::LomsClient;
use loms::{Application, Settings};
use serde_json::{Value, json};
use service_kit::settings::Reader;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

const READY_WITHIN: Duration = Duration::from_mins(1);

/// loms with two shards, ready for calls. Dropping it stops it as SIGTERM would.
pub struct Shop {
    http: String,
    grpc: String,
    _application: Running,
    _databases: [Database; 2],
    _topic: Topic,
}

/// The gateway's answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Shop {
    pub async fn open() -> Self {
        let servers = Servers::from_env();
        let databases = [
            create_database(&servers.postgres_0, "loms").await,
            create_database(&servers.postgres_1, "loms").await,
        ];
        let topic = unique_topic(&servers.kafka, 2).await;
        let mut pairs = vec![
            ("HTTP_PORT".to_owned(), "127.0.0.1:0".to_owned()),
            ("GRPC_HOST_PORT".to_owned(), "127.0.0.1:0".to_owned()),
            ("KAFKA_BROKER".to_owned(), servers.kafka.clone()),
            ("KAFKA_TOPIC".to_owned(), topic.name.clone()),
        ];
        for (shard, database) in (0..).zip(&databases) {
            pairs.extend(database.master_env(shard));
        }
        let mut settings = Settings::read(Reader::from_pairs(pairs)).unwrap();
        // The test's thread blocks until the application has stopped, so its client cannot close
        // connections.
        settings.grpc.stop_timeout = Duration::from_millis(50);
        let (application, [http, grpc]) = Running::start(settings).await;
        let [http, grpc] = [http, grpc].map(|address| format!("http://{address}"));
        let shop =
            Self { http, grpc, _application: application, _databases: databases, _topic: topic };
        eventually(READY_WITHIN, "the shop is ready", async || {
            shop.get("/readyz").await.status == 200
        })
        .await;
        shop
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(http_client().get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        answer(http_client().post(self.url(path)).body(body.to_owned())).await
    }

    /// Creates the order in the body and returns its id.
    pub async fn create(&self, body: &str) -> String {
        self.post("/v1/orders", body).await.is_created()
    }

    pub async fn create_with_key(&self, key: &str, body: &str) -> Answer {
        let request = http_client().post(self.url("/v1/orders")).header("Idempotency-Key", key);
        answer(request.body(body.to_owned())).await
    }

    /// The `Access-Control-Allow-Origin` header that a page of `origin` gets for a GET, if any.
    pub async fn allowed_origin(&self, path: &str, origin: &str) -> Option<String> {
        allowed(http_client().get(self.url(path)).header("Origin", origin)).await
    }

    /// The `Access-Control-Allow-Origin` header in the answer to a preflight request for a create,
    /// if any.
    pub async fn preflight(&self, path: &str, origin: &str) -> Option<String> {
        let request = http_client().request("OPTIONS".parse().unwrap(), self.url(path));
        let request =
            request.header("Origin", origin).header("Access-Control-Request-Method", "POST");
        allowed(request.header("Access-Control-Request-Headers", "content-type,idempotency-key"))
            .await
    }

    pub async fn grpc(&self) -> LomsClient<Channel> {
        LomsClient::new(self.channel().await)
    }

    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.grpc.clone()).unwrap().connect().await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.http)
    }
}

/// An application on its own thread, so that a test can wait for it to stop.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    async fn start(settings: Settings) -> (Self, [SocketAddr; 2]) {
        let (stop, stopped) = oneshot::channel();
        let (started, addresses) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async {
                let application = Application::build(&settings).await.unwrap();
                started.send([application.http_address(), application.grpc_address()]).unwrap();
                application.run_until(async { drop(stopped.await) }).await.unwrap();
            });
        });
        (Self { stop: Some(stop), thread: Some(thread) }, addresses.await.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let outcome = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || matches!(outcome, Some(Ok(()))),
            "the application failed"
        );
    }
}

impl Answer {
    #[track_caller]
    pub fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.body), (status, body));
    }

    #[track_caller]
    pub fn is_created(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["orderId"].as_str().expect("a 64-bit integer is a string").to_owned()
    }

    /// Asserts that this is an error in the gateway's format whose message contains `part`.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: Code, part: &str) {
        self.is_error_with(status, code, part, &json!([]));
    }

    /// Like [`Self::is_error`], with details.
    pub fn is_error_with(&self, status: u16, code: Code, part: &str, details: &Value) {
        let message = self.body["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty() && message.contains(part), "{part:?} is not told: {self:?}");
        self.is(status, &json!({"code": code as i32, "message": message, "details": details}));
    }
}

/// The JSON body that creates an order through the gateway.
pub fn order(user: i64, items: &[(u32, u32)]) -> String {
    let items: Vec<Value> =
        items.iter().map(|(sku, count)| json!({"sku": sku, "count": count})).collect();
    json!({"order": {"user": user, "items": items}}).to_string()
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.json().await.unwrap_or(Value::Null);
    Answer { status, body }
}

async fn allowed(request: reqwest::RequestBuilder) -> Option<String> {
    let response = request.send().await.unwrap();
    let origin = response.headers().get("access-control-allow-origin")?;
    Some(origin.to_str().unwrap().to_owned())
}
