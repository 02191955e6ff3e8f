//! An order as it is asked for, as it stands, and pages of them.

use super::ids::{OrderId, UserId};
use super::key::IdempotencyKey;
use super::lines::Lines;
use super::status::OrderStatus;

/// The most orders of one page.
pub const MAX_PAGE_SIZE: u32 = 1000;

/// An order that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Whose it is; also decides the shard.
    pub user: UserId,
    /// What it is about.
    pub lines: Lines,
    /// Makes repeated creates one order.
    pub key: Option<IdempotencyKey>,
    /// W3C trace context of the request, for the events.
    pub traceparent: Option<String>,
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// How far it has come.
    pub status: OrderStatus,
    /// What it is about.
    pub lines: Lines,
}

/// Which orders of the list: the newest `size` that are older than `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The most orders; values above [`MAX_PAGE_SIZE`] count as that, 0 counts as 1.
    pub size: u32,
    /// Only orders with lower ids; all when absent.
    pub before: Option<OrderId>,
}

/// Orders by falling id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// The page.
    pub orders: Vec<Order>,
    /// What to ask for as `before` to get the page after this one; `None` on the last page.
    pub next: Option<OrderId>,
}
