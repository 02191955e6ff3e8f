//! Receives the consumer's records. Events go to the actor, all others to the dead letters.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::join;
use kafka_actors::{ReceivedRecord, RecordSink, SinkError, spans};
use shared_actors::trace::{self, TraceContext};
use tracing::{Instrument, Span};

use super::actor::NotificationHandle;
use super::dead_letters::{DeadLetter, DeadLetters};
use super::effect::{Incoming, Next, Outcome};
use super::metrics::NotificationMetrics;
use crate::events::OrderEvent;

/// Handles every record of a batch before the batch counts as done.
#[derive(Clone)]
pub struct NotificationSink {
    /// Sends the notifications.
    pub notifications: NotificationHandle,
    /// Takes records that cannot be processed.
    pub dead_letters: DeadLetters,
    /// The consumer group, for traces.
    pub group: String,
    /// Counts how records are handled.
    pub metrics: NotificationMetrics,
    /// The maximum length of a value in bytes. An event with a longer value becomes a dead letter.
    pub event_max_bytes: usize,
}

impl RecordSink for NotificationSink {
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.handle(&batch).await })
    }
}

impl NotificationSink {
    async fn handle(&self, batch: &[ReceivedRecord]) -> Result<(), SinkError> {
        let mut poison = Vec::new();
        let mut records = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        for record in batch {
            // A tombstone deletes a key from a compacted topic; it is not an event.
            let Some(payload) = record.payload.as_deref() else {
                self.metrics.tombstone();
                continue;
            };
            match OrderEvent::parse(record.headers.text("ce_type"), payload, self.event_max_bytes) {
                Ok(event) => {
                    let span = spans::processing(record, &self.group);
                    records.push(record);
                    events.push(Incoming { notification: event.into(), span });
                }
                Err(reason) => poison.push(DeadLetter::new(record, reason.to_string())),
            }
        }
        // Poison and events do not wait for each other: the channel, the inbox or the dead-letter
        // topic may be down.
        let (poison, events) = join!(self.bury(poison), self.notify(&records, events, batch));
        poison.and(events)?;
        self.dead_letters.batch_is_done();
        Ok(())
    }

    async fn notify(
        &self,
        records: &[&ReceivedRecord],
        events: Vec<Incoming>,
        batch: &[ReceivedRecord],
    ) -> Result<(), SinkError> {
        let delivering = delivering(&events, batch);
        let events: Arc<[Incoming]> = events.into();
        let mut refused = Vec::new();
        let mut next = Next::default();
        while next.index < events.len() {
            let from = next.index;
            let notified = self.notifications.notify(Arc::clone(&events), next);
            let handled = notified
                .instrument(delivering.clone())
                .await
                .map_err(|error| unavailable(&error))?;
            for (index, outcome) in (from..).zip(handled.outcomes) {
                match outcome {
                    Outcome::Sent => {
                        self.metrics.sent(events[index].notification.event.occurred_at);
                    }
                    Outcome::Duplicate => self.metrics.duplicate(),
                    Outcome::Refused { reason } => {
                        refused.push(DeadLetter::new(records[index], reason));
                    }
                }
            }
            next = handled.next;
        }
        self.bury(refused).await
    }

    async fn bury(&self, letters: Vec<DeadLetter>) -> Result<(), SinkError> {
        let written =
            self.dead_letters.write(letters).await.map_err(|error| unavailable(&error))?;
        self.metrics.dead_letters(written);
        Ok(())
    }
}

/// The span of the whole batch. If spans of batches are not recorded, returns the span of the first
/// event, so that log lines have a trace.
fn delivering(events: &[Incoming], batch: &[ReceivedRecord]) -> Span {
    let first = || events.first().map_or_else(Span::none, |first| first.span.clone());
    if !trace::is_exporting() {
        return first();
    }
    let processing: Vec<TraceContext> =
        events.iter().filter_map(|incoming| trace::of(&incoming.span)).collect();
    let topic = batch.first().map_or("", |record| record.topic.as_str());
    let span = spans::delivering(topic, &processing);
    if span.is_none() { first() } else { span }
}

fn unavailable(error: &impl ToString) -> SinkError {
    SinkError::Unavailable { reason: error.to_string() }
}
