//! Order events. `proto/order-event.schema.json` describes them for other consumers.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// One change of an order's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// The unique id of the event.
    pub event_id: Uuid,
    /// The order.
    pub order_id: i64,
    /// The event's position among the events of the order, from 1.
    pub sequence: NonZeroU32,
    /// The state of the order after the change.
    pub state: OrderState,
    /// The user who ordered.
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
    /// The order was created.
    New,
    /// The stock is reserved.
    AwaitingPayment,
    /// There was not enough stock.
    Failed,
    /// The order is paid; spelled as on the wire.
    Payed,
    /// The order was cancelled.
    Cancelled,
}

/// A line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// The product.
    pub sku: NonZeroU32,
    /// The number of pieces.
    pub count: NonZeroU32,
}

impl OrderState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::New, Self::AwaitingPayment, Self::Failed, Self::Payed, Self::Cancelled];

    /// The name of the state on the wire.
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

/// Formats the event as one line for people.
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
