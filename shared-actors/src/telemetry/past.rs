//! Spans of what is over already: a wait whose end nobody could foresee.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::{TraceContext, tracer};

/// A stretch of time that goes to the exporter as a span.
///
/// ```
/// use shared_actors::telemetry::PastSpan;
///
/// let wait = PastSpan::internal("mailbox wait", std::time::SystemTime::now());
/// // Nothing is exported here, and so there is no span.
/// assert_eq!(wait.record(None), None);
/// ```
pub struct PastSpan {
    name: String,
    kind: SpanKind,
    start: SystemTime,
    attributes: Vec<KeyValue>,
}

impl PastSpan {
    /// Something within this process that began at `start`.
    pub fn internal(name: impl Into<String>, start: SystemTime) -> Self {
        Self { name: name.into(), kind: SpanKind::Internal, start, attributes: Vec::new() }
    }

    /// A message that came into being at `start`.
    pub fn producer(name: impl Into<String>, start: SystemTime) -> Self {
        Self { kind: SpanKind::Producer, ..Self::internal(name, start) }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// Exports the span as one that ends now, below `parent`. Answers its context; `None`, and no span, while nothing is
    /// exported or nobody records the parent.
    pub fn record(self, parent: Option<TraceContext>) -> Option<TraceContext> {
        let tracer = tracer()?;
        let parent = parent.filter(TraceContext::is_sampled)?;
        let builder = tracer
            .span_builder(self.name)
            .with_kind(self.kind)
            // Where clocks differ, it may seem to begin after now.
            .with_start_time(self.start.min(SystemTime::now()))
            .with_attributes(self.attributes);
        let parent = Context::new().with_remote_span_context(parent.to_open_telemetry());
        let mut span = tracer.build_with_context(builder, &parent);
        let context = TraceContext::from_open_telemetry(span.span_context());
        span.end();
        context
    }
}
