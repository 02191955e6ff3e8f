//! Sends notifications over a channel that neither waits nor fails, while their events are received.

use kafka_actors::ReceivedRecord;

use super::delivery::{DeliveryId, attempt_span};
use super::metrics::DeliveryMetrics;
use crate::channels::{ChannelHandle, Notification};
use crate::events::OrderEvent;

/// A channel that sends at once. Cheap to clone.
#[derive(Clone)]
pub struct ImmediateChannel {
    channel: ChannelHandle,
    metrics: DeliveryMetrics,
}

impl ImmediateChannel {
    /// Sends events over `channel`.
    pub fn new(channel: ChannelHandle) -> Self {
        let metrics = DeliveryMetrics::new(channel.name());
        Self { channel, metrics }
    }

    /// The channel's name.
    pub fn name(&self) -> &'static str {
        self.channel.name()
    }

    /// Sends the events in order, up to the first one that fails. Returns how many were sent.
    pub async fn send(&self, events: &[(&OrderEvent, &ReceivedRecord)]) -> usize {
        let notification = |(event, record): &(&OrderEvent, &ReceivedRecord)| {
            let id = DeliveryId {
                order_id: event.order_id,
                sequence: event.sequence.get().cast_signed(),
                event_id: event.event_id,
            };
            let span = attempt_span(self.name(), 1, id, event.state.as_str(), record);
            let notification = Notification {
                event: (*event).clone(),
                payload: record.payload.clone().unwrap_or_default(),
                traceparent: record.headers.traceparent().map(str::to_owned),
            };
            (notification, span)
        };
        let notifications: Vec<_> = events.iter().map(notification).collect();
        // Without an answer, all of them get deliveries, and may be sent twice.
        let sent = self.channel.send_all(notifications).await.unwrap_or_default();
        for (event, _) in &events[..sent] {
            self.metrics.sent(event.occurred_at);
        }
        sent
    }
}
