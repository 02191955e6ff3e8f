//! The trace of the current span.
//!
//! With an exporter, the ids are OpenTelemetry's. Without one, the extensions of the outermost span
//! hold an id that is generated on first use. A request whose trace id is never read thus costs
//! nothing.

use opentelemetry::trace::TraceContextExt;
use tracing::{Dispatch, Span, span};
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::TraceContext;

/// The trace context of the current span; `None` outside any span, or without a subscriber.
pub fn current() -> Option<TraceContext> {
    of(&Span::current())
}

/// The W3C `traceparent` of the current span, to continue its trace elsewhere.
pub fn traceparent() -> Option<String> {
    current().map(|context| context.to_string())
}

/// The id of the current trace, as log lines show it.
pub fn trace_id() -> Option<String> {
    current().map(|context| context.trace_id())
}

/// The trace context of `span`; `None` if it is disabled or no span at all.
pub fn of(span: &Span) -> Option<TraceContext> {
    span.with_subscriber(|(id, dispatch)| of_span(id, dispatch))?
}

/// Makes `span` continue the trace of `traceparent`. Call it before anything inside the span
/// starts. An invalid `traceparent` is ignored.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    let Some(context) = traceparent.and_then(TraceContext::parse) else { return };
    if super::is_exporting() {
        return continue_from(span, context);
    }
    span.with_subscriber(|(id, dispatch)| {
        let found = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let Some(span) = found {
            span.extensions_mut().replace(context);
        }
    });
}

pub(super) fn continue_from(span: &Span, parent: TraceContext) {
    let remote = opentelemetry::Context::new().with_remote_span_context(parent.to_open_telemetry());
    // This fails only if something inside the span has already started; then it is too late to set
    // a parent.
    let _ = span.set_parent(remote);
}

fn of_span(id: &span::Id, dispatch: &Dispatch) -> Option<TraceContext> {
    let innermost = dispatch.downcast_ref::<Registry>()?.span(id)?;
    innermost
        .scope()
        .find_map(|span| {
            exported(&span.id(), dispatch).or_else(|| span.extensions().get().copied())
        })
        .or_else(|| innermost.scope().last().map(|outermost| generated(&outermost)))
}

fn exported(id: &span::Id, dispatch: &Dispatch) -> Option<TraceContext> {
    let context = get_otel_context(id, dispatch)?;
    TraceContext::from_open_telemetry(context.span().span_context())
}

fn generated<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> TraceContext {
    let mut extensions = span.extensions_mut();
    if let Some(context) = extensions.get_mut::<TraceContext>() {
        return *context;
    }
    let context = TraceContext::generate();
    extensions.insert(context);
    context
}
