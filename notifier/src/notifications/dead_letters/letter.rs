//! One dead letter: a record that cannot be processed, and the reason.

use kafka_actors::{Headers, ReceivedRecord, Record};
use tracing::warn;

/// Longer reasons are truncated: they are for people, and the size of a record is limited.
const REASON_BYTES: usize = 1024;

/// A record that cannot be processed, and the reason.
#[derive(Clone, Debug)]
pub(in crate::notifications) struct DeadLetter {
    pub record: ReceivedRecord,
    pub reason: String,
}

impl DeadLetter {
    /// Creates the letter and logs it.
    pub fn new(record: &ReceivedRecord, mut reason: String) -> Self {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        // PostgreSQL cannot store this character in a text.
        let reason = reason.replace('\0', "\u{fffd}");
        let ReceivedRecord { topic, partition, offset, .. } = record;
        warn!(topic, partition, offset, reason, "the record becomes a dead letter");
        Self { record: record.clone(), reason }
    }

    /// The complete letter, as a record for `topic`.
    pub fn whole(&self, topic: &str) -> Record {
        let ReceivedRecord { key, payload, headers, .. } = self.record.clone();
        Record { topic: topic.to_owned(), key, payload, headers: self.described(headers) }
    }

    /// A letter without key and value, for a record that would be too large. It holds the record's
    /// origin and the reason.
    pub fn whereabouts(&self, topic: &str) -> Record {
        let bytes = self.record.payload.as_ref().map_or(0, Vec::len);
        let headers = self.described(Headers::new()).with("x-original-bytes", bytes.to_string());
        Record { topic: topic.to_owned(), key: None, payload: None, headers }
    }

    fn described(&self, headers: Headers) -> Headers {
        headers
            .with("x-error-reason", self.reason.as_str())
            .with("x-original-topic", self.record.topic.as_str())
            .with("x-original-partition", self.record.partition.to_string())
            .with("x-original-offset", self.record.offset.to_string())
    }
}
