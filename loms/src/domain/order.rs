//! Orders as requested and as stored, and pages of them.

use super::ids::{OrderId, UserId};
use super::key::IdempotencyKey;
use super::lines::Lines;
use super::status::OrderStatus;

/// Maximum number of orders per page.
pub const MAX_PAGE_SIZE: u32 = 1000;

/// An order to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The user who places it. The user also determines the shard.
    pub user: UserId,
    /// The ordered lines.
    pub lines: Lines,
    /// Makes retries safe: creates with the same key make one order.
    pub key: Option<IdempotencyKey>,
    /// W3C trace context of the request, passed on to the events.
    pub traceparent: Option<String>,
}

/// An order in its current state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The user who placed it.
    pub user: UserId,
    /// Its state.
    pub status: OrderStatus,
    /// The ordered lines.
    pub lines: Lines,
}

/// Selects a page: the newest `size` orders with ids below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Maximum number of orders. Values above [`MAX_PAGE_SIZE`] are treated as [`MAX_PAGE_SIZE`], 0
    /// as 1.
    pub size: u32,
    /// Lists only orders with lower ids. `None` means all.
    pub before: Option<OrderId>,
}

/// A page of orders, highest id first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders of the page.
    pub orders: Vec<Order>,
    /// The value of `before` for the next page. `None` on the last page.
    pub next: Option<OrderId>,
}
