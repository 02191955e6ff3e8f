//! The traces of events. Each continues the trace of the change that it reports.

use kafka_actors::spans;
use shared_actors::trace::{self, TraceContext};
use tracing::Span;

use super::event::OrderEvent;

/// Creates a span for the creation of each event, up to now, and stores its context in the event.
/// Returns the span in which all are sent.
pub(super) fn sending(topic: &str, events: &mut [OrderEvent]) -> Span {
    if !trace::is_exporting() {
        return Span::none();
    }
    let mut created = Vec::new();
    for event in events {
        let cause = event.traceparent.as_deref().and_then(TraceContext::parse);
        let (key, id) = (event.order.to_string(), event.event_id.to_string());
        if let Some(context) = spans::created(topic, &key, &id, event.occurred_at.into(), cause) {
            event.traceparent = Some(context.to_string());
            created.push(context);
        }
    }
    spans::sending(topic, &created)
}
