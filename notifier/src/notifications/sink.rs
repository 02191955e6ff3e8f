//! Where the consumer's records go: events to the actor, what is none to the dead letters.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use shared_actors::kafka::{ReceivedRecord, RecordSink, SinkError};

use super::actor::NotificationHandle;
use super::dead_letter::DeadLetters;
use super::effect::{Incoming, Outcome};
use super::metrics::NOTIFICATIONS;
use crate::events::OrderEvent;

/// Handles every record of a batch before the batch counts as done.
#[derive(Clone)]
pub struct NotificationSink {
    /// Does the effects.
    pub notifications: NotificationHandle,
    /// Takes what cannot be handled.
    pub dead_letters: DeadLetters,
    /// The channel's name, for metrics.
    pub channel: &'static str,
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
                    let traceparent = record.headers.traceparent().map(str::to_owned);
                    records.push(record);
                    events.push(Incoming { notification: event.into(), traceparent });
                }
                Err(poison) => dead.push((record, poison.to_string())),
            }
        }
        let mut done = 0;
        while done < events.len() {
            let outcomes = self
                .notifications
                .notify(events[done..].to_vec())
                .await
                .map_err(|error| unavailable(&error))?;
            for outcome in outcomes {
                match outcome {
                    Outcome::Sent => self.count("sent"),
                    Outcome::Duplicate => self.count("duplicate"),
                    Outcome::Refused { reason } => dead.push((records[done], reason)),
                }
                done += 1;
            }
        }
        if !dead.is_empty() {
            self.dead_letters.write(&dead).await.map_err(|error| unavailable(&error))?;
            for _ in &dead {
                self.count("dead_letter");
            }
        }
        Ok(())
    }

    fn count(&self, outcome: &str) {
        NOTIFICATIONS.with_label_values(&[self.channel, outcome]).inc();
    }
}

fn unavailable(error: &impl ToString) -> SinkError {
    SinkError::Unavailable { reason: error.to_string() }
}
