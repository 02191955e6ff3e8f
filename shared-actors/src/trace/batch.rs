//! Which trace a batch of work belongs to.
//!
//! It continues the trace of one of its causes and links to the others. The trace of a request that
//! was alone in its batch is thus one complete tree.

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, current, is_exporting};

/// Makes `span` continue the trace of the first sampled context in `causes`, or of the first one if
/// none is sampled. Adds links to the other sampled contexts. Call it before `span` is entered.
/// Does nothing without an exporter.
pub fn join(span: &Span, causes: &[TraceContext]) {
    if !is_exporting() || span.is_disabled() {
        return;
    }
    let continued = causes.iter().position(TraceContext::is_sampled).unwrap_or(0);
    for (index, cause) in causes.iter().enumerate() {
        if index == continued {
            current::continue_from(span, *cause);
        } else if cause.is_sampled() {
            span.add_link(cause.to_open_telemetry());
        }
    }
}

/// Adds a link from `span` to `context`, in which the work that it waited for was done.
pub fn link(span: &Span, context: TraceContext) {
    if is_exporting() && !span.is_disabled() {
        span.add_link(context.to_open_telemetry());
    }
}
