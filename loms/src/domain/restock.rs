//! Manual changes of the stock.

use super::failure::InvalidArgument;
use super::ids::Sku;
use super::key::IdempotencyKey;
use super::stock_error::StockError;

/// A manual change of the stock of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restock {
    /// The SKU. It is created if it does not exist and pieces are added.
    pub sku: Sku,
    /// The number of pieces to add or remove.
    pub change: StockChange,
    /// Makes retries safe: restocks with the same key happen once. Its scope is the whole stock.
    pub key: IdempotencyKey,
    /// W3C trace context of the request, stored in the history.
    pub traceparent: Option<String>,
}

/// A number of pieces to add (above 0) or remove (below 0). Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockChange(i64);

impl StockChange {
    /// The change as a number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for StockChange {
    type Error = InvalidArgument;

    fn try_from(count: i64) -> Result<Self, InvalidArgument> {
        if count == 0 {
            return Err(InvalidArgument::new("count", "must not be 0"));
        }
        Ok(Self(count))
    }
}

/// The stock level of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockLevel {
    /// The number of pieces, including reserved ones.
    pub total: i64,
    /// The number of reserved pieces among them.
    pub reserved: i64,
}

impl StockLevel {
    /// The level after `change`.
    ///
    /// # Errors
    /// `Reserved` if fewer pieces would be left than are reserved. `Invalid` if the total would not
    /// fit into 63 bits.
    pub fn after(self, sku: Sku, change: StockChange) -> Result<Self, StockError> {
        let total = self.total.checked_add(change.get());
        let total = total
            .ok_or_else(|| InvalidArgument::new("count", "is more than the stock can hold"))?;
        if total < self.reserved {
            return Err(StockError::Reserved { sku, level: self });
        }
        Ok(Self { total, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::error::ServiceError;

    #[test]
    fn the_stock_never_falls_below_what_is_reserved_nor_grows_past_its_numbers() {
        let sku = Sku::try_from(1).unwrap();
        let level = StockLevel { total: 10, reserved: 4 };
        let after = |count| level.after(sku, StockChange::try_from(count).unwrap());
        assert_eq!(after(5), Ok(StockLevel { total: 15, reserved: 4 }));
        assert_eq!(after(-6), Ok(StockLevel { total: 4, reserved: 4 }));
        for count in [-7, i64::MIN] {
            assert_eq!(after(count), Err(StockError::Reserved { sku, level }), "{count}");
        }
        assert_eq!(after(i64::MAX).unwrap_err().field(), Some("count"));
        assert_eq!(StockChange::try_from(0).unwrap_err().field(), Some("count"));
    }
}
