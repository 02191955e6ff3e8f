//! The traces of events. Each continues the trace of the change that it reports.

use shared_actors::kafka;
use shared_actors::telemetry::{self, TraceContext};
use tracing::Span;

use super::event::OrderEvent;

/// Creates a span for the creation of each event, up to now, and stores its context in the event.
/// Returns the span in which all are sent.
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
