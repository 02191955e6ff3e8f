//! Channels: the ways to reach people. A webhook or mail is another [`Channel`].

use futures::future::{LocalBoxFuture, ready};
use thiserror::Error;
use tracing::info;

use crate::events::OrderEvent;

/// What a channel is to send.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What happened.
    pub event: OrderEvent,
    /// The same in one line, for people.
    pub text: String,
}

impl From<OrderEvent> for Notification {
    fn from(event: OrderEvent) -> Self {
        Self { text: event.to_string(), event }
    }
}

/// Why a channel did not send.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChannelError {
    /// This notification is refused, for a reason of its own. Tried again a bounded number of times.
    #[error("refused: {reason}")]
    Refused {
        /// What the channel said.
        reason: String,
    },
    /// Nothing can be sent at the moment. Tried again until it can.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What the channel said.
        reason: String,
    },
}

/// A way to reach people.
///
/// `send` comes before the commit of the inbox: a crash in between sends a notification twice, and never loses one. A
/// channel that can recognise a repetition should do so by the event's id. One that takes longer than 5 s counts as
/// unavailable, and is asked again.
pub trait Channel: Send + Sync + 'static {
    /// The value of the label `channel` in metrics and in the table of notifications.
    fn name(&self) -> &'static str;

    /// Sends one notification; runs in the span that continues the trace of the event.
    fn send<'a>(&'a self, notification: &'a Notification) -> LocalBoxFuture<'a, Result<(), ChannelError>>;
}

/// One line in the log, at level info under the target `notification`.
#[derive(Clone, Copy, Debug)]
pub struct LogChannel;

impl Channel for LogChannel {
    fn name(&self) -> &'static str {
        "log"
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        let Notification { event, text } = notification;
        info!(target: "notification", event_id = %event.event_id, occurred_at = %event.occurred_at.to_rfc3339(), "{text}");
        Box::pin(ready(Ok(())))
    }
}
