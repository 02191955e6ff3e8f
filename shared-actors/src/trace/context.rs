//! The W3C trace context, as a `traceparent` carries it. Pure text and numbers.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// The identity of a span within its trace. Displays as a `traceparent`.
///
/// ```
/// use shared_actors::trace::TraceContext;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(text).expect("a traceparent");
/// assert_eq!(context.to_string(), text);
/// assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// A new trace that is not sampled.
    pub fn generate() -> Self {
        let ids = RandomIdGenerator::default();
        let trace_id = u128::from_be_bytes(ids.new_trace_id().to_bytes());
        let span_id = u64::from_be_bytes(ids.new_span_id().to_bytes());
        Self { trace_id, span_id, flags: 0 }
    }

    /// Parses a `traceparent`. `None` means that the text is not one, and that a new trace should
    /// start.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = hex(text.get(0..2)?)?;
        let separated = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        // Later versions may append to these fields; version 00 may not.
        let ends = bytes.len() == 55 || (version != 0 && bytes.get(55) == Some(&b'-'));
        if !separated || !ends || version == 0xff {
            return None;
        }
        let context = Self {
            trace_id: hex(text.get(3..35)?)?,
            span_id: u64::try_from(hex(text.get(36..52)?)?).ok()?,
            flags: u8::try_from(hex(text.get(53..55)?)?).ok()?,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// The trace's id in 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// Whether this trace is recorded.
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    pub(super) fn from_open_telemetry(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        })
    }

    pub(super) fn to_open_telemetry(self) -> SpanContext {
        let flags = TraceFlags::new(self.flags);
        SpanContext::new(
            TraceId::from(self.trace_id),
            SpanId::from(self.span_id),
            flags,
            true,
            TraceState::NONE,
        )
    }
}

fn hex(text: &str) -> Option<u128> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u128::from_str_radix(text, 16).ok())?
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_traceparent() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            if let Some(context) = TraceContext::parse(text) {
                assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
                assert!(context.to_open_telemetry().is_valid());
            }
        });
    }

    #[test]
    fn what_is_no_traceparent_starts_a_new_trace() {
        for wrong in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
        assert!(
            TraceContext::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new")
                .is_some()
        );
    }

    #[test]
    fn a_generated_context_parses_again() {
        let context = TraceContext::generate();
        assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        assert_ne!(context, TraceContext::generate());
    }
}
