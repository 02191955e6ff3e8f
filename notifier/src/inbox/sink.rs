//! Receives the consumer's records. Events go to the inbox. All other records become dead letters.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::join;
use kafka_actors::{ReceivedRecord, RecordSink, SinkError, spans};
use shared_actors::trace::{self, TraceContext};
use tracing::{Instrument, Span};

use super::actor::{InboxHandle, Incoming};
use super::metrics::InboxMetrics;
use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::deliveries::CourierHandle;
use crate::events::OrderEvent;

/// Stores every record of a batch before the batch counts as done.
#[derive(Clone)]
pub struct EventSink {
    inbox: InboxHandle,
    dead_letters: DeadLetters,
    couriers: Vec<CourierHandle>,
    group: String,
    event_max_bytes: usize,
    metrics: InboxMetrics,
}

impl RecordSink for EventSink {
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.handle(&batch).await })
    }
}

impl EventSink {
    /// Stores events in `inbox`, and then wakes `couriers`. Other records become dead letters, and
    /// so do values with more than `event_max_bytes`. `group` is the consumer group, for traces.
    pub fn new(
        inbox: InboxHandle,
        dead_letters: DeadLetters,
        couriers: Vec<CourierHandle>,
        group: &str,
        event_max_bytes: usize,
    ) -> Self {
        let (group, metrics) = (group.to_owned(), InboxMetrics::default());
        Self { inbox, dead_letters, couriers, group, event_max_bytes, metrics }
    }

    async fn handle(&self, batch: &Arc<[ReceivedRecord]>) -> Result<(), SinkError> {
        let (mut poison, mut tombstones) = (Vec::new(), 0);
        let mut spans = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        for (index, record) in batch.iter().enumerate() {
            // A tombstone deletes a key from a compacted topic; it is not an event.
            let Some(payload) = record.payload.as_deref() else {
                tombstones += 1;
                continue;
            };
            match OrderEvent::parse(record.headers.text("ce_type"), payload, self.event_max_bytes) {
                Ok(event) => {
                    spans.push(spans::processing(record, &self.group));
                    events.push(Incoming::new(event, Arc::clone(batch), index));
                }
                Err(reason) => poison.push(DeadLetter::of_record(record, reason.to_string())),
            }
        }
        // The two use different tables, and neither must wait for the other.
        let (poison, duplicates) = join!(self.bury(poison), self.receive(events, &spans, batch));
        poison?;
        // Counted last, because a batch that fails is redelivered.
        self.metrics.duplicate.inc_by(duplicates?);
        self.metrics.tombstone.inc_by(tombstones);
        Ok(())
    }

    /// Stores the events, and returns how many of them are not new.
    async fn receive(
        &self,
        events: Vec<Incoming>,
        spans: &[Span],
        batch: &[ReceivedRecord],
    ) -> Result<u64, SinkError> {
        if events.is_empty() {
            return Ok(0);
        }
        let all = events.len() as u64;
        let received = self.inbox.receive(events.into()).instrument(delivering(spans, batch));
        let new = received.await.map_err(|error| unavailable(&error))?;
        self.metrics.new.inc_by(new);
        for courier in &self.couriers {
            courier.wake();
        }
        Ok(all - new)
    }

    async fn bury(&self, letters: Vec<DeadLetter>) -> Result<(), SinkError> {
        let written = self.dead_letters.keep(&letters).await;
        self.metrics.dead_letter.inc_by(written.map_err(|error| unavailable(&error))?);
        Ok(())
    }
}

/// The span of the whole batch. If spans of batches are not recorded, returns the span of the first
/// event, so that log lines have a trace.
fn delivering(spans: &[Span], batch: &[ReceivedRecord]) -> Span {
    let first = || spans.first().cloned().unwrap_or_else(Span::none);
    if !trace::is_exporting() {
        return first();
    }
    let processing: Vec<TraceContext> = spans.iter().filter_map(trace::of).collect();
    let topic = batch.first().map_or("", |record| record.topic.as_str());
    let span = spans::delivering(topic, &processing);
    if span.is_none() { first() } else { span }
}

fn unavailable(error: &impl ToString) -> SinkError {
    SinkError::Unavailable { reason: error.to_string() }
}
