//! What a paid, cancelled or abandoned order does to the stock.

use std::collections::HashSet;

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

/// What became of effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The orders whose reservations were ended just now; those of the others had been before.
    pub ended: Vec<OrderId>,
    /// The orders whose effects the stock does not admit: their reservations stand as they did.
    pub refused: Vec<OrderId>,
}

impl Settlement {
    /// The part that concerns the orders of these effects.
    pub(super) fn of(&self, effects: &[Effect]) -> Self {
        let orders: HashSet<OrderId> = effects.iter().map(|effect| effect.order).collect();
        let own = |all: &[OrderId]| all.iter().copied().filter(|order| orders.contains(order)).collect();
        Self { ended: own(&self.ended), refused: own(&self.refused) }
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
