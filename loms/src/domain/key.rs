//! The key that makes retries of a create or of a restock safe.

use std::fmt;
use std::sync::Arc;

use super::failure::InvalidArgument;

const MAX_LENGTH: usize = 128;

/// A client's idempotency key: 1 to 128 printable ASCII characters. The key of a create is scoped
/// to its user, the key of a restock to the whole stock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The key as the client sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = InvalidArgument;

    fn try_from(key: &str) -> Result<Self, InvalidArgument> {
        let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if key.is_empty() || key.len() > MAX_LENGTH || !printable {
            return Err(InvalidArgument::new(
                "idempotency_key",
                "must be 1 to 128 printable ASCII characters",
            ));
        }
        Ok(Self(key.into()))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_printable_ascii() {
        for right in ["a", "9f1c-4e", &"k".repeat(128)] {
            assert_eq!(IdempotencyKey::try_from(right).unwrap().as_str(), right);
        }
        for wrong in ["", "ключ", "a\nb", "a\0", &"k".repeat(129)] {
            assert!(IdempotencyKey::try_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
