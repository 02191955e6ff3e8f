//! The effects of paid, cancelled or failed orders on the stock.

use std::collections::HashSet;

use crate::domain::{OrderId, OrderStatus};

/// What happens to reserved pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EffectKind {
    /// They were paid and leave the stock.
    Take,
    /// They can be sold again.
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

    /// The effect of an order's change to `status`. `None` if the reservation stays as it is.
    pub const fn of(status: OrderStatus) -> Option<Self> {
        match status {
            OrderStatus::Payed => Some(Self::Take),
            OrderStatus::Cancelled | OrderStatus::Failed => Some(Self::Return),
            OrderStatus::New | OrderStatus::AwaitingPayment => None,
        }
    }
}

/// The result of applying effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The orders whose reservations this call ended. Those of other orders had already ended.
    pub ended: Vec<OrderId>,
    /// The orders whose effects the stock refused. Their reservations are unchanged.
    pub refused: Vec<OrderId>,
}

impl Settlement {
    /// The part of the result that concerns the orders of these effects.
    pub(super) fn of(&self, effects: &[Effect]) -> Self {
        let orders: HashSet<OrderId> = effects.iter().map(|effect| effect.order).collect();
        let own =
            |all: &[OrderId]| all.iter().copied().filter(|order| orders.contains(order)).collect();
        Self { ended: own(&self.ended), refused: own(&self.refused) }
    }
}

/// Ends the reservation of one order. Applying it again changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// The order.
    pub order: OrderId,
    /// What happens to the pieces that it holds.
    pub kind: EffectKind,
}
