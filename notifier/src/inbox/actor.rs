//! The actor between the consumer and the database. It stores one batch at a time.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use kafka_actors::ReceivedRecord;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{ActorOptions, AskError, Command, Envelope, Handle};
use shared_actors::crash_point;
use thiserror::Error;
use tokio::sync::Mutex;

use super::at_once::SentAtOnce;
use super::{at_once, queries};
use crate::channels::EnabledChannel;
use crate::deliveries::ImmediateChannel;
use crate::events::OrderEvent;

/// An event, and the record that it came with.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub event: OrderEvent,
    batch: Arc<[ReceivedRecord]>,
    index: usize,
}

impl Incoming {
    /// The event of the record at `index` of a batch.
    pub fn new(event: OrderEvent, batch: Arc<[ReceivedRecord]>, index: usize) -> Self {
        assert!(index < batch.len(), "the record is in its batch");
        Self { event, batch, index }
    }

    pub fn record(&self) -> &ReceivedRecord {
        &self.batch[self.index]
    }
}

/// Store the events of this batch that are new, and their deliveries.
struct ReceiveEvents(Arc<[Incoming]>);

impl Command for ReceiveEvents {
    /// How many of the events are new.
    type Output = u64;
    type Error = ReceiveError;
    const NAME: &'static str = "receive_events";
}

/// Why Kafka must redeliver a batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum ReceiveError {
    /// The database is down, or the answer did not come in time.
    #[error("{reason}")]
    Unavailable {
        /// The error message.
        reason: String,
    },
}

impl From<AskError> for ReceiveError {
    fn from(error: AskError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl From<sqlx::Error> for ReceiveError {
    fn from(error: sqlx::Error) -> Self {
        // A bug is treated like an outage: the events wait until it is fixed, and nothing is lost.
        Self::Unavailable { reason: DatabaseError::from(error).to_string() }
    }
}

struct InboxActor {
    pool: Pool,
    channels: Arc<[EnabledChannel]>,
    immediate: Arc<[ImmediateChannel]>,
    /// Held by the batch in progress, because a redelivered batch must not run concurrently with
    /// its first run.
    turn: Arc<Mutex<SentAtOnce>>,
}

impl Actor for InboxActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<ReceiveEvents>> for InboxActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ReceiveEvents>, _: &mut Context<Self>) {
        let (pool, channels) = (self.pool.clone(), Arc::clone(&self.channels));
        let immediate = Arc::clone(&self.immediate);
        let turn = Arc::clone(&self.turn);
        envelope.run(move |ReceiveEvents(batch)| async move {
            let mut sent = turn.lock().await;
            crash_point!("inbox::receiving");
            let new = at_once::send(&pool, &channels, &immediate, &batch, &mut sent).await?;
            let new = if new.is_empty() { 0 } else { queries::receive(&pool, &new).await? };
            sent.stored();
            crash_point!("inbox::received");
            Ok(new)
        });
    }
}

/// The handle of the inbox's actor. Cheap to clone.
#[derive(Clone)]
pub struct InboxHandle(Handle<InboxActor>);

impl InboxHandle {
    /// Starts the actor on `arbiter`. New events are sent over the channels of `immediate`, and get
    /// a delivery for each other one of `channels` that wants their state.
    pub fn start(
        pool: Pool,
        channels: Arc<[EnabledChannel]>,
        immediate: Arc<[ImmediateChannel]>,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let options = ActorOptions::new("inbox").capacity(64).deadline(Duration::from_secs(30));
        Self(Handle::supervise(options, arbiter, move |_| InboxActor {
            pool: pool.clone(),
            channels: Arc::clone(&channels),
            immediate: Arc::clone(&immediate),
            turn: Arc::default(),
        }))
    }

    /// Stores the events of the batch that are new, and their deliveries, in one transaction.
    /// Returns how many events are new.
    pub(super) async fn receive(&self, batch: Arc<[Incoming]>) -> Result<u64, ReceiveError> {
        self.0.ask(ReceiveEvents(batch)).await
    }

    /// Accepts no more batches, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
