//! Spans of messages, following OpenTelemetry's messaging conventions.
//!
//! Each message is created and processed within the trace of its cause. A batch is sent and
//! delivered in one span for many messages.

use std::time::SystemTime;

use shared_actors::fits;
use shared_actors::trace::{self, PastSpan, TraceContext};
use tracing::{Span, field};

use super::record::ReceivedRecord;

/// Records the creation of a message as a span from `since`, when its cause happened, until it is
/// handed to the producer now. Returns the context to send with the message, or `cause` itself if
/// no span was recorded.
pub fn created(
    topic: &str,
    key: &str,
    id: &str,
    since: SystemTime,
    cause: Option<TraceContext>,
) -> Option<TraceContext> {
    let creation = PastSpan::producer(format!("create {topic}"), since)
        .with("messaging.system", "kafka")
        .with("messaging.operation.name", "create")
        .with("messaging.operation.type", "create")
        .with("messaging.destination.name", topic.to_owned())
        .with("messaging.kafka.message.key", key.to_owned())
        .with("messaging.message.id", id.to_owned());
    creation.record(cause).or(cause)
}

/// The span in which a batch of messages with these contexts is sent.
pub fn sending(topic: &str, messages: &[TraceContext]) -> Span {
    let span = of_batch("send", "client", topic, messages);
    span.record("messaging.operation.type", "send");
    span
}

/// The span in which a batch of messages with these contexts is handed to its consumer.
pub fn delivering(topic: &str, messages: &[TraceContext]) -> Span {
    of_batch("deliver", "internal", topic, messages)
}

fn of_batch(
    operation: &'static str,
    kind: &'static str,
    topic: &str,
    messages: &[TraceContext],
) -> Span {
    if !trace::is_exporting() || messages.is_empty() {
        return Span::none();
    }
    let span = tracing::debug_span!(
        target: trace::DETAIL,
        parent: None,
        "batch",
        otel.name = format!("{operation} {topic}"),
        otel.kind = kind,
        otel.status_code = field::Empty,
        error.type = field::Empty,
        messaging.system = "kafka",
        messaging.operation.name = operation,
        messaging.operation.type = field::Empty,
        messaging.destination.name = topic,
        messaging.batch.message_count = fits::<usize, i64>(messages.len()),
    );
    trace::join(&span, messages);
    span
}

/// The span in which `group` processes a record. It continues the trace that came with the record.
pub fn processing(record: &ReceivedRecord, group: &str) -> Span {
    let topic = record.topic.as_str();
    let span = tracing::info_span!(
        target: trace::REQUEST,
        parent: None,
        "process",
        otel.name = field::Empty,
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = topic,
        messaging.destination.partition.id = record.partition.to_string(),
        messaging.consumer.group.name = group,
        messaging.kafka.offset = record.offset,
        messaging.kafka.message.key = field::Empty,
    );
    if trace::is_exporting() {
        span.record("otel.name", format!("process {topic}"));
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        span.record("messaging.kafka.message.key", key);
    }
    trace::set_parent(&span, record.headers.traceparent());
    span
}
