//! The channel that writes to the log.

use futures::future::{LocalBoxFuture, ready};
use tracing::info;

use super::{Channel, ChannelError, Notification};

/// Writes one line to the log, at level info under the target `notification`.
#[derive(Clone, Copy, Debug)]
pub struct LogChannel;

impl Channel for LogChannel {
    fn name(&self) -> &'static str {
        "log"
    }

    fn concurrency(&self) -> usize {
        64
    }

    fn is_immediate(&self) -> bool {
        true
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        let event = &notification.event;
        info!(target: "notification", event_id = %event.event_id, occurred_at = %event.occurred_at.to_rfc3339(), "{event}");
        Box::pin(ready(Ok(())))
    }
}
