//! The trace of a request through actors: the context that travels with a command, and the spans
//! of actors, batches and waits.
//!
//! Nothing is exported until [`export_with`] is called. Without it, a request still has a trace id
//! for its log lines.

mod batch;
mod context;
mod current;
mod past;

use std::sync::OnceLock;

use opentelemetry_sdk::trace::SdkTracer;

pub use batch::{join, link};
pub use context::TraceContext;
pub use current::{current, of, set_parent, trace_id, traceparent};
pub use past::PastSpan;
#[doc(hidden)]
pub use tracing::{Span, debug_span};

/// The target of the spans of requests. They exist at every `RUST_LOG` level, because they carry
/// the trace.
pub const REQUEST: &str = "request";

/// The target of debug spans that only an exporter uses: actors, statements, calls. They are
/// created within a request's trace and never start one.
pub const DETAIL: &str = "detail";

/// Opens a span of target [`DETAIL`] below the current one. Returns the current span itself if
/// there is none, or if details are disabled.
///
/// ```
/// let span = shared_actors::detail_span!("get", otel.kind = "client", db.system.name = "redis");
/// assert!(span.is_none(), "nothing was asked for");
/// ```
#[macro_export]
macro_rules! detail_span {
    ($name:literal, $($fields:tt)*) => {{
        let asking = $crate::trace::Span::current();
        if asking.is_none() {
            asking
        } else {
            let span = $crate::trace::debug_span!(
                target: $crate::trace::DETAIL, parent: &asking, $name, $($fields)*
            );
            if span.is_disabled() { asking } else { span }
        }
    }};
}

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Whether traces are exported. If not, work that only shows in traces can be skipped.
pub fn is_exporting() -> bool {
    TRACER.get().is_some()
}

/// Marks `span` as failed, with the kind of the error in one word. The span must have the fields
/// `otel.status_code` and `error.type`. Does nothing without an exporter, because `span` may then
/// be the span of the request.
pub fn failed(span: &Span, error_type: &str) {
    if is_exporting() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error_type);
    }
}

fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// Exports the spans of this process with `tracer`. The first call wins.
pub fn export_with(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}
