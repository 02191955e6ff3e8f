//! The domain of orders: values that are validated once at the edge, and errors.
//!
//! Nothing here depends on SQL, actors or a wire format.

mod failure;
mod ids;
mod key;
mod lines;
mod order;
mod order_error;
mod restock;
mod shortage;
mod status;
mod stock_error;

pub use failure::{Failure, InvalidArgument};
pub use ids::{OrderId, Sku, UserId};
pub use key::IdempotencyKey;
pub use lines::{Line, Lines, MAX_LINES, Quantity};
pub use order::{MAX_PAGE_SIZE, NewOrder, Order, OrderPage, PageRequest};
pub use order_error::OrderError;
pub use restock::{Restock, StockChange, StockLevel};
pub use shortage::{MAX_SHORTAGES, Shortage};
pub use status::OrderStatus;
pub use stock_error::StockError;
