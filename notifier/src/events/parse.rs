//! Parses an event from a record's value, or returns exactly why that fails.

use std::num::NonZeroU32;

use chrono::{DateTime, Datelike, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use super::{Item, OrderEvent, OrderState};

/// The suffix of `ce_type` for the supported version of events.
const VERSION: &str = ".v1";

/// Why a record contains no event. A retry cannot succeed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Poison {
    /// Another version of the event, which may have another meaning.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// The value is longer than the limit.
    #[error("the value has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The length of the value.
        bytes: usize,
        /// The maximum length.
        limit: usize,
    },
    /// The value is not a JSON object.
    #[error("the value is not a JSON object: {0}")]
    NotJson(String),
    /// A field is missing or has an invalid value.
    #[error("not an order event: {0}")]
    NotAnEvent(String),
}

/// The fields, under their names or these names in lower case.
#[derive(Deserialize)]
struct Wire {
    id: i64,
    state: OrderState,
    #[serde(rename = "userid", alias = "userId")]
    user_id: i64,
    items: Vec<Item>,
    #[serde(rename = "eventid", alias = "eventId")]
    event_id: Uuid,
    sequence: NonZeroU32,
    #[serde(rename = "occurredat", alias = "occurredAt")]
    occurred_at: DateTime<Utc>,
}

impl OrderEvent {
    /// Parses an event from a record's value of at most `limit` bytes. `ce_type` is the header of
    /// that name. Records from producers other than loms may not have it.
    ///
    /// # Errors
    /// Why the record is not an event.
    pub fn parse(ce_type: Option<&str>, value: &[u8], limit: usize) -> Result<Self, Poison> {
        if let Some(unknown) = ce_type.filter(|ce_type| !ce_type.ends_with(VERSION)) {
            return Err(Poison::UnknownType(unknown.to_owned()));
        }
        if value.len() > limit {
            return Err(Poison::TooLarge { bytes: value.len(), limit });
        }
        if let Ok(wire) = serde_json::from_slice::<Wire>(value) {
            return wire.checked();
        }
        // Names match without regard to case, as for the other consumers of the topic.
        let object: Map<String, Value> =
            serde_json::from_slice(value).map_err(|error| Poison::NotJson(error.to_string()))?;
        let wire: Wire = serde_json::from_value(lower_case_names(Value::Object(object)))
            .map_err(|error| Poison::NotAnEvent(error.to_string()))?;
        wire.checked()
    }
}

impl Wire {
    fn checked(self) -> Result<OrderEvent, Poison> {
        let wrong = |what: &str| Err(Poison::NotAnEvent(what.to_owned()));
        if self.id <= 0 {
            return wrong("id must be positive");
        }
        if self.user_id <= 0 {
            return wrong("userId must be positive");
        }
        if self.items.is_empty() {
            return wrong("items must not be empty");
        }
        if i32::try_from(self.sequence.get()).is_err() {
            return wrong("sequence is too large");
        }
        // The database can store no others, and RFC 3339 knows no others.
        if !(0..=9999).contains(&self.occurred_at.year()) {
            return wrong("occurredAt must be a year from 0 to 9999");
        }
        Ok(OrderEvent {
            event_id: self.event_id,
            order_id: self.id,
            sequence: self.sequence,
            state: self.state,
            user_id: self.user_id,
            items: self.items,
            occurred_at: self.occurred_at,
        })
    }
}

