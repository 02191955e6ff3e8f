//! Consuming: the handle, its options, and the sink that records go to. At least once, in order within a partition.

mod actor;
mod committer;
mod group;
mod lag;
mod progress;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use futures::future::LocalBoxFuture;
use thiserror::Error;
use tracing::warn;

use super::metrics::FAMILIES;
use super::record::ReceivedRecord;
use crate::actor::{ActorOptions, Backoff, Handle};
use crate::health::Component;
use actor::{ConsumerActor, StopConsuming};

/// Where records go.
pub trait RecordSink: Send + Sync + 'static {
    /// Takes a batch, whose records stand in the order of their partitions. The offsets are committed after `Ok` and
    /// never before; after an error the same batch comes again, for ever. A batch may also come again after `Ok`, when
    /// the process dies before the commit or a partition moves: the sink recognises what it has done already.
    fn deliver(&self, batch: Arc<[ReceivedRecord]>) -> LocalBoxFuture<'static, Result<(), SinkError>>;
}

/// Why a sink could not take a batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SinkError {
    /// Something that it needs is down. None, some or all of the batch may be done.
    #[error("{reason}")]
    Unavailable {
        /// What is down.
        reason: String,
    },
}

/// How a consumer behaves.
#[derive(Clone)]
pub struct ConsumerOptions {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// What the broker's log calls this client.
    pub client_id: String,
    /// The group that shares the topic's partitions; a new group starts at the earliest record.
    pub group: String,
    /// What to read; may come into being later.
    pub topic: String,
    /// How many records a batch holds at most.
    pub max_records: usize,
    /// A batch is complete with the record by which it reaches so many bytes.
    pub max_bytes: usize,
    /// How long the broker waits for a sign of life before it gives the partitions to others.
    pub session_timeout: Duration,
    /// How long a batch that failed waits before it is tried again.
    pub backoff: Backoff,
    /// Told whether brokers are reached and the group is joined.
    pub component: Option<Component>,
}

impl ConsumerOptions {
    /// Batches of at most 256 records and about 4 MiB, a session of 10 s, retries after 100 ms doubling to 5 s.
    pub fn new(brokers: impl Into<String>, group: impl Into<String>, topic: impl Into<String>) -> Self {
        let group = group.into();
        Self {
            brokers: brokers.into(),
            client_id: group.clone(),
            group,
            topic: topic.into(),
            max_records: 256,
            max_bytes: 4 << 20,
            session_timeout: Duration::from_secs(10),
            backoff: Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) },
            component: None,
        }
    }

    /// Reports to `component` whether brokers are reached and the group is joined.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.component = Some(component);
        self
    }
}

/// A running consumer. Cheap to clone; the consumer leaves its group with [`ConsumerHandle::drain`], or when the last
/// clone is gone.
#[derive(Clone)]
pub struct ConsumerHandle(Handle<ConsumerActor>);

impl ConsumerHandle {
    /// Starts to consume: batches are delivered to `sink` on `arbiter`, one at a time. Brokers and topic may come
    /// later.
    pub fn start(options: ConsumerOptions, arbiter: &ArbiterHandle, sink: impl RecordSink) -> Self {
        FAMILIES.begin_consuming(&options.topic);
        let sink: Arc<dyn RecordSink> = Arc::new(sink);
        let limits = ActorOptions::new("consumer").capacity(4).deadline(Duration::from_secs(15));
        Self(Handle::supervise(limits, arbiter, move |_| {
            ConsumerActor::new(options.clone(), Arc::clone(&sink))
        }))
    }

    /// Takes no further batch, gives the one under way 3 s to end, commits it and leaves the group. A batch that takes
    /// longer, or waits for its next try, is given up and comes again to the next reader of the partition.
    pub async fn drain(&self) {
        if let Err(error) = self.0.ask(StopConsuming).await {
            warn!(%error, "the consumer did not stop cleanly");
        }
        self.0.drain().await;
    }
}
