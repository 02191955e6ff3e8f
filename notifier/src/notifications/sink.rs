//! Where the consumer's records go: events to the actor, what is none to the dead letters.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use shared_actors::kafka::{ReceivedRecord, RecordSink, SinkError, trace};
use shared_actors::telemetry::{self, TraceContext};
use tracing::{Instrument, Span};

use super::actor::NotificationHandle;
use super::dead_letter::DeadLetters;
use super::effect::{Incoming, Outcome};
use super::metrics::NotificationMetrics;
use crate::events::OrderEvent;

/// Handles every record of a batch before the batch counts as done.
#[derive(Clone)]
pub struct NotificationSink {
    /// Does the effects.
    pub notifications: NotificationHandle,
    /// Takes what cannot be handled.
    pub dead_letters: DeadLetters,
    /// The consumer group, for traces.
    pub group: String,
    /// Counts what becomes of them.
    pub metrics: NotificationMetrics,
    /// An event with a longer value is a dead letter.
    pub event_max_bytes: usize,
}

impl RecordSink for NotificationSink {
    fn deliver(&self, batch: Arc<[ReceivedRecord]>) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.handle(&batch).await })
    }
}

impl NotificationSink {
    async fn handle(&self, batch: &[ReceivedRecord]) -> Result<(), SinkError> {
        let mut dead = Vec::new();
        let mut records = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        for record in batch {
            match OrderEvent::parse(record.payload.as_deref(), self.event_max_bytes) {
                Ok(event) => {
                    let span = trace::processing(record, &self.group);
                    records.push(record);
                    events.push(Incoming { notification: event.into(), span });
                }
                Err(poison) => dead.push((record, poison.to_string())),
            }
        }
        let delivering = delivering(&events, batch);
        let mut done = 0;
        while done < events.len() {
            let outcomes = self
                .notifications
                .notify(events[done..].to_vec())
                .instrument(delivering.clone())
                .await
                .map_err(|error| unavailable(&error))?;
            for outcome in outcomes {
                match outcome {
                    Outcome::Sent => self.metrics.sent(events[done].notification.event.occurred_at),
                    Outcome::Duplicate => self.metrics.duplicate(),
                    Outcome::Refused { reason } => dead.push((records[done], reason)),
                }
                done += 1;
            }
        }
        if !dead.is_empty() {
            self.dead_letters.write(&dead).await.map_err(|error| unavailable(&error))?;
            self.metrics.dead_letters(dead.len());
        }
        Ok(())
    }
}

/// The span of a whole batch; that of its first event, for the log's sake, where nobody looks at spans of batches.
fn delivering(events: &[Incoming], batch: &[ReceivedRecord]) -> Span {
    let first = || events.first().map_or_else(Span::none, |first| first.span.clone());
    if !telemetry::is_exporting() {
        return first();
    }
    let processing: Vec<TraceContext> =
        events.iter().filter_map(|incoming| telemetry::of(&incoming.span)).collect();
    let topic = batch.first().map_or("", |record| record.topic.as_str());
    let span = trace::delivering(topic, &processing);
    if span.is_none() { first() } else { span }
}

fn unavailable(error: &impl ToString) -> SinkError {
    SinkError::Unavailable { reason: error.to_string() }
}
