//! What an order is: values that are checked once at the edge and cannot be wrong after, and what can go wrong.
//!
//! Nothing here knows a statement, an actor or a wire format.

mod error;
mod ids;
mod key;
mod lines;
mod order;
mod restock;
mod shortage;
mod status;

pub use error::OrderError;
pub use ids::{OrderId, Sku, UserId};
pub use key::IdempotencyKey;
pub use lines::{Line, Lines, MAX_LINES, Quantity};
pub use order::{MAX_PAGE_SIZE, NewOrder, Order, OrderPage, PageRequest};
pub use restock::{Restock, StockChange, StockLevel};
pub use shortage::{MAX_SHORTAGES, Shortage};
pub use status::OrderStatus;
