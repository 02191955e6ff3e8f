//! The actor between the consumer and the inbox. It processes the events of a batch in one
//! transaction at a time.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use service_kit::database::Pool;
use shared_actors::actor::{ActorOptions, AskError, Command, Envelope, Handle};
use thiserror::Error;
use tokio::sync::Mutex;

use super::channel::Channel;
use super::effect::{self, Handled, Incoming, Next};

/// Send the notifications of this batch that have not been sent, in order.
struct Notify {
    batch: Arc<[Incoming]>,
    from: Next,
}

impl Command for Notify {
    type Output = Handled;
    type Error = NotifyError;
    const NAME: &'static str = "notify";
}

/// Why a batch must be delivered again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotifyError {
    /// The database or the channel is down, or the answer did not come in time.
    #[error("{reason}")]
    Unavailable {
        /// The error message.
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
    /// Held by the batch in progress, because a batch that is delivered again must not run
    /// concurrently with its first run.
    turn: Arc<Mutex<()>>,
}

impl Actor for NotificationActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Notify>> for NotificationActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Notify>, _: &mut Context<Self>) {
        let (pool, channel, max_retries) =
            (self.pool.clone(), Arc::clone(&self.channel), self.max_retries);
        let turn = Arc::clone(&self.turn);
        envelope.run(move |Notify { batch, from }| async move {
            let _turn = turn.lock().await;
            effect::notify(&pool, &*channel, max_retries, &batch, from).await
        });
    }
}

/// The handle to send notifications. Cheap to clone.
#[derive(Clone)]
pub struct NotificationHandle(Handle<NotificationActor>);

impl NotificationHandle {
    /// Starts the actor on `arbiter`.
    pub fn start(
        pool: Pool,
        channel: Arc<dyn Channel>,
        max_retries: u32,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let options =
            ActorOptions::new("notification").capacity(64).deadline(Duration::from_secs(30));
        Self(Handle::supervise(options, arbiter, move |_| NotificationActor {
            pool: pool.clone(),
            channel: Arc::clone(&channel),
            max_retries,
            turn: Arc::default(),
        }))
    }

    /// Sends the notifications of the batch that have not been sent, in order, starting at `from`.
    /// Returns after the commit, with the position to continue from. It returns after a few seconds
    /// even if more is left.
    pub(super) async fn notify(
        &self,
        batch: Arc<[Incoming]>,
        from: Next,
    ) -> Result<Handled, NotifyError> {
        self.0.ask(Notify { batch, from }).await
    }

    /// Accepts no more batches, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
