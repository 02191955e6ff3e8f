//! Consuming: the handle, its options, and the sink that receives the records. Delivery is at least
//! once and in order within a partition.

mod actor;
mod committer;
mod group;
mod lag;
mod progress;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use actor::{ConsumerActor, StopConsuming};
use futures::future::LocalBoxFuture;
use shared_actors::actor::{ActorOptions, Backoff, Handle};
use shared_actors::health::Component;
use thiserror::Error;
use tracing::warn;

use super::Brokers;
use super::client;
use super::metrics::FAMILIES;
use super::record::ReceivedRecord;

/// Receives the records of a consumer.
pub trait RecordSink: Send + Sync + 'static {
    /// Processes a batch; records of one partition are in offset order.
    ///
    /// The offsets are committed only after `Ok`. After an error the same batch is delivered again,
    /// without limit. A batch may also be repeated after `Ok`, if the process dies before the
    /// commit or a partition moves. The sink must recognise records that it has already processed.
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>>;
}

/// Why a sink could not take a batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SinkError {
    /// A dependency of the sink is down. None, some or all of the batch may be done.
    #[error("{reason}")]
    Unavailable {
        /// What is down.
        reason: String,
    },
}

/// How a consumer behaves.
#[derive(Clone)]
pub struct ConsumerOptions {
    /// The brokers to read from.
    pub brokers: Brokers,
    /// The client's name in the broker's log.
    pub client_id: String,
    /// The group that shares the topic's partitions. A new group starts at the earliest record.
    pub group: String,
    /// The topic to read; it may be created later.
    pub topic: String,
    /// The maximum number of records per batch.
    pub max_records: usize,
    /// A batch is complete once its records reach this many bytes, so the last record may exceed
    /// the limit.
    pub max_bytes: usize,
    /// How long the broker waits for a heartbeat before it assigns the partitions to other members.
    pub session_timeout: Duration,
    /// How long a failed batch waits before it is retried.
    pub backoff: Backoff,
    /// Receives whether brokers are connected and the group is joined.
    pub component: Option<Component>,
}

impl ConsumerOptions {
    /// Batches of at most 256 records and about 4 MiB, and a session timeout of 10 s. The first
    /// retry comes after 100 ms; the pause doubles up to 5 s.
    pub fn new(
        brokers: impl Into<Brokers>,
        group: impl Into<String>,
        topic: impl Into<String>,
    ) -> Self {
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

    /// How long one call of librdkafka may take. A commit waits for the coordinator of the group for
    /// the session timeout, and then for its answer, with two retries. It may first wait for the
    /// commit of a revocation.
    fn longest_call(&self) -> Duration {
        2 * (self.session_timeout + 3 * client::SOCKET_TIMEOUT)
    }

    /// Reports to `component` whether brokers are connected and the group is joined.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.component = Some(component);
        self
    }
}

/// A running consumer. Cheap to clone. The consumer leaves its group on [`ConsumerHandle::drain`],
/// or when the last clone is dropped.
#[derive(Clone)]
pub struct ConsumerHandle(Handle<ConsumerActor>);

impl ConsumerHandle {
    /// Starts consuming: `sink` receives batches on `arbiter`, one at a time. Brokers and topic may
    /// become available later.
    pub fn start(options: ConsumerOptions, arbiter: &ArbiterHandle, sink: impl RecordSink) -> Self {
        FAMILIES.begin_consuming(&options.topic);
        let sink: Arc<dyn RecordSink> = Arc::new(sink);
        let limits = ActorOptions::new("consumer").capacity(4).deadline(Duration::from_secs(15));
        Self(Handle::supervise(limits, arbiter, move |_| {
            ConsumerActor::new(options.clone(), Arc::clone(&sink))
        }))
    }

    /// Takes no further batch, gives the one in progress 3 s to finish, commits it and leaves the
    /// group.
    ///
    /// A batch that takes longer, or waits for its next retry, is given up. The next reader of the
    /// partition receives it again.
    pub async fn drain(&self) {
        if let Err(error) = self.0.ask(StopConsuming).await {
            warn!(%error, "the consumer did not stop cleanly");
        }
        self.0.drain().await;
    }
}
