//! One dead letter: a record that cannot be processed, and the reason.

use kafka_actors::{Headers, ReceivedRecord, Record};

/// Longer reasons are truncated: they are for people, and the size of a record is limited.
const REASON_BYTES: usize = 1024;

/// Makes a reason fit for a dead letter.
pub fn letter_reason(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES));
    // PostgreSQL cannot store this character in a text.
    reason.replace('\0', "\u{fffd}")
}

/// A record that cannot be processed, and the reason.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The record.
    pub record: ReceivedRecord,
    /// The channel that could not send it. Empty if the record is not an event.
    pub channel: String,
    /// The order, if the record's key is an order id.
    pub order_id: Option<i64>,
    /// Why it cannot be processed.
    pub reason: String,
    /// How many times that was tried.
    pub attempts: i32,
}

impl DeadLetter {
    /// The letter of a record that is not an event.
    pub fn of_record(record: &ReceivedRecord, reason: String) -> Self {
        let reason = letter_reason(reason);
        let key = record.key.as_deref().and_then(|key| str::from_utf8(key).ok());
        Self {
            record: record.clone(),
            channel: String::new(),
            order_id: key.and_then(|key| key.parse().ok()),
            reason,
            attempts: 1,
        }
    }

    /// The complete letter, as a record for `topic`.
    pub(super) fn whole(&self, topic: &str) -> Record {
        let ReceivedRecord { key, payload, headers, .. } = self.record.clone();
        Record { topic: topic.to_owned(), key, payload, headers: self.described(headers) }
    }

    /// A letter without key and value, for a record that would be too large. It holds the record's
    /// origin and the reason.
    pub(super) fn whereabouts(&self, topic: &str) -> Record {
        let bytes = self.record.payload.as_ref().map_or(0, Vec::len);
        let headers = self.described(Headers::new()).with("x-original-bytes", bytes.to_string());
        Record { topic: topic.to_owned(), key: None, payload: None, headers }
    }

    fn described(&self, headers: Headers) -> Headers {
        let headers = headers
            .with("x-error-reason", self.reason.as_str())
            .with("x-attempts", self.attempts.to_string())
            .with("x-original-topic", self.record.topic.as_str())
            .with("x-original-partition", self.record.partition.to_string())
            .with("x-original-offset", self.record.offset.to_string());
        if self.channel.is_empty() { headers } else { headers.with("x-channel", &*self.channel) }
    }
}
