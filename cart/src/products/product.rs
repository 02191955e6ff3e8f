//! A product, in the format of the product service and of Redis.

use serde::{Deserialize, Serialize};

/// The name and price of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The product's name, for people.
    pub name: String,
    /// The price of one piece, in the smallest unit of the shop's currency.
    pub price: u32,
}
