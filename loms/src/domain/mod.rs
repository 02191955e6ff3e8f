//! The domain of orders: values that are validated once at the edge, and errors.
//!
//! Nothing here depends on SQL, actors or a wire format.

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
