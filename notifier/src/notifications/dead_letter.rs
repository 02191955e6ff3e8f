//! Dead letters: records that cannot be handled, with their reason, in a topic of their own.

use shared_actors::kafka::{Headers, ProducerError, ProducerHandle, ReceivedRecord, Record, Topic};
use tracing::warn;

/// A header's value is cut to this: a reason is for people, and a record has a limit.
const REASON_BYTES: usize = 1024;

/// Writes dead letters. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    topic: Topic,
    producer: ProducerHandle,
}

impl DeadLetters {
    /// Dead letters go to `topic` through `producer`.
    pub fn new(topic: Topic, producer: ProducerHandle) -> Self {
        Self { topic, producer }
    }

    /// Writes the records with their reasons, and answers when the brokers have acknowledged them all. After an error
    /// some may be there already; they come again.
    pub async fn write(&self, letters: &[(&ReceivedRecord, String)]) -> Result<(), ProducerError> {
        let topic = self.topic.name().await?;
        let records = letters.iter().map(|(record, reason)| letter(topic, record, reason, true)).collect();
        match self.producer.publish(records).await {
            Err(ProducerError::Rejected { .. }) => self.write_one_by_one(topic, letters).await,
            result => result,
        }
    }

    /// A record at the very limit of what the broker takes has grown past it by the added headers: what remains is
    /// where it came from, and why it is here.
    async fn write_one_by_one(
        &self,
        topic: &str,
        letters: &[(&ReceivedRecord, String)],
    ) -> Result<(), ProducerError> {
        for (record, reason) in letters {
            let whole = self.producer.publish(vec![letter(topic, record, reason, true)]).await;
            match whole {
                Err(ProducerError::Rejected { .. }) => {
                    self.producer.publish(vec![letter(topic, record, reason, false)]).await?;
                }
                result => result?,
            }
        }
        Ok(())
    }
}

fn letter(topic: &str, record: &ReceivedRecord, reason: &str, whole: bool) -> Record {
    warn!(
        topic = record.topic,
        partition = record.partition,
        offset = record.offset,
        reason,
        "the record becomes a dead letter"
    );
    let original = if whole { record.headers.clone() } else { Headers::new() };
    let headers = original
        .with("x-error-reason", &reason.as_bytes()[..reason.floor_char_boundary(REASON_BYTES)])
        .with("x-original-topic", record.topic.as_str())
        .with("x-original-partition", record.partition.to_string())
        .with("x-original-offset", record.offset.to_string());
    let size = record.payload.as_ref().map_or(0, Vec::len);
    Record {
        topic: topic.to_owned(),
        key: record.key.clone().filter(|_| whole),
        payload: record.payload.clone().filter(|_| whole),
        headers: if whole { headers } else { headers.with("x-original-bytes", size.to_string()) },
    }
}