fn lower_case_names(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.to_lowercase(), lower_case_names(value)))
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(lower_case_names).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn valid() -> Value {
        json!({
            "id": 1000, "state": "AWAITING_PAYMENT", "userId": 7, "items": [{"sku": 1002, "count": 2}, {"sku": 1003, "count": 1}],
            "eventId": "018f3f64-2e3a-7c52-a4a1-0d7f8a3a1c11", "sequence": 2, "occurredAt": "2026-11-23T15:04:05.678Z"
        })
    }

    fn parse(value: &Value) -> Result<OrderEvent, Poison> {
        OrderEvent::parse(Some("loms.order.new.v1"), value.to_string().as_bytes(), 1024)
    }

    #[test]
    fn fuzz_event() {
        bolero::check!().for_each(|value: &[u8]| {
            if let Ok(event) = OrderEvent::parse(None, value, 1024) {
                assert!(event.order_id > 0 && event.user_id > 0 && !event.items.is_empty());
                assert!(!event.to_string().contains('\n'));
            }
        });
    }

    #[test]
    fn an_event_reads_as_one_line() {
        let line = parse(&valid()).unwrap().to_string();
        assert_eq!(
            line,
            "order 1000 of user 7 is now AWAITING_PAYMENT (event 2): 2 x sku 1002, 1 x sku 1003"
        );
    }

    #[test]
    fn names_match_without_regard_to_case_and_unknown_ones_are_ignored() {
        let text = valid()
            .to_string()
            .replace("\"id\"", "\"ID\"")
            .replace("userId", "UserID")
            .replace("sku", "SKU");
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value["note"] = json!({"any": ["thing"]});
        assert_eq!(parse(&value), parse(&valid()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let changed = |name: &str, value: Value| {
            let mut event = valid();
            event[name] = value;
            parse(&event).unwrap_err().to_string()
        };
        assert!(changed("id", json!("1000")).contains("invalid type: string"));
        assert!(changed("id", json!(0)).contains("id must be positive"));
        assert!(changed("userId", json!(-1)).contains("userId must be positive"));
        assert!(changed("state", json!("PAID")).contains("PAID"));
        assert!(changed("items", json!([])).contains("items must not be empty"));
        assert!(changed("items", json!([{"sku": 0, "count": 1}])).contains("nonzero"));
        assert!(changed("sequence", json!(0)).contains("nonzero"));
        assert!(changed("eventId", json!("7")).contains("UUID"));
        for year in ["-9999", "+10000", "-0001"] {
            let reason = changed("occurredAt", json!(format!("{year}-01-01T00:00:00Z")));
            assert!(reason.contains("occurredAt") || reason.contains("invalid"), "{reason}");
        }
        for name in ["id", "state", "userId", "items", "eventId", "sequence", "occurredAt"] {
            let mut event = valid();
            event.as_object_mut().unwrap().remove(name);
            let reason = parse(&event).unwrap_err().to_string();
            assert!(
                reason.contains("missing field") && reason.contains(&name.to_lowercase()),
                "{reason}"
            );
        }
    }

    #[test]
    fn what_is_no_object_or_too_large_is_poison() {
        for value in ["", "null", "[]", "{", "order 7", "\u{0}"] {
            assert!(
                matches!(OrderEvent::parse(None, value.as_bytes(), 1024), Err(Poison::NotJson(_))),
                "{value}"
            );
        }
        let large = OrderEvent::parse(None, &[b' '; 1025], 1024);
        assert_eq!(large, Err(Poison::TooLarge { bytes: 1025, limit: 1024 }));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            OrderEvent::parse(None, deep.as_bytes(), 1 << 20),
            Err(Poison::NotJson(_))
        ));
    }

    #[test]
    fn a_later_version_is_not_taken_for_this_one() {
        let unknown =
            OrderEvent::parse(Some("loms.order.new.v2"), valid().to_string().as_bytes(), 1024);
        assert_eq!(unknown, Err(Poison::UnknownType("loms.order.new.v2".to_owned())));
    }

    #[test]
    fn records_of_every_version_that_was_published_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/order-events");
        let mut read = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let records: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for record in records.as_array().unwrap() {
                let ce_type = record["headers"]["ce_type"].as_str();
                let value = record["value"].to_string();
                let event = OrderEvent::parse(ce_type, value.as_bytes(), 1024);
                let event = event.unwrap_or_else(|error| panic!("{path:?}: {error}: {value}"));
                assert_eq!(event.order_id.to_string(), record["key"].as_str().unwrap());
                read += 1;
            }
        }
        assert!(read >= 5, "{read} records");
    }

    #[test]
    fn the_published_schema_names_every_field_that_is_read() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../proto/order-event.schema.json")).unwrap();
        let event = valid();
        let read: Vec<&String> = event.as_object().unwrap().keys().collect();
        for name in &read {
            assert!(schema["properties"][name.as_str()].is_object(), "{name}");
            assert!(
                schema["required"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|required| required == name.as_str()),
                "{name}"
            );
        }
        assert_eq!(schema["required"].as_array().unwrap().len(), read.len());
        for example in schema["examples"].as_array().unwrap() {
            parse(example).unwrap();
        }
    }
}
