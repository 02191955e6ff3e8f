//! Work that is done for many at once: whose trace it belongs to.
//!
//! It continues the trace of one of its causes, so that a request that was alone is one whole tree, and links to the
//! others.

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, current, is_exporting};

/// Makes `span`, which has not been entered yet, continue the trace of the first of `causes` that somebody records, or
/// of the first, and link to the others that somebody records. Does nothing while nothing is exported.
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

/// Makes `span` link to `context`, where the work that it waited for was done.
pub fn link(span: &Span, context: TraceContext) {
    if is_exporting() && !span.is_disabled() {
        span.add_link(context.to_open_telemetry());
    }
}
