//! What a cart is and which rules it keeps: plain values, parsed once at the edge. Nothing here knows a database, an
//! actor or HTTP.

mod cart;
mod error;
mod ids;
mod quantity;

pub use cart::{Cart, Line, MAX_LINES};
pub use error::{CartError, Part};
pub use ids::{OrderId, Sku, UserId};
pub use quantity::Quantity;
