//! The order events as a consumer of the topic sees them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;

use super::SOON;

/// One message of the topic.
#[derive(Debug, Clone)]
pub struct Event {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub headers: BTreeMap<String, String>,
    /// When the producer created the message, in milliseconds since 1970.
    pub produced_at: i64,
    pub payload: Vec<u8>,
    /// The payload as JSON. Null if it is not JSON.
    pub value: Value,
}

impl Event {
    /// The order that the event is about.
    pub fn order(&self) -> i64 {
        self.value["id"].as_i64().unwrap_or_else(|| panic!("no id in {self:?}"))
    }

    /// `(sequence, state)`.
    pub fn step(&self) -> (i64, String) {
        let sequence = self.value["sequence"].as_i64();
        let state = self.value["state"].as_str();
        (
            sequence.unwrap_or_else(|| panic!("no sequence in {self:?}")),
            state.unwrap_or_else(|| panic!("no state in {self:?}")).to_owned(),
        )
    }

    /// The value of a header, which must exist.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {self:?}"))
    }
}

/// Reads a topic from its beginning. Skips messages of aborted transactions.
pub struct EventReader {
    consumer: BaseConsumer,
    seen: Vec<Event>,
}

impl EventReader {
    /// A reader of both partitions of `topic`.
    pub fn open(broker: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("broker.address.family", "v4")
            .set("group.id", "tests")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "200")
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        for partition in 0..2 {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&partitions).unwrap();
        Self { consumer, seen: Vec::new() }
    }

    /// Waits until `enough` is true for all events read so far, and returns them.
    pub fn until(&mut self, what: &str, mut enough: impl FnMut(&[Event]) -> bool) -> &[Event] {
        let deadline = Instant::now() + SOON;
        while !enough(&self.seen) {
            let last: Vec<_> =
                self.seen.iter().rev().take(8).map(|event| (&event.key, &event.value)).collect();
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; the last events were {last:?}"
            );
            self.poll(Duration::from_millis(100));
        }
        &self.seen
    }

    /// Waits for the first `count` events of an order. Returns all of its events that were read by
    /// then.
    pub fn of_order(&mut self, order: i64, count: usize) -> Vec<Event> {
        let key = order.to_string();
        let of_order = |event: &&Event| event.key == key;
        let what = format!("{count} events of order {order}");
        let seen = self.until(&what, |seen| seen.iter().filter(of_order).count() >= count);
        seen.iter().filter(of_order).cloned().collect()
    }

    fn poll(&mut self, wait: Duration) {
        // An error means that the broker is unreachable, as some tests intend. The client
        // reconnects by itself.
        if let Some(Ok(message)) = self.consumer.poll(wait) {
            self.seen.push(event(&message));
        }
    }
}

fn event(message: &BorrowedMessage) -> Event {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    });
    let payload = message.payload().unwrap_or_default().to_vec();
    Event {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        headers: headers.unwrap_or_default(),
        produced_at: message.timestamp().to_millis().unwrap_or_default(),
        value: serde_json::from_slice(&payload).unwrap_or(Value::Null),
        payload,
    }
}

/// Publishes one record, with an event's headers if it has an id.
pub async fn send(broker: &str, topic: &str, key: &str, payload: &str, event_id: Option<&str>) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("broker.address.family", "v4")
        .create()
        .unwrap();
    let mut headers = OwnedHeaders::new();
    if let Some(id) = event_id {
        headers = headers
            .insert(Header { key: "ce_specversion", value: Some("1.0") })
            .insert(Header { key: "ce_id", value: Some(id) });
    }
    let record = FutureRecord::to(topic).key(key).payload(payload).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}
