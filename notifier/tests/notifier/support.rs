//! A private topic and database for each test, notifiers that use them, and a recording channel.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dev::testing::{
    Database, Servers, Topic, create_database, eventually, limit_records, unique_topic,
};
use futures::future::{LocalBoxFuture, ready};
use kafka_actors::{
    ConsumerHandle, ConsumerOptions, Headers, ProducerHandle, ProducerOptions, ReceivedRecord,
    Record, RecordSink, SinkError,
};
use notifier::{Application, Channel, ChannelError, EnabledChannel, Notification, Settings};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value, json};
use service_kit::settings::Reader;
use shared_actors::actor::Arbiters;
use sqlx::PgConnection;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub const SOON: Duration = Duration::from_secs(30);

pub struct World {
    pub topic: Topic,
    pub database: Database,
    pub producer: ProducerHandle,
}

pub struct RunningNotifier {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::on(&Servers::from_env().kafka).await
    }

    /// A topic on other brokers (`host:port`, comma-separated) than those that the tests share.
    pub async fn on(brokers: &str) -> Self {
        let topic = unique_topic(brokers, 2).await;
        let database = create_database(&Servers::from_env().postgres_0, "notifier").await;
        let producer =
            ProducerHandle::start(ProducerOptions::new(brokers, "test"), Arbiters::new(0).pick(0));
        Self { topic, database, producer }
    }

    pub fn env(&self, group: &str) -> Vec<(String, String)> {
        let mut env = self.database.master_env(0);
        // The group name is unique, or notifiers of other tests would join and leave the group.
        let group = format!("{group} of {}", self.topic.name);
        let more = [
            ("KAFKA_BROKER", self.topic.host_port.as_str()),
            ("KAFKA_TOPIC", &self.topic.name),
            ("KAFKA_GROUP_ID", &group),
            ("HTTP_PORT", "127.0.0.1:0"),
            ("NOTIFICATION_MAX_RETRIES", "2"),
        ];
        env.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        env
    }

    pub fn start(&self, group: &str, channel: &MemoryChannel) -> RunningNotifier {
        self.start_with(group, &[], std::slice::from_ref(channel))
    }

    /// Starts a notifier with more settings and several channels.
    pub fn start_with(
        &self,
        group: &str,
        more: &[(&str, &str)],
        channels: &[MemoryChannel],
    ) -> RunningNotifier {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Reader::from_pairs(self.env(group).into_iter().chain(more));
        let settings = Settings::read(settings).unwrap();
        let channels = channels.iter().cloned().map(EnabledChannel::of_all_states).collect();
        let application = Application::build(&settings, channels).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = actix::spawn(async move {
            let stopped = async { drop(stopped.await) };
            application.run_until(stopped).await.unwrap();
        });
        RunningNotifier { stop, task }
    }

    pub async fn publish(&self, events: &[Value]) {
        let records = events.iter().map(|event| self.record(event)).collect();
        self.producer.publish(records).await.unwrap();
    }

    pub fn record(&self, event: &Value) -> Record {
        Record::new(&self.topic.name, event["id"].to_string(), event.to_string()).with_headers(
            Headers::new().with("ce_id", event["eventId"].as_str().unwrap_or_default()),
        )
    }

    pub async fn count(&self, table: &str) -> i64 {
        let mut connection: PgConnection = self.database.connect().await;
        let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
    }

    pub async fn execute_with(&self, statement: &'static str, argument: &str) {
        let mut connection: PgConnection = self.database.connect().await;
        sqlx::query(statement).bind(argument).execute(&mut connection).await.unwrap();
    }

    /// Executes a statement about an order and a number of days.
    pub async fn backdate(&self, statement: &'static str, days: f64, order: i64) {
        let mut connection: PgConnection = self.database.connect().await;
        sqlx::query(statement).bind(days).bind(order).execute(&mut connection).await.unwrap();
    }

    /// The number of partitions of a topic. `Err` if the topic does not exist. Asks for all topics,
    /// because a broker may create a topic that is asked for by name.
    pub fn partitions(&self, topic: &str) -> Result<usize, &'static str> {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.topic.host_port).create().unwrap();
        let metadata = client.fetch_metadata(None, SOON).unwrap();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.map(|found| found.partitions().len()).ok_or("no such topic")
    }

    /// The id of the broker that leads the first partition of a topic.
    pub fn leader(&self, topic: &str) -> usize {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.topic.host_port).create().unwrap();
        let metadata = client.fetch_metadata(Some(topic), SOON).unwrap();
        usize::try_from(metadata.topics()[0].partitions()[0].leader()).unwrap()
    }

    /// The number of records in the first partition of a topic.
    pub fn end_of(&self, topic: &str) -> i64 {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.topic.host_port).create().unwrap();
        client.fetch_watermarks(topic, 0, SOON).unwrap().1
    }

    /// Creates a dead-letter topic that accepts records of at most `max_bytes`.
    pub async fn limit_dead_letters(&self, max_bytes: usize) {
        limit_records(&self.topic.host_port, &self.topic.dead_letters(), max_bytes).await;
    }

    /// The next `count` dead letters that were not returned before, in the order in which they were
    /// read.
    pub async fn dead_letters(&self, count: usize) -> Vec<ReceivedRecord> {
        let sink = MemorySink::default();
        let topic = self.topic.dead_letters();
        let options = ConsumerOptions::new(&self.topic.host_port, &topic, &topic);
        let reader = ConsumerHandle::start(options, Arbiters::new(0).pick(0), sink.clone());
        let letters = eventually(SOON, "the dead letters are there", async || {
            let letters = sink.0.lock().unwrap().clone();
            if letters.len() >= count { Ok(letters) } else { Err(letters.len()) }
        })
        .await;
        reader.drain().await;
        letters
    }
}

