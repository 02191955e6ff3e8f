//! What an order event says. `proto/order-event.schema.json` describes it for others.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// One change of one order's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// Tells this event from every other one.
    pub event_id: Uuid,
    /// The order.
    pub order_id: i64,
    /// Its place among the events of the order, from 1.
    pub sequence: NonZeroU32,
    /// The state that the order is in since.
    pub state: OrderState,
    /// Whose order it is.
    pub user_id: i64,
    /// What was ordered; never empty.
    pub items: Vec<Item>,
    /// When the state changed.
    pub occurred_at: DateTime<Utc>,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// Taken.
    New,
    /// Its stock is reserved.
    AwaitingPayment,
    /// Stock was short.
    Failed,
    /// Paid; spelt as on the wire.
    Payed,
    /// Given up.
    Cancelled,
}

/// A line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// The product.
    pub sku: NonZeroU32,
    /// How many of it.
    pub count: NonZeroU32,
}

impl OrderState {
    /// As it is spelt on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::AwaitingPayment => "AWAITING_PAYMENT",
            Self::Failed => "FAILED",
            Self::Payed => "PAYED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The event in one line, for people.
impl fmt::Display for OrderEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order_id, user_id, state, sequence, items, .. } = self;
        write!(f, "order {order_id} of user {user_id} is now {state} (event {sequence}): ")?;
        for (index, Item { sku, count }) in items.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} x sku {sku}")?;
        }
        Ok(())
    }
}
