//! Channels: the ways to reach people. A webhook or mail would be another [`Channel`].

use futures::future::{LocalBoxFuture, ready};
use thiserror::Error;
use tracing::info;

use crate::events::OrderEvent;

/// A notification for a channel to send.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The event.
    pub event: OrderEvent,
    /// The event in one line, for people.
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
    /// The channel refuses this notification. It is retried a limited number of times.
    #[error("refused: {reason}")]
    Refused {
        /// The channel's error message.
        reason: String,
    },
    /// The channel cannot send anything at the moment. It is retried until it can.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// The channel's error message.
        reason: String,
    },
}

/// A way to reach people.
///
/// `send` runs before the commit of the inbox. A crash in between sends a notification twice, and
/// never loses one. A channel that can recognise duplicates should do so by the event's id. A
/// channel that takes longer than 5 s counts as unavailable, and is retried.
pub trait Channel: Send + Sync + 'static {
    /// The channel's name: the label `channel` in metrics, and the value in the table of
    /// notifications.
    fn name(&self) -> &'static str;

    /// Sends one notification. Runs in a span that continues the trace of the event.
    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>>;
}

/// Writes one line to the log, at level info under the target `notification`.
#[derive(Clone, Copy, Debug)]
pub struct LogChannel;

impl Channel for LogChannel {
    fn name(&self) -> &'static str {
        "log"
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        let Notification { event, text } = notification;
        info!(target: "notification", event_id = %event.event_id, occurred_at = %event.occurred_at.to_rfc3339(), "{text}");
        Box::pin(ready(Ok(())))
    }
}
