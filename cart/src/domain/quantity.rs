//! The number of pieces of one SKU in a line.

use std::num::NonZeroU16;

use super::CartError;

/// 1 to 65,535 pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(NonZeroU16);

impl Quantity {
    /// `None` for 0.
    pub fn new(count: u16) -> Option<Self> {
        NonZeroU16::new(count).map(Self)
    }

    /// Takes a whole number from a JSON body, in which the field is called `count`.
    ///
    /// # Errors
    /// `InvalidArgument` naming `count`.
    pub fn from_json(number: Option<i128>) -> Result<Self, CartError> {
        let count = number.and_then(|count| u16::try_from(count).ok());
        count
            .and_then(Self::new)
            .ok_or_else(|| CartError::invalid("count", "must be a whole number from 1 to 65535"))
    }

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The sum; `None` if it exceeds 65,535.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.get()).map(Self)
    }

    /// The difference; `None` if nothing is left.
    pub fn minus(self, other: Self) -> Option<Self> {
        Self::new(self.get().saturating_sub(other.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_in_json_is_a_whole_number_within_16_bits() {
        assert_eq!(Quantity::from_json(Some(65_535)).unwrap().get(), u16::MAX);
        for number in [Some(0), Some(65_536), Some(-1), Some(i128::MAX), None] {
            let error = Quantity::from_json(number).unwrap_err();
            assert!(
                matches!(error, CartError::InvalidArgument { field: "count", .. }),
                "{number:?}"
            );
        }
    }
}
