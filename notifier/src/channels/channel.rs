//! What a channel is, and what it sends.

use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use shared_actors::actor::AskError;
use thiserror::Error;

use crate::events::{OrderEvent, OrderState};

/// A notification for a channel to send.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The event.
    pub event: OrderEvent,
    /// The event as it was published: JSON.
    pub payload: Vec<u8>,
    /// The W3C trace context of the change.
    pub traceparent: Option<String>,
}

/// Why a channel did not send.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChannelError {
    /// The receiver rejects this notification. It is retried a limited number of times.
    #[error("refused: {reason}")]
    Refused {
        /// The receiver's error message.
        reason: String,
    },
    /// The receiver is temporarily unavailable. The notification is retried until it is too old.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// The error message.
        reason: String,
        /// How long the receiver asks to wait.
        retry_after: Option<Duration>,
    },
    /// The channel's actor did not answer, because it was restarted or overloaded. This says
    /// nothing about the receiver.
    #[error("interrupted: {0}")]
    Interrupted(AskError),
}

impl ChannelError {
    /// The receiver is temporarily unavailable.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None }
    }
}

impl From<AskError> for ChannelError {
    fn from(error: AskError) -> Self {
        Self::Interrupted(error)
    }
}

/// A way to reach people.
///
/// A notification is sent at least once: the process may die after `send`, before that is recorded.
/// So a channel tells its receiver the id of the event, by which it recognises duplicates. The events
/// of one order are sent one after the other, in order.
pub trait Channel: Send + Sync + 'static {
    /// The channel's name: the label `channel` in metrics, and the value in the table of
    /// deliveries.
    fn name(&self) -> &'static str;

    /// How many notifications one process sends at once, all of different orders.
    fn concurrency(&self) -> usize {
        16
    }

    /// Whether sending neither waits nor fails. Then notifications are sent when their events are
    /// received, and are no rows in the table of deliveries unless they fail in spite of this.
    fn is_immediate(&self) -> bool {
        false
    }

    /// Sends one notification. Runs in a span that continues the trace of the event. An attempt that
    /// takes longer than `NOTIFICATION_TIMEOUT` is dropped, and counts as unavailable.
    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>>;
}

/// A channel, and the states of orders that it notifies about.
#[derive(Clone)]
pub struct EnabledChannel {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// Events with another state are not sent over it.
    pub states: Vec<OrderState>,
}

impl EnabledChannel {
    /// Whether the channel notifies about this event.
    pub fn wants(&self, event: &OrderEvent) -> bool {
        self.states.contains(&event.state)
    }

    /// A channel for all states.
    pub fn of_all_states(channel: impl Channel) -> Self {
        Self { channel: Arc::new(channel), states: OrderState::ALL.to_vec() }
    }
}
