//! The SKUs that an order wanted and the stock did not have.

use std::fmt;

use super::ids::Sku;
use super::lines::Quantity;

/// Maximum number of SKUs named in one error.
pub const MAX_SHORTAGES: usize = 10;

/// A SKU that is unknown, or of which too few pieces were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// The number of pieces wanted.
    pub wanted: Quantity,
    /// The number of pieces left. `None` if the SKU is unknown.
    pub left: Option<u64>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left {
            Some(left) => write!(f, "sku {}: {} wanted, {left} left", self.sku, self.wanted.get()),
            None => write!(f, "sku {} is unknown", self.sku),
        }
    }
}
