//! What an order wanted and the stock did not have.

use std::fmt;

use super::ids::Sku;
use super::lines::Quantity;

/// A refusal names at most so many SKUs.
pub const MAX_SHORTAGES: usize = 10;

/// A SKU of which too few were left, or that is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Which.
    pub sku: Sku,
    /// How many pieces were wanted.
    pub wanted: Quantity,
    /// How many were left; `None` when the SKU is unknown.
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
