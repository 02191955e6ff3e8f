//! Carts and their rules as plain values, parsed once at the edge. This module uses no database,
//! actor or HTTP.

mod cart;
mod error;
mod ids;
mod quantity;
mod shortage;

pub use cart::{Cart, Line, MAX_LINES};
pub use error::{CartError, Part};
pub use ids::{OrderId, Sku, UserId};
pub use quantity::Quantity;
pub use shortage::Shortage;
