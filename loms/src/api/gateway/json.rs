//! JSON of messages by the published mapping of protocol buffers: lowerCamelCase out, both spellings in, 64-bit integers
//! as strings out and either way in, defaults written, unknown members ignored.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde_path_to_error::{Deserializer, Path, Segment, Track};
use shared_actors::error::{ErrorCode, ServiceError};
use thiserror::Error;

use crate::api::FILE_DESCRIPTOR_SET;
use crate::domain::OrderError;

#[expect(clippy::expect_used, reason = "the build wrote the descriptors")]
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors of our own build"));

/// A body that is no JSON, or not that of the message.
#[derive(Debug, Error)]
pub enum MalformedJson {
    #[error("the body is not JSON: {0}")]
    Syntax(serde_json::Error),
    #[error("the body: {0}")]
    Body(String),
    #[error("{field}: {reason}")]
    Member { field: String, reason: String },
}

impl MalformedJson {
    fn new(path: &Path, error: serde_json::Error) -> Self {
        if error.is_syntax() || error.is_eof() {
            return Self::Syntax(error);
        }
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
        // Such as `order.items[0].count`; no member's name in it means the body as a whole.
        if path.iter().any(|segment| matches!(segment, Segment::Map { .. })) {
            return Self::Member { field: path.to_string(), reason };
        }
        Self::Body(reason)
    }
}

impl ServiceError for MalformedJson {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Member { field, .. } => Some(field),
            Self::Syntax(_) | Self::Body(_) => None,
        }
    }
}

/// Reads a message; no body at all is the message with nothing set.
pub fn decode<M: Message + Name + Default>(body: &[u8]) -> Result<M, MalformedJson> {
    if body.trim_ascii().is_empty() {
        return Ok(M::default());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    let tracked = Deserializer::new(&mut json, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor::<M>(), tracked, &options);
    let message = message.map_err(|error| MalformedJson::new(&track.path(), error))?;
    json.end().map_err(MalformedJson::Syntax)?;
    message.transcode_to().map_err(|error| MalformedJson::Body(error.to_string()))
}

/// Writes a message.
pub fn encode<M: Message + Name>(message: &M) -> Result<Vec<u8>, OrderError> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).map_err(|error| OrderError::internal(error.to_string()))?;
    let mut body = serde_json::Serializer::new(Vec::with_capacity(128));
    let written =
        dynamic.serialize_with_options(&mut body, &SerializeOptions::new().skip_default_fields(false));
    written.map_err(|error| OrderError::internal(error.to_string()))?;
    Ok(body.into_inner())
}

#[expect(clippy::expect_used, reason = "messages and descriptors come from the same file")]
fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("every message of the file is described")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::proto;

    fn create(body: &str) -> Result<proto::OrderCreateRequest, MalformedJson> {
        decode(body.as_bytes())
    }

    fn user(json: &str) -> Result<i64, MalformedJson> {
        Ok(create(&format!(r#"{{"order":{{"user":{json}}}}}"#))?.order.unwrap().user)
    }

    #[test]
    fn a_64_bit_integer_is_read_as_a_number_or_a_string() {
        let right = [
            ("0", 0),
            ("1", 1),
            ("-1", -1),
            ("\"1\"", 1),
            ("1.0", 1),
            ("null", 0),
            ("9223372036854775807", i64::MAX),
            ("\"9223372036854775807\"", i64::MAX),
            ("\"-9223372036854775808\"", i64::MIN),
        ];
        for (json, number) in right {
            assert_eq!(user(json).unwrap(), number, "{json}");
        }
        let wrong = [
            "9223372036854775808",
            "\"9223372036854775808\"",
            "1e30",
            "1.5",
            "\"x\"",
            "\"\"",
            "true",
            "[]",
            "{}",
        ];
        for json in wrong {
            assert_eq!(user(json).unwrap_err().field(), Some("order.user"), "{json}");
        }
    }

    #[test]
    fn a_32_bit_integer_is_bounded_and_whole() {
        let count = |json: &str| {
            let order =
                create(&format!(r#"{{"order":{{"items":[{{"sku":1,"count":1}},{{"count":{json}}}]}}}}"#))?;
            Ok::<_, MalformedJson>(order.order.unwrap().items[1].count)
        };
        for (json, number) in [("0", 0), ("65536", 65536), ("\"7\"", 7), ("4294967295", u32::MAX)] {
            assert_eq!(count(json).unwrap(), number, "{json}");
        }
        for json in ["-1", "4294967296", "0.5", "\"seven\"", "false", "[1]"] {
            assert_eq!(count(json).unwrap_err().field(), Some("order.items[1].count"), "{json}");
        }
    }

    #[test]
    fn both_spellings_are_read_and_unknown_members_ignored() {
        for body in [r#"{"idempotencyKey":"k"}"#, r#"{"idempotency_key":"k","more":{"a":[1,null]}}"#] {
            assert_eq!(create(body).unwrap().idempotency_key, "k", "{body}");
        }
    }

    #[test]
    fn an_empty_body_sets_nothing_and_what_is_no_object_is_refused() {
        for body in ["", " \n", "{}", " {} \n"] {
            assert_eq!(create(body).unwrap(), proto::OrderCreateRequest::default(), "{body:?}");
        }
        for body in ["null", "[]", "1", "\"a\"", "{", "{}x", "{} {}", "user=1", "{\"order\":}", "\u{1}"] {
            assert!(create(body).is_err(), "{body:?}");
        }
        assert!(decode::<proto::OrderPayRequest>(b"\xff\xfe").is_err());
        assert_eq!(create(r#"{"order":[]}"#).unwrap_err().field(), Some("order"));
        assert_eq!(create(r#"{"order":{"items":{}}}"#).unwrap_err().field(), Some("order.items"));
    }

    #[test]
    fn answers_are_lower_camel_case_with_64_bit_integers_as_strings_and_defaults_written() {
        let json = |body: Vec<u8>| String::from_utf8(body).unwrap();
        let created = proto::OrderCreateResponse { order_id: i64::MAX };
        assert_eq!(json(encode(&created).unwrap()), r#"{"orderId":"9223372036854775807"}"#);
        assert_eq!(json(encode(&proto::StocksInfoResponse::default()).unwrap()), r#"{"count":"0"}"#);
        assert_eq!(
            json(encode(&proto::OrderAllResponse::default()).unwrap()),
            r#"{"orders":[],"nextPageToken":""}"#
        );
        assert_eq!(json(encode(&()).unwrap()), "{}");
        let items = vec![proto::Item { sku: 1002, count: 1 }];
        let order = proto::Order { status: "NEW".to_owned(), user: 1, items, id: 1000 };
        let info = proto::OrderInfoResponse { order: Some(order) };
        assert_eq!(
            json(encode(&info).unwrap()),
            r#"{"order":{"status":"NEW","user":"1","items":[{"sku":1002,"count":1}],"id":"1000"}}"#
        );
    }
}
