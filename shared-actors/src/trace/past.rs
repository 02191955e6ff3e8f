//! Spans of work that has already ended, such as a wait whose end was not known in advance.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::{TraceContext, tracer};

/// A period of time that is exported as a span.
///
/// ```
/// use shared_actors::trace::PastSpan;
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
    /// Work within this process that began at `start`.
    pub fn internal(name: impl Into<String>, start: SystemTime) -> Self {
        Self { name: name.into(), kind: SpanKind::Internal, start, attributes: Vec::new() }
    }

    /// A message that was created at `start`.
    pub fn producer(name: impl Into<String>, start: SystemTime) -> Self {
        Self { kind: SpanKind::Producer, ..Self::internal(name, start) }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// Exports the span below `parent`; it ends now. Returns its context. Returns `None`, and
    /// exports nothing, without an exporter or if `parent` is not sampled.
    pub fn record(self, parent: Option<TraceContext>) -> Option<TraceContext> {
        let tracer = tracer()?;
        let parent = parent.filter(TraceContext::is_sampled)?;
        let builder = tracer
            .span_builder(self.name)
            .with_kind(self.kind)
            // If clocks differ, the span may seem to start in the future.
            .with_start_time(self.start.min(SystemTime::now()))
            .with_attributes(self.attributes);
        let parent = Context::new().with_remote_span_context(parent.to_open_telemetry());
        let mut span = tracer.build_with_context(builder, &parent);
        let context = TraceContext::from_open_telemetry(span.span_context());
        span.end();
        context
    }
}
