//! A dead letter as the database keeps it.

use chrono::{DateTime, Utc};
use kafka_actors::{Headers, Record};
use serde_json::{Value, json};

/// A dead letter with its record.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Letter {
    pub id: i64,
    pub topic: String,
    pub partition: i32,
    pub record_offset: i64,
    /// Empty for a record that is not an event.
    pub channel: String,
    pub order_id: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub header_names: Vec<String>,
    pub header_values: Vec<Vec<u8>>,
    pub reason: String,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub resolution: Option<String>,
    pub resolved_at: Option<DateTime<Utc>>,
}

impl Letter {
    /// The headers of the record.
    pub fn headers(&self) -> Headers {
        self.header_names.iter().cloned().zip(self.header_values.iter().cloned()).collect()
    }

    /// The record as it was read.
    pub fn record(&self) -> Record {
        Record {
            topic: self.topic.clone(),
            key: self.key.clone(),
            payload: self.payload.clone(),
            headers: self.headers(),
        }
    }

    /// The letter without its record.
    pub fn summary(&self) -> Value {
        json!({
            "id": self.id,
            "created_at": self.created_at,
            "channel": (!self.channel.is_empty()).then_some(&self.channel),
            "order_id": self.order_id,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.record_offset,
            "reason": self.reason,
            "attempts": self.attempts,
            "published_at": self.published_at,
            "resolution": self.resolution,
            "resolved_at": self.resolved_at,
        })
    }

    /// The whole letter. Bytes that are not UTF-8 are replaced.
    pub fn whole(&self) -> Value {
        let mut letter = self.summary();
        letter["key"] = json!(self.key.as_deref().map(String::from_utf8_lossy));
        letter["value"] = json!(self.payload.as_deref().map(String::from_utf8_lossy));
        let headers: Vec<Value> = self
            .headers()
            .iter()
            .map(|(name, value)| json!({"name": name, "value": String::from_utf8_lossy(value)}))
            .collect();
        letter["headers"] = headers.into();
        letter
    }
}
