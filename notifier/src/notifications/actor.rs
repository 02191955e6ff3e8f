//! The actor between the consumer and the inbox; all events of a delivery go through one transaction.

use shared_actors::database::Pool;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use shared_actors::actor::{ActorOptions, AskError, Command, Envelope, Handle};
use thiserror::Error;

use super::channel::Channel;
use super::effect::{self, Incoming, Outcome};

/// Send what has not been sent of these, in order.
struct Notify(Vec<Incoming>);

impl Command for Notify {
    type Output = Vec<Outcome>;
    type Error = NotifyError;
    const NAME: &'static str = "notify";
}

/// Why a batch has to come again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotifyError {
    /// The database or the channel is down, or the answer did not come in time.
    #[error("{reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
}

impl From<AskError> for NotifyError {
    fn from(error: AskError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

struct NotificationActor {
    pool: Pool,
    channel: Arc<dyn Channel>,
    max_retries: u32,
}

impl Actor for NotificationActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Notify>> for NotificationActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Notify>, _: &mut Context<Self>) {
        let (pool, channel, max_retries) = (self.pool.clone(), Arc::clone(&self.channel), self.max_retries);
        envelope.run(move |Notify(batch)| effect::notify(pool, channel, max_retries, batch));
    }
}

/// Asks for notifications. Cheap to clone.
#[derive(Clone)]
pub struct NotificationHandle(Handle<NotificationActor>);

impl NotificationHandle {
    /// Starts the actor on `arbiter`.
    pub fn start(pool: Pool, channel: Arc<dyn Channel>, max_retries: u32, arbiter: &ArbiterHandle) -> Self {
        let options = ActorOptions::new("notification").capacity(64).deadline(Duration::from_secs(30));
        Self(Handle::supervise(options, arbiter, move |_| NotificationActor {
            pool: pool.clone(),
            channel: Arc::clone(&channel),
            max_retries,
        }))
    }

    /// Sends what has not been sent, in order, and answers for the first events of the batch, at least one. The answer
    /// comes after the commit.
    pub(super) async fn notify(&self, batch: Vec<Incoming>) -> Result<Vec<Outcome>, NotifyError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.0.ask(Notify(batch)).await
    }

    /// Takes nothing more, and returns when all that was taken is answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
