//! What a paid, cancelled or abandoned order does to the stock.

use crate::domain::{OrderId, OrderStatus};

/// What happens to reserved pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EffectKind {
    /// They were paid and leave the stock.
    Take,
    /// They are free again.
    Return,
}

impl EffectKind {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Take => "TAKE",
            Self::Return => "RETURN",
        }
    }

    /// What an order's change to `status` does to its reservation; `None` when it leaves it alone.
    pub const fn of(status: OrderStatus) -> Option<Self> {
        match status {
            OrderStatus::Payed => Some(Self::Take),
            OrderStatus::Cancelled | OrderStatus::Failed => Some(Self::Return),
            OrderStatus::New | OrderStatus::AwaitingPayment => None,
        }
    }
}

/// Settles the reservation of one order, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// The order.
    pub order: OrderId,
    /// What happens to what it holds.
    pub kind: EffectKind,
}