impl RunningNotifier {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub fn event(order: i64, sequence: u32, state: &str) -> Value {
    json!({
        "id": order, "state": state, "userId": 7, "items": [{"sku": 1002, "count": 2}],
        "eventId": Uuid::new_v4(), "sequence": sequence, "occurredAt": "2026-11-23T15:04:05.678Z"
    })
}

/// Records what it sent, and fails as configured.
#[derive(Clone)]
pub struct MemoryChannel {
    name: &'static str,
    sent: Arc<Mutex<Vec<Notification>>>,
    refused_order: Option<i64>,
    pub refusals: Arc<Mutex<usize>>,
    /// How long each notification takes.
    duration: Duration,
    immediate: bool,
    stuck: watch::Sender<bool>,
    unavailable: watch::Sender<bool>,
    /// How many attempts have found it unavailable.
    pub failures: Arc<Mutex<usize>>,
}

impl Default for MemoryChannel {
    fn default() -> Self {
        Self::named("memory")
    }
}

impl MemoryChannel {
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            sent: Arc::default(),
            refused_order: None,
            refusals: Arc::default(),
            duration: Duration::ZERO,
            immediate: false,
            stuck: watch::Sender::new(false),
            unavailable: watch::Sender::new(false),
            failures: Arc::default(),
        }
    }

    pub fn refusing(order: i64) -> Self {
        Self { refused_order: Some(order), ..Self::default() }
    }

    pub fn slow(duration: Duration) -> Self {
        Self { duration, ..Self::named("slow") }
    }

    pub fn immediate(name: &'static str) -> Self {
        Self { immediate: true, ..Self::named(name) }
    }

    /// Stops answering, or answers again.
    pub fn stick(&self, stuck: bool) {
        self.stuck.send_replace(stuck);
    }

    /// Fails at once, or works again.
    pub fn fail(&self, unavailable: bool) {
        self.unavailable.send_replace(unavailable);
    }

    pub fn sent(&self) -> Vec<(i64, u32)> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|sent| (sent.event.order_id, sent.event.sequence.get())).collect()
    }

    pub async fn holds(&self, count: usize) -> Vec<(i64, u32)> {
        eventually(SOON, "the notifications are sent", async || {
            let sent = self.sent();
            if sent.len() >= count { Ok(sent) } else { Err(sent.len()) }
        })
        .await
    }
}

impl Channel for MemoryChannel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_immediate(&self) -> bool {
        self.immediate
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        if self.refused_order == Some(notification.event.order_id) {
            *self.refusals.lock().unwrap() += 1;
            return Box::pin(ready(Err(ChannelError::Refused {
                reason: "no such address".to_owned(),
            })));
        }
        if *self.unavailable.borrow() {
            *self.failures.lock().unwrap() += 1;
            return Box::pin(ready(Err(ChannelError::unavailable("out of order"))));
        }
        Box::pin(async {
            self.stuck.subscribe().wait_for(|stuck| !*stuck).await.unwrap();
            tokio::time::sleep(self.duration).await;
            self.sent.lock().unwrap().push(notification.clone());
            Ok(())
        })
    }
}

#[derive(Clone, Default)]
struct MemorySink(Arc<Mutex<Vec<ReceivedRecord>>>);

impl RecordSink for MemorySink {
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        self.0.lock().unwrap().extend(batch.iter().cloned());
        Box::pin(ready(Ok(())))
    }
}
