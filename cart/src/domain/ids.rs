//! The ids of users, products and orders.

use std::fmt;

use super::CartError;

/// A user id: 1 to 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(i64);

/// A stock keeping unit (SKU): 1 to 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(u32);

/// The id of an order in loms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(i64);

impl UserId {
    /// Parses a decimal number from a path.
    ///
    /// # Errors
    /// `InvalidArgument` naming `user_id`.
    pub fn parse(text: &str) -> Result<Self, CartError> {
        decimal(text).and_then(Self::new).ok_or_else(|| Self::invalid("user_id"))
    }

    /// Takes a whole number from a JSON body, in which the field is called `user`.
    ///
    /// # Errors
    /// `InvalidArgument` naming `user`.
    pub fn from_json(number: Option<i128>) -> Result<Self, CartError> {
        number
            .and_then(|number| i64::try_from(number).ok())
            .and_then(Self::new)
            .ok_or_else(|| Self::invalid("user"))
    }

    /// `None` unless the id is positive.
    pub const fn new(id: i64) -> Option<Self> {
        if id > 0 { Some(Self(id)) } else { None }
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }

    fn invalid(field: &'static str) -> CartError {
        CartError::invalid(field, "must be a whole number from 1 to 9223372036854775807")
    }
}

impl Sku {
    /// Parses a decimal number from a path.
    ///
    /// # Errors
    /// `InvalidArgument` naming `sku_id`.
    pub fn parse(text: &str) -> Result<Self, CartError> {
        let sku = decimal(text).and_then(|number| u32::try_from(number).ok()).and_then(Self::new);
        sku.ok_or_else(|| {
            CartError::invalid("sku_id", "must be a whole number from 1 to 4294967295")
        })
    }

    /// `None` for 0.
    pub const fn new(sku: u32) -> Option<Self> {
        if sku > 0 { Some(Self(sku)) } else { None }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl OrderId {
    /// An order id that loms returned.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Accepts digits only, while `parse` alone would accept a plus sign.
fn decimal(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_positive_64_bit_number() {
        for text in ["1", "9223372036854775807", "007"] {
            assert!(UserId::parse(text).is_ok(), "{text}");
        }
        for text in ["", "0", "-1", "+1", "9223372036854775808", "1.5", "1e3", "abc", "1 ", "١"] {
            assert!(UserId::parse(text).is_err(), "{text}");
        }
        assert_eq!(UserId::from_json(Some(i64::MAX.into())).unwrap().get(), i64::MAX);
        for number in [Some(0), Some(-1), Some(i128::from(i64::MAX) + 1), None] {
            assert!(UserId::from_json(number).is_err(), "{number:?}");
        }
    }

    #[test]
    fn a_sku_is_a_positive_32_bit_number() {
        assert_eq!(Sku::parse("4294967295").unwrap().get(), u32::MAX);
        for text in ["0", "4294967296", "-1", "", "99999999999999999999", "sku"] {
            assert!(Sku::parse(text).is_err(), "{text}");
        }
    }
}
