//! From the domain to messages: the only way out.

use prost::Message;

use crate::domain::{Order, OrderError, OrderId, OrderPage, StockLevel};

use super::proto;

/// The most bytes of orders in one page: common clients take no answer over 4 MiB.
const PAGE_LIMIT_BYTES: usize = 2 * 1024 * 1024;

impl From<Order> for proto::Order {
    fn from(order: Order) -> Self {
        let items =
            order.lines.iter().map(|line| proto::Item { sku: line.sku.get(), count: line.count.get() });
        Self {
            status: order.status.as_str().to_owned(),
            user: order.user.get(),
            items: items.collect(),
            id: order.id.get(),
        }
    }
}

impl TryFrom<StockLevel> for proto::StocksRestockResponse {
    type Error = OrderError;

    /// The database keeps levels at 0 or above.
    fn try_from(level: StockLevel) -> Result<Self, OrderError> {
        let number =
            |pieces: i64| u64::try_from(pieces).map_err(|_| OrderError::internal(format!("{level:?}")));
        Ok(Self { total: number(level.total)?, reserved: number(level.reserved)? })
    }
}

impl From<OrderPage> for proto::OrderAllResponse {
    /// Ends the page early where it would grow too large for its reader.
    fn from(page: OrderPage) -> Self {
        let mut orders: Vec<proto::Order> = Vec::with_capacity(page.orders.len());
        let mut next = page.next.map(OrderId::get);
        let mut size_bytes = 0;
        for order in page.orders {
            let order = proto::Order::from(order);
            size_bytes += order.encoded_len();
            if let Some(last) = orders.last().filter(|_| size_bytes > PAGE_LIMIT_BYTES) {
                next = Some(last.id);
                break;
            }
            orders.push(order);
        }
        Self { orders, next_page_token: next.map(|id| id.to_string()).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Line, Lines, OrderStatus, Quantity, Sku, UserId};

    fn order(id: i64, lines: u32) -> Order {
        let line =
            |sku| Line { sku: Sku::try_from(sku).unwrap(), count: Quantity::try_from(u32::MAX).unwrap() };
        Order {
            id: OrderId::try_from(id).unwrap(),
            user: UserId::try_from(i64::MAX).unwrap(),
            status: OrderStatus::AwaitingPayment,
            lines: Lines::new((u32::MAX - lines + 1..=u32::MAX).map(line)).unwrap(),
        }
    }

    #[test]
    fn a_page_says_where_the_next_one_starts() {
        let orders = vec![order(2001, 1), order(1001, 2)];
        let page = OrderPage { orders: orders.clone(), next: OrderId::try_from(1001).ok() };
        let response = proto::OrderAllResponse::from(page);
        assert_eq!(response.orders.iter().map(|order| order.id).collect::<Vec<_>>(), [2001, 1001]);
        assert_eq!(response.next_page_token, "1001");
        assert_eq!(proto::OrderAllResponse::from(OrderPage { orders, next: None }).next_page_token, "");
    }

    #[test]
    fn a_page_of_huge_orders_ends_early_and_loses_none() {
        let orders: Vec<Order> = (1..=1000).rev().map(|id| order(id, 1000)).collect();
        let response = proto::OrderAllResponse::from(OrderPage { orders, next: None });
        assert!(response.encoded_len() <= PAGE_LIMIT_BYTES + 16 * 1024 && !response.orders.is_empty());
        assert_eq!(response.next_page_token, response.orders.last().unwrap().id.to_string());
    }
}
