//! Replays dead letters.
//!
//! A record that is not an event is published to its topic again. The notifier that reads it may
//! understand it by now. A notification that a channel could not send becomes a pending delivery
//! again.

use kafka_actors::{ProducerHandle, ProducerOptions};
use shared_actors::actor::Arbiters;
use sqlx::PgConnection;

use super::DlqError;
use super::letter::Letter;
use super::queries;
use crate::events::OrderEvent;
use crate::settings::Settings;

/// Replays letters. Connects to Kafka only if a record must be published.
pub(super) struct Replay {
    producer: ProducerHandle,
}

/// A letter that could not be replayed, and why.
pub(super) type Failed = (i64, String);

impl Replay {
    pub fn new(settings: &Settings) -> Self {
        let options = ProducerOptions::new(settings.brokers(), "notifier-dlq")
            .retry_max(settings.kafka.retry_max);
        Self { producer: ProducerHandle::start(options, Arbiters::new(0).pick(0)) }
    }

    /// Replays the letters. Returns the ids of those that were, and those that could not be.
    pub async fn letters(
        &self,
        connection: &mut PgConnection,
        letters: &[Letter],
    ) -> Result<(Vec<i64>, Vec<Failed>), DlqError> {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let (records, notifications): (Vec<_>, Vec<_>) =
            letters.iter().partition(|letter| letter.channel.is_empty());
        for letter in notifications {
            let payload = letter.payload.as_deref().unwrap_or_default();
            match OrderEvent::parse(letter.headers().text("ce_type"), payload, usize::MAX) {
                Ok(event) => {
                    queries::deliver_again(connection, letter, &event).await?;
                    done.push(letter.id);
                }
                Err(reason) => failed.push((letter.id, reason.to_string())),
            }
        }
        let published =
            self.producer.publish_each(records.iter().map(|letter| letter.record()).collect());
        for (letter, outcome) in records.iter().zip(published.await?) {
            match outcome {
                Ok(()) => done.push(letter.id),
                Err(error) => failed.push((letter.id, error.to_string())),
            }
        }
        Ok((done, failed))
    }
}
