//! The key, the request that came with it, and the answer that is stored under it.

use crate::domain::{CartError, OrderId};

const MAX_LENGTH: usize = 255;

/// A key that the client chose: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses the value of the header.
    ///
    /// # Errors
    /// `InvalidArgument` naming the header.
    pub fn parse(bytes: &[u8]) -> Result<Self, CartError> {
        let text = str::from_utf8(bytes).ok().filter(|text| {
            (1..=MAX_LENGTH).contains(&text.len())
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        });
        let key = text.map(|text| Self(text.to_owned()));
        key.ok_or_else(|| {
            CartError::invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        })
    }

    /// A key from the database, which was parsed before.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that came with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key of the request.
    pub key: IdempotencyKey,
    /// Route and body in one canonical line. Only equal requests have equal lines.
    pub request: String,
}

/// The stored answer to a request with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The request, as in [`KeyedRequest`].
    pub request: String,
    /// The order, if the request was a checkout.
    pub order: Option<OrderId>,
}

impl StoredAnswer {
    /// Returns the answer if it belongs to `request`.
    ///
    /// # Errors
    /// `KeyReused` if a different request came with the same key.
    pub fn replay(&self, request: &KeyedRequest) -> Result<Option<OrderId>, CartError> {
        if self.request == request.request { Ok(self.order) } else { Err(CartError::KeyReused) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_ascii_of_bounded_length() {
        assert!(IdempotencyKey::parse(b"4f6c-7 a~").is_ok());
        assert!(IdempotencyKey::parse(&[b'k'; 255]).is_ok());
        for wrong in [&b""[..], &[b'k'; 256], b"a\tb", b"a\x7f", "ключ".as_bytes(), b"\xff"] {
            assert!(IdempotencyKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_answer_is_given_to_its_own_request_only() {
        let key = IdempotencyKey::parse(b"k").unwrap();
        let stored =
            StoredAnswer { request: "checkout".to_owned(), order: Some(OrderId::new(1000)) };
        let again = KeyedRequest { key: key.clone(), request: "checkout".to_owned() };
        assert_eq!(stored.replay(&again), Ok(Some(OrderId::new(1000))));
        let other = KeyedRequest { key, request: "add 7 1".to_owned() };
        assert_eq!(stored.replay(&other), Err(CartError::KeyReused));
    }
}
