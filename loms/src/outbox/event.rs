//! An event in the format that Kafka consumers see: JSON, with `CloudEvents` headers.

use chrono::{DateTime, SecondsFormat, Utc};
use kafka_actors::{Headers, Record};
use serde::Serialize;
use service_kit::shard::ShardIndex;
use uuid::Uuid;

/// One state change of one order, as stored in the database.
#[derive(Clone, Debug)]
pub(crate) struct OrderEvent {
    pub order: i64,
    pub sequence: i32,
    pub state: String,
    pub event_id: Uuid,
    pub occurred_at: DateTime<Utc>,
    pub traceparent: Option<String>,
    pub user: i64,
    pub skus: Vec<i64>,
    pub counts: Vec<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value<'a> {
    id: i64,
    state: &'a str,
    user_id: i64,
    items: Vec<Item>,
    event_id: Uuid,
    sequence: i32,
    occurred_at: &'a str,
}

#[derive(Serialize)]
struct Item {
    sku: i64,
    count: i64,
}

impl OrderEvent {
    /// The Kafka record of this event. `shard` is the shard of the order.
    pub fn to_record(&self, topic: &str, shard: ShardIndex) -> Result<Record, serde_json::Error> {
        let occurred_at = self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let items = self
            .skus
            .iter()
            .zip(&self.counts)
            .map(|(sku, count)| Item { sku: *sku, count: *count });
        let value = Value {
            id: self.order,
            state: &self.state,
            user_id: self.user,
            items: items.collect(),
            event_id: self.event_id,
            sequence: self.sequence,
            occurred_at: &occurred_at,
        };
        let order = self.order.to_string();
        let headers = Headers::new()
            .with("ce_specversion", "1.0")
            .with("ce_id", self.event_id.to_string())
            .with("ce_type", format!("loms.order.{}.v1", self.state.to_ascii_lowercase()))
            .with("ce_source", format!("/loms/shards/{shard}"))
            .with("ce_subject", order.as_str())
            .with("ce_time", occurred_at.as_str())
            .with("content-type", "application/json")
            .with_traceparent(self.traceparent.as_deref());
        Ok(Record::new(topic, order, serde_json::to_vec(&value)?).with_headers(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_json_with_cloudevents_headers() {
        let event = OrderEvent {
            order: 1000,
            sequence: 2,
            state: "AWAITING_PAYMENT".to_owned(),
            event_id: Uuid::nil(),
            occurred_at: DateTime::UNIX_EPOCH,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            user: 7,
            skus: vec![1002, 1003],
            counts: vec![1, 4_294_967_295],
        };
        let record = event.to_record("orders", ShardIndex::new(3)).unwrap();
        let value: serde_json::Value =
            serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "id": 1000, "state": "AWAITING_PAYMENT", "userId": 7,
                "items": [{"sku": 1002, "count": 1}, {"sku": 1003, "count": 4_294_967_295_u32}],
                "eventId": "00000000-0000-0000-0000-000000000000", "sequence": 2,
                "occurredAt": "1970-01-01T00:00:00.000000Z",
            })
        );
        assert_eq!(record.key.as_deref(), Some(&b"1000"[..]));
        let headers: Vec<_> =
            ["ce_specversion", "ce_type", "ce_source", "ce_subject", "content-type"]
                .map(|name| record.headers.text(name))
                .into();
        let expected =
            ["1.0", "loms.order.awaiting_payment.v1", "/loms/shards/3", "1000", "application/json"]
                .map(Some);
        assert_eq!(headers, expected);
        assert!(record.headers.traceparent().is_some());
    }
}
