//! A delivery that this process has claimed, and how its attempt ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_actors::ReceivedRecord;
use shared_actors::trace;
use tracing::Span;
use uuid::Uuid;

use crate::channels::Notification;
use crate::events::OrderEvent;

/// The identity of a delivery within its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DeliveryId {
    pub order_id: i64,
    pub sequence: i32,
    pub event_id: Uuid,
}

/// A delivery that this process sends now. No other notifier takes it over until the claim ends.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub id: DeliveryId,
    pub order_state: String,
    pub occurred_at: DateTime<Utc>,
    /// How many attempts were made, including this one.
    pub attempts: u32,
    /// How many earlier attempts the channel has refused.
    pub refusals: u32,
    /// The time since the event was received.
    pub age: Duration,
    pub record: ReceivedRecord,
}

impl Delivery {
    /// What the channel sends.
    ///
    /// # Errors
    /// Why the stored record is not an event. It was one when it was received.
    pub fn notification(&self) -> Result<Notification, String> {
        let payload = self.record.payload.clone().unwrap_or_default();
        let event = OrderEvent::parse(self.record.headers.text("ce_type"), &payload, usize::MAX)
            .map_err(|poison| poison.to_string())?;
        let traceparent = self.record.headers.traceparent().map(str::to_owned);
        Ok(Notification { event, payload, traceparent })
    }

    /// The span of one attempt. It continues the trace of the event.
    pub fn span(&self, channel: &'static str) -> Span {
        attempt_span(channel, self.attempts, self.id, &self.order_state, &self.record)
    }
}

/// The span of one attempt to send the notification of a record. It continues the trace of the
/// event.
pub(super) fn attempt_span(
    channel: &'static str,
    attempt: u32,
    id: DeliveryId,
    order_state: &str,
    record: &ReceivedRecord,
) -> Span {
    let span = tracing::info_span!(
        target: trace::REQUEST,
        parent: None,
        "notify",
        otel.name = format!("notify {channel}"),
        otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        notification.channel = channel,
        notification.attempt = attempt,
        order.id = id.order_id,
        order.state = order_state,
        event.id = id.event_id.to_string(),
    );
    trace::set_parent(&span, record.headers.traceparent());
    span
}
