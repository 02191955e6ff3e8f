//! The traces of events: each continues that of the change it tells of.

use shared_actors::kafka;
use shared_actors::telemetry::{self, TraceContext};
use tracing::Span;

use super::event::OrderEvent;

/// Gives each event the context of its creation, which lasted until now, and opens the span in which all are sent.
pub(super) fn sending(topic: &str, events: &mut [OrderEvent]) -> Span {
    if !telemetry::is_exporting() {
        return Span::none();
    }
    let mut created = Vec::new();
    for event in events {
        let cause = event.traceparent.as_deref().and_then(TraceContext::parse);
        let (key, id) = (event.order.to_string(), event.event_id.to_string());
        if let Some(context) = kafka::trace::created(topic, &key, &id, event.occurred_at.into(), cause) {
            event.traceparent = Some(context.to_string());
            created.push(context);
        }
    }
    kafka::trace::sending(topic, &created)
}
