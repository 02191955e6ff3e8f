//! JSON encoding of messages, by the published mapping of protocol buffers. Output is
//! lowerCamelCase; input accepts both spellings. 64-bit integers are written as strings and read in
//! either form. Default values are written, and unknown members are ignored.

mod decode;

use std::sync::LazyLock;

use loms_proto::FILE_DESCRIPTOR_SET;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use service_kit::error::{ErrorCode, ServiceError};
use thiserror::Error;

use crate::api::list::List;
use crate::domain::Failure;

#[expect(clippy::expect_used, reason = "the build wrote the descriptors")]
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors of our own build")
});

/// A body that is not JSON, or does not match the message.
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
    /// `path` is a path such as `order.items[0].count`. An empty path means the body as a whole.
    fn member(path: String, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        if path.is_empty() { Self::Body(reason) } else { Self::Member { field: path, reason } }
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

/// Decodes a message. An empty body is a message with no field set.
pub fn decode<M: Message + Name + Default>(body: &[u8]) -> Result<M, MalformedJson> {
    if body.trim_ascii().is_empty() {
        return Ok(M::default());
    }
    let message = decode::message(&descriptor::<M>(), body)?;
    message.transcode_to().map_err(|error| MalformedJson::Body(error.to_string()))
}

/// Encodes a message.
pub fn encode<M: Message + Name>(message: &M) -> Result<Vec<u8>, Failure> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).map_err(|error| Failure::internal(error.to_string()))?;
    let mut body = serde_json::Serializer::new(Vec::with_capacity(128));
    let written = dynamic
        .serialize_with_options(&mut body, &SerializeOptions::new().skip_default_fields(false));
    written.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(body.into_inner())
}

/// Encodes an `OrderAllResponse` from orders that are already encoded. A long list is therefore
/// never held as a message.
pub fn encode_list(list: &List<Vec<u8>>) -> Vec<u8> {
    let mut body = br#"{"orders":["#.to_vec();
    body.extend(list.orders.join(&b','));
    // A token is a number or empty, so it needs no escaping.
    body.extend(format!(r#"],"nextPageToken":"{}"}}"#, list.next_page_token).bytes());
    body
}

#[expect(clippy::expect_used, reason = "messages and descriptors come from the same file")]
fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("every message of the file is described")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::api::proto;

    fn create(body: &str) -> Result<proto::OrderCreateRequest, MalformedJson> {
        decode(body.as_bytes())
    }

    /// A message that can be read stays the same when it is written and read again.
    fn assert_stable<M: Message + Name + Default + PartialEq + fmt::Debug>(body: &[u8]) {
        if let Ok(message) = decode::<M>(body) {
            let written = encode(&message).unwrap();
            assert_eq!(decode::<M>(&written).unwrap(), message);
        }
    }

    #[test]
    fn fuzz_gateway_body() {
        bolero::check!().for_each(|body: &[u8]| {
            assert_stable::<proto::OrderCreateRequest>(body);
            assert_stable::<proto::OrderPayRequest>(body);
            assert_stable::<proto::StocksRestockRequest>(body);
        });
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
            ("1e2", 100),
            ("\"1e2\"", 100),
            ("\"1.0\"", 1),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9.223372036854775807e18", i64::MAX),
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
            "9223372036854775808.0",
            "9.223372036854775808e18",
            "\"+7\"",
            "\"007\"",
            "\" 7\"",
            "\"7 8\"",
            "\"null\"",
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
            let order = create(&format!(
                r#"{{"order":{{"items":[{{"sku":1,"count":1}},{{"count":{json}}}]}}}}"#
            ))?;
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
        for body in
            [r#"{"idempotencyKey":"k"}"#, r#"{"idempotency_key":"k","more":{"a":[1,null]}}"#]
        {
            assert_eq!(create(body).unwrap().idempotency_key, "k", "{body}");
        }
    }

    #[test]
    fn a_member_that_is_given_twice_is_refused_in_either_spelling() {
        for body in [
            r#"{"idempotencyKey":"k","idempotencyKey":"k"}"#,
            r#"{"idempotencyKey":"k","idempotency_key":"l"}"#,
            r#"{"idempotency_key":null,"idempotencyKey":"k"}"#,
        ] {
            assert!(create(body).unwrap_err().to_string().contains("more than once"), "{body}");
        }
        let twice = create(r#"{"order":{"items":[{"sku":1},{"sku":2,"sku":2}]}}"#).unwrap_err();
        assert_eq!(twice.field(), Some("order.items[1].sku"));
        assert!(create(r#"{"unknown":1,"unknown":2}"#).is_ok());
    }

    #[test]
    fn a_body_of_any_depth_is_read_or_refused() {
        // A member that the message does not have is ignored.
        let rows = [("[", "]", false), (r#"{"order":"#, "}", true), (r#"{"x":["#, "]}", true)];
        for (open, close, is_read) in rows {
            let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            assert_eq!(create(&deep).is_ok(), is_read, "{open}");
            let wrong = create(&open.repeat(10_000)).unwrap_err();
            assert!(wrong.to_string().contains("not JSON"), "{wrong}");
        }
    }

    #[test]
    fn an_empty_body_sets_nothing_and_what_is_no_object_is_refused() {
        for body in ["", " \n", "{}", " {} \n"] {
            assert_eq!(create(body).unwrap(), proto::OrderCreateRequest::default(), "{body:?}");
        }
        for body in
            ["null", "[]", "1", "\"a\"", "{", "{}x", "{} {}", "user=1", "{\"order\":}", "\u{1}"]
        {
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
        assert_eq!(
            json(encode(&proto::StocksInfoResponse::default()).unwrap()),
            r#"{"count":"0"}"#
        );
        assert_eq!(
            json(encode(&proto::OrderAllResponse::default()).unwrap()),
            r#"{"orders":[],"nextPageToken":""}"#
        );
        for order_ids in [vec![], vec![7], vec![9, 8]] {
            let orders: Vec<_> =
                order_ids.into_iter().map(|id| proto::Order { id, ..Default::default() }).collect();
            let next_page_token =
                orders.last().map(|order| order.id.to_string()).unwrap_or_default();
            let written = orders.iter().map(|order| encode(order).unwrap()).collect();
            let list = List { orders: written, next_page_token: next_page_token.clone() };
            let message = proto::OrderAllResponse { orders, next_page_token };
            assert_eq!(json(encode_list(&list)), json(encode(&message).unwrap()));
        }
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
