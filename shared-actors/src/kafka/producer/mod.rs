//! Publishing: the handle, its options and its errors. How a transaction runs is `session`'s matter.

mod actor;
mod delivery;
mod failure;
mod session;

use std::time::Duration;

use actix::ArbiterHandle;
use thiserror::Error;

use super::metrics::FAMILIES;
use super::record::Record;
use crate::actor::{ActorOptions, AskError, Handle};
use crate::health::Component;
use actor::{Fence, ProducerActor, Publish, PublishEach};

/// Publishes records. Cheap to clone; survives the actor's restarts.
///
/// One publication is under way at a time, in the order in which they were asked for.
#[derive(Clone)]
pub struct ProducerHandle(Handle<ProducerActor>);

/// How a producer behaves.
#[derive(Clone)]
pub struct ProducerOptions {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// What the broker's log calls this client.
    pub client_id: String,
    /// With it, each publication is one transaction: consumers that read committed records see all of it or nothing.
    /// Of the holders of one id the last one to [`ProducerHandle::fence`] is the only one that can publish.
    pub transactional_id: Option<String>,
    /// How often a record is sent again; see [`super::KafkaSettings::retry_max`].
    pub retry_max: u32,
    /// How long a publication may take until its records are acknowledged.
    pub delivery_timeout: Duration,
    /// How many records one publication may hold, and how many librdkafka may queue.
    pub max_records: u32,
    /// How many publications may wait.
    pub capacity: usize,
    /// Told whether brokers are reached.
    pub component: Option<Component>,
    /// Where it is going to publish to, for its counters to be served before it does.
    pub topic: Option<String>,
}

impl ProducerOptions {
    /// Not transactional, 10 retries within 10 s, at most 10,000 records a publication, 64 publications waiting.
    pub fn new(brokers: impl Into<String>, client_id: impl Into<String>) -> Self {
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

    /// Publishes in transactions under this id, from the first [`ProducerHandle::fence`] on.
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.transactional_id = Some(id.into());
        self
    }

    /// Sends a record again at most so often.
    #[must_use]
    pub fn retry_max(mut self, retries: u32) -> Self {
        self.retry_max = retries;
        self
    }

    /// Gives a publication at most so long.
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// Serves the counters of `topic` from the start, as 0.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Reports to `component` whether brokers are reached.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.component = Some(component);
        self
    }

    /// Building the transactional producer, publishing and ending the transaction may each take the time out.
    fn answer_deadline(&self) -> Duration {
        self.delivery_timeout * 4
    }
}

/// Why records were not published.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProducerError {
    /// Too many publications wait; nothing of this one was sent.
    #[error("too much is waiting to be published, try again in {retry_after:?}")]
    Overloaded {
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// The brokers did not take it in time. Of a transaction either all or nothing is there, mostly nothing: publish
    /// it again. Without one, some of the records may be there.
    #[error("kafka is not available: {reason}")]
    Unavailable {
        /// What librdkafka said.
        reason: String,
    },
    /// The deadline of the asking task passed first; the publication goes on.
    #[error("the deadline passed before the publication ended")]
    DeadlineExceeded,
    /// Another holder of the transactional id has taken over; nothing was published. Stays so until
    /// [`ProducerHandle::fence`].
    #[error("another producer with this transactional id has taken over")]
    Fenced,
    /// The transactional id is not held, or no more after an error: nothing was published. Ask again after
    /// [`ProducerHandle::fence`].
    #[error("the transactional id is not held")]
    NotFenced,
    /// The publication does not fit into the producer's queue: publish it in parts. Of a transaction nothing was
    /// published.
    #[error("too much for one publication: {reason}")]
    TooMuch {
        /// Which limit it exceeds.
        reason: String,
    },
    /// The broker will never take a record like this one, or one that shares its batch. Of a transaction nothing was
    /// published.
    #[error("kafka refuses the record {index}: {reason}")]
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
    /// Starts the producer's actor on `arbiter`; it connects in the background, brokers may come later.
    pub fn start(options: ProducerOptions, arbiter: &ArbiterHandle) -> Self {
        if let Some(topic) = &options.topic {
            FAMILIES.begin_publishing(topic);
        }
        let limits =
            ActorOptions::new("producer").capacity(options.capacity).deadline(options.answer_deadline());
        Self(Handle::supervise(limits, arbiter, move |_| ProducerActor::new(&options)))
    }

    /// Publishes the records in their order, and answers when the brokers have acknowledged them all: in one
    /// transaction with a transactional id, which takes a [`Self::fence`] first, each for itself without one.
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub async fn publish(&self, records: Vec<Record>) -> Result<(), ProducerError> {
        if records.is_empty() {
            return Ok(());
        }
        self.0.ask(Publish { records }).await
    }

    /// Publishes each record for itself, and says of each whether the brokers have acknowledged it. For a producer
    /// without a transactional id.
    ///
    /// # Errors
    /// See [`ProducerError`]; nothing was sent. Without an error there is an outcome per record.
    pub async fn publish_each(
        &self,
        records: Vec<Record>,
    ) -> Result<Vec<Result<(), ProducerError>>, ProducerError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.0.ask(PublishEach { records }).await
    }

    /// Makes this producer the only holder of its transactional id: what an earlier one has under way is aborted, and
    /// its later publications are refused. Needed again after [`ProducerError::NotFenced`]. Does nothing without a transactional id.
    ///
    /// # Errors
    /// `Unavailable` while the brokers cannot be reached: ask again.
    pub async fn fence(&self) -> Result<(), ProducerError> {
        self.0.ask(Fence).await
    }

    /// Takes no more publications, and returns when those that were taken are answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
