//! Converts domain types to messages. Every answer passes through here.

use crate::domain::{Failure, Order, StockLevel};

use super::proto;

impl From<Order> for proto::Order {
    fn from(order: Order) -> Self {
        let items = order
            .lines
            .iter()
            .map(|line| proto::Item { sku: line.sku.get(), count: line.count.get() });
        Self {
            status: order.status.as_str().to_owned(),
            user: order.user.get(),
            items: items.collect(),
            id: order.id.get(),
        }
    }
}

impl TryFrom<StockLevel> for proto::StocksRestockResponse {
    type Error = Failure;

    /// Levels are never negative: the database enforces it.
    fn try_from(level: StockLevel) -> Result<Self, Failure> {
        let number = |pieces: i64| {
            u64::try_from(pieces).map_err(|_| Failure::internal(format!("{level:?}")))
        };
        Ok(Self { total: number(level.total)?, reserved: number(level.reserved)? })
    }
}
