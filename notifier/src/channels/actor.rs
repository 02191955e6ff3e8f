//! The actor that runs a channel. Its mailbox is the channel's queue, and each command is one attempt.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use shared_actors::actor::{ActorOptions, Command, Envelope, Handle};
use shared_actors::{deadline, trace};
use tokio::time::timeout_at;
use tracing::{Instrument, Span};

use super::{Channel, ChannelError, Notification};

/// Send one notification.
struct SendNotification(Notification);

impl Command for SendNotification {
    type Output = ();
    type Error = ChannelError;
    const NAME: &'static str = "send_notification";
}

/// Send these notifications one after the other, each in its span, up to the first one that fails.
struct SendNotifications(Vec<(Notification, Span)>);

impl Command for SendNotifications {
    /// How many were sent.
    type Output = usize;
    type Error = ChannelError;
    const NAME: &'static str = "send_notifications";
}

struct ChannelActor {
    channel: Arc<dyn Channel>,
    attempt_timeout: Duration,
}

impl Actor for ChannelActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<SendNotification>> for ChannelActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<SendNotification>, _: &mut Context<Self>) {
        let (channel, limit) = (Arc::clone(&self.channel), self.attempt_timeout);
        envelope.run(move |SendNotification(notification)| async move {
            // The courier may retry after its deadline, so the attempt must end by then.
            let sent = timeout_at(deadline::within(limit), channel.send(&notification)).await;
            sent.unwrap_or_else(|_| {
                Err(ChannelError::unavailable(format!("no answer within {limit:?}")))
            })
        });
    }
}

impl Handler<Envelope<SendNotifications>> for ChannelActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<SendNotifications>, _: &mut Context<Self>) {
        let channel = Arc::clone(&self.channel);
        envelope.run(move |SendNotifications(notifications)| async move {
            let mut sent = 0;
            for (notification, span) in &notifications {
                if channel.send(notification).instrument(span.clone()).await.is_err() {
                    trace::failed(span, "not sent");
                    break;
                }
                sent += 1;
            }
            Ok(sent)
        });
    }
}

/// The handle of one channel's actor. Cheap to clone.
#[derive(Clone)]
pub struct ChannelHandle {
    actor: Handle<ChannelActor>,
    name: &'static str,
    concurrency: usize,
}

impl ChannelHandle {
    /// Starts the actor of `channel` on `arbiter`. One attempt takes at most `attempt_timeout`.
    pub fn start(
        channel: Arc<dyn Channel>,
        attempt_timeout: Duration,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let (name, concurrency) = (channel.name(), channel.concurrency());
        // A name lives as long as the process, and there is one actor per channel.
        let actor_name = Box::leak(format!("{name}_channel").into_boxed_str());
        let options = ActorOptions::new(actor_name)
            .capacity(concurrency)
            // The actor itself ends an attempt in time.
            .deadline(attempt_timeout + Duration::from_secs(1));
        let actor = Handle::supervise(options, arbiter, move |_| ChannelActor {
            channel: Arc::clone(&channel),
            attempt_timeout,
        });
        Self { actor, name, concurrency }
    }

    /// The channel's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many notifications it sends at once.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Makes one attempt to send the notification.
    ///
    /// # Errors
    /// The channel did not send it, or the outcome is unknown.
    pub async fn send(&self, notification: Notification) -> Result<(), ChannelError> {
        self.actor.ask(SendNotification(notification)).await
    }

    /// Sends the notifications one after the other, each in its span, up to the first one that fails.
    /// Returns how many were sent. For channels that do not wait.
    ///
    /// # Errors
    /// The outcome of all of them is unknown.
    pub async fn send_all(
        &self,
        notifications: Vec<(Notification, Span)>,
    ) -> Result<usize, ChannelError> {
        self.actor.ask(SendNotifications(notifications)).await
    }

    /// Accepts no more notifications, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.actor.drain().await;
    }
}
