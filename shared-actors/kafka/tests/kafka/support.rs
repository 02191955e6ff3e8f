//! Helpers that the tests share: a recording sink, and short functions to publish and to read.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dev::testing::eventually;
use futures::future::LocalBoxFuture;
use kafka_actors::{
    ConsumerHandle, ConsumerOptions, ProducerHandle, ProducerOptions, ReceivedRecord, Record,
    RecordSink, SinkError,
};
use service_kit::metrics;
use shared_actors::actor::Arbiters;
use tokio::sync::watch;

pub const SOON: Duration = Duration::from_secs(30);

/// Records everything that it accepted. It fails as often as it is told to, and does not answer
/// while it is blocked.
#[derive(Clone, Default)]
pub struct Memory {
    records: Arc<Mutex<Vec<ReceivedRecord>>>,
    pub failures_left: Arc<AtomicUsize>,
    pub asked: Arc<AtomicUsize>,
    blocked: watch::Sender<bool>,
}

impl RecordSink for Memory {
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        let memory = self.clone();
        Box::pin(async move {
            memory.asked.fetch_add(1, Ordering::SeqCst);
            let mut blocked = memory.blocked.subscribe();
            blocked.wait_for(|blocked| !*blocked).await.unwrap();
            let fails = |left: usize| left.checked_sub(1);
            if memory.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok()
            {
                return Err(SinkError::Unavailable { reason: "the test wants it so".to_owned() });
            }
            memory.records.lock().unwrap().extend(batch.iter().cloned());
            Ok(())
        })
    }
}

impl Memory {
    pub fn failing(times: usize) -> Self {
        Self { failures_left: Arc::new(AtomicUsize::new(times)), ..Self::default() }
    }

    pub fn block(&self) {
        self.blocked.send_replace(true);
    }

    pub fn unblock(&self) {
        self.blocked.send_replace(false);
    }

    pub async fn is_asked(&self) {
        eventually(SOON, "the sink is asked", async || self.asked.load(Ordering::SeqCst) > 0).await;
    }

    pub fn records(&self) -> Vec<ReceivedRecord> {
        self.records.lock().unwrap().clone()
    }

    pub fn values(&self) -> Vec<String> {
        self.records().iter().map(value).collect()
    }

    pub async fn hold(&self, count: usize) -> Vec<String> {
        eventually(SOON, "the records are there", async || {
            let values = self.values();
            if values.len() >= count { Ok(values) } else { Err(values.len()) }
        })
        .await
    }
}

pub fn value(record: &ReceivedRecord) -> String {
    String::from_utf8(record.payload.clone().unwrap_or_default()).unwrap()
}

pub fn producer(broker: &str) -> ProducerHandle {
    ProducerHandle::start(ProducerOptions::new(broker, "test"), Arbiters::new(0).pick(0))
}

pub fn transactional(broker: &str, id: &str) -> ProducerHandle {
    let options = ProducerOptions::new(broker, "test").transactional_id(id);
    ProducerHandle::start(options, Arbiters::new(0).pick(0))
}

/// A consumer whose group belongs to its topic alone, or consumers of other tests would join and
/// leave it.
pub fn consumer(broker: &str, topic: &str, sink: &Memory) -> ConsumerHandle {
    let options = ConsumerOptions::new(broker, topic, topic);
    ConsumerHandle::start(options, Arbiters::new(0).pick(0), sink.clone())
}

/// The records `<prefix>0`, `<prefix>1` and so on, each with its own key.
pub fn records(topic: &str, prefix: &str, count: usize) -> Vec<Record> {
    (0..count).map(|n| Record::new(topic, n.to_string(), format!("{prefix}{n}"))).collect()
}

/// The value of a series in this process's metrics. `series` is a name with labels, such as
/// `name{label="value"}`.
pub fn sample(series: &str) -> Option<f64> {
    let page = metrics::render();
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}
