//! Records as they are sent and received, and their headers.

use std::panic::{self, AssertUnwindSafe};

use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};

/// The header that carries the W3C trace context.
const TRACEPARENT: &str = "traceparent";

/// The headers of a record, in order. A name may occur several times, as Kafka allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// Adds a trace context that was stored elsewhere, if there is one.
    #[must_use]
    pub fn with_traceparent(self, traceparent: Option<&str>) -> Self {
        match traceparent {
            Some(traceparent) => self.with(TRACEPARENT, traceparent),
            None => self,
        }
    }

    /// The last value under `name`, ignoring case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The last value under `name`, if it is valid UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The trace context that came with the record.
    pub fn traceparent(&self) -> Option<&str> {
        self.text(TRACEPARENT)
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    pub(super) fn to_native(&self) -> OwnedHeaders {
        self.iter().fold(OwnedHeaders::new_with_capacity(self.0.len()), |native, (key, value)| {
            native.insert(Header { key, value: Some(value) })
        })
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A record to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The topic to publish to.
    pub topic: String,
    /// Records with the same key keep their order, because they go to the same partition. A record
    /// without a key may go to any partition.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers.
    pub headers: Headers,
}

impl Record {
    /// A record without headers.
    pub fn new(
        topic: impl Into<String>,
        key: impl Into<Vec<u8>>,
        payload: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            topic: topic.into(),
            key: Some(key.into()),
            payload: Some(payload.into()),
            headers: Headers::new(),
        }
    }

    /// Replaces the headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }
}

/// A record that was read from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRecord {
    /// The topic that the record was read from.
    pub topic: String,
    /// The partition that the record was read from.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
    /// The key, if the record has one.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers.
    pub headers: Headers,
}

impl ReceivedRecord {
    pub(super) fn copy_of(message: &impl Message) -> Self {
        let headers = message.headers().map(|headers| {
            let read = |index| panic::catch_unwind(AssertUnwindSafe(|| headers.get(index))).ok();
            // rdkafka panics on a name that is not UTF-8. Such a header is left out.
            (0..headers.count())
                .filter_map(read)
                .map(|header| (header.key, header.value.unwrap_or_default()))
                .collect()
        });
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// Size of key, value and headers in bytes, as the limits count it.
    pub fn size_bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.payload.as_ref().map_or(0, Vec::len) + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_counts_whatever_its_case() {
        let headers = Headers::new().with("ce_id", "1").with("CE_ID", "2").with("raw", vec![0xff]);
        assert_eq!(headers.text("ce_id"), Some("2"));
        assert_eq!(headers.get("raw"), Some(&[0xff][..]));
        assert_eq!(headers.text("raw"), None);
        assert_eq!(headers.traceparent(), None);
        let traced = headers
            .with_traceparent(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(traced.traceparent().is_some_and(|value| value.starts_with("00-")));
    }
}
