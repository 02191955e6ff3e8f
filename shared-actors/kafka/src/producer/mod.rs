//! Publishing: the handle, its options and its errors. The module `session` runs the transactions.

mod actor;
mod delivery;
mod failure;
mod session;

use std::time::Duration;

use actix::ArbiterHandle;
use actor::{Fence, ProducerActor, Publish, PublishEach};
use shared_actors::actor::{ActorOptions, AskError, Handle};
use shared_actors::health::Component;
use thiserror::Error;

use super::Brokers;
use super::metrics::FAMILIES;
use super::record::Record;

/// Publishes records. Cheap to clone; survives the actor's restarts.
///
/// Publications run one at a time, in the order of the calls.
#[derive(Clone)]
pub struct ProducerHandle(Handle<ProducerActor>);

/// How a producer behaves.
#[derive(Clone)]
pub struct ProducerOptions {
    /// The brokers to publish to.
    pub brokers: Brokers,
    /// The client's name in the broker's log.
    pub client_id: String,
    /// If set, each publication is one transaction: consumers that read committed records see all
    /// of it or nothing. Several producers may share an id, but only the last one to call
    /// [`ProducerHandle::fence`] can publish.
    pub transactional_id: Option<String>,
    /// How many times a record is retried before its publication fails. Only attempts count that a
    /// broker refused or did not answer; waiting for a connection is no retry.
    pub retry_max: u32,
    /// How long a publication may take until its records are acknowledged.
    pub delivery_timeout: Duration,
    /// The maximum number of records per publication, and in librdkafka's queue.
    pub max_records: u32,
    /// How many publications may be queued or running.
    pub capacity: usize,
    /// Receives whether brokers are connected.
    pub component: Option<Component>,
    /// The topic that the producer will publish to; its counters are then served before the first
    /// publication.
    pub topic: Option<String>,
}

impl ProducerOptions {
    /// Not transactional, 10 retries within 10 s, at most 10,000 records per publication, and a
    /// queue of 64 publications.
    pub fn new(brokers: impl Into<Brokers>, client_id: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: client_id.into(),
            transactional_id: None,
            retry_max: 10,
            delivery_timeout: Duration::from_secs(10),
            max_records: 10_000,
            capacity: 64,
            component: None,
            topic: None,
        }
    }

    /// Publishes in transactions under this id, after the first [`ProducerHandle::fence`].
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.transactional_id = Some(id.into());
        self
    }

    /// Limits how many times a record is retried.
    #[must_use]
    pub fn retry_max(mut self, retries: u32) -> Self {
        self.retry_max = retries;
        self
    }

    /// Limits how long a publication may take.
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// Serves the counters of `topic` as 0 from the start.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Reports to `component` whether brokers are connected.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.component = Some(component);
        self
    }

    /// Building the transactional producer, publishing and ending the transaction may each take the
    /// full delivery timeout.
    fn answer_deadline(&self) -> Duration {
        self.delivery_timeout * 4
    }
}

/// Why records were not published.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProducerError {
    /// Too many publications are queued; nothing of this one was sent.
    #[error("too many publications are waiting, try again in {retry_after:?}")]
    Overloaded {
        /// When to retry.
        retry_after: Duration,
    },
    /// The brokers did not accept the publication in time. A transaction is published completely
    /// or, usually, not at all: publish it again. Without a transaction some of the records may be
    /// published.
    #[error("Kafka is unavailable: {reason}")]
    Unavailable {
        /// What librdkafka said.
        reason: String,
    },
    /// The caller's deadline passed first; the publication continues.
    #[error("the deadline passed before the publication ended")]
    DeadlineExceeded,
    /// Another holder of the transactional id has taken over; nothing was published. All
    /// publications fail this way until [`ProducerHandle::fence`].
    #[error("another producer with this transactional id has taken over")]
    Fenced,
    /// This producer does not hold the transactional id, or lost it after an error; nothing was
    /// published. Call [`ProducerHandle::fence`], then retry.
    #[error("this producer does not hold the transactional id")]
    NotFenced,
    /// The publication does not fit into the producer's queue: publish it in parts. In a
    /// transaction nothing was published.
    #[error("the publication is too large: {reason}")]
    TooMuch {
        /// The limit that the publication exceeds.
        reason: String,
    },
    /// The broker will never accept this record, or another one in the same batch. In a transaction
    /// nothing was published.
    #[error("Kafka refuses record {index}: {reason}")]
    Rejected {
        /// The record's index in the publication.
        index: usize,
        /// What librdkafka or the broker said.
        reason: String,
    },
}

impl From<AskError> for ProducerError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { retry_after } => Self::Overloaded { retry_after },
            AskError::DeadlineExceeded => Self::DeadlineExceeded,
            AskError::Unavailable => {
                Self::Unavailable { reason: "the producer is restarting or stopping".to_owned() }
            }
        }
    }
}

impl ProducerHandle {
    /// Starts the producer's actor on `arbiter`. It connects in the background, so brokers may
    /// become available later.
    pub fn start(options: ProducerOptions, arbiter: &ArbiterHandle) -> Self {
        if let Some(topic) = &options.topic {
            FAMILIES.begin_publishing(topic);
        }
        let limits = ActorOptions::new("producer")
            .capacity(options.capacity)
            .deadline(options.answer_deadline());
        Self(Handle::supervise(limits, arbiter, move |_| ProducerActor::new(&options)))
    }

    /// Publishes the records in order, and returns when the brokers have acknowledged all of them.
    /// With a transactional id they are one transaction, and [`Self::fence`] must be called first.
    /// Without an id each record is published independently.
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub async fn publish(&self, records: Vec<Record>) -> Result<(), ProducerError> {
        if records.is_empty() {
            return Ok(());
        }
        self.0.ask(Publish { records }).await
    }

    /// Publishes the records independently of each other, and returns for each one whether the
    /// brokers acknowledged it. For producers without a transactional id.
    ///
    /// # Errors
    /// See [`ProducerError`]; nothing was sent. `Ok` holds one outcome per record.
    pub async fn publish_each(
        &self,
        records: Vec<Record>,
    ) -> Result<Vec<Result<(), ProducerError>>, ProducerError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.0.ask(PublishEach { records }).await
    }

    /// Makes this producer the only holder of its transactional id. The brokers abort the open
    /// transaction of an earlier holder and refuse its later publications. Call it again after
    /// [`ProducerError::NotFenced`]. Does nothing without a transactional id.
    ///
    /// # Errors
    /// `Unavailable` while the brokers cannot be reached: call it again.
    pub async fn fence(&self) -> Result<(), ProducerError> {
        self.0.ask(Fence).await
    }

    /// Accepts no more publications, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
