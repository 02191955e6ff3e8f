//! A product, as the product service writes it and as Redis keeps it.

use serde::{Deserialize, Serialize};

/// What a SKU is called and costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name, for people.
    pub name: String,
    /// The price of one piece in the shop's smallest unit of money.
    pub price: u32,
}
