//! Gathers a list of orders page by page, until the client has what it asked for or the answer
//! reaches its size limit.

use shared_actors::fits;

use super::request::ListRequest;
use crate::domain::{Failure, MAX_PAGE_SIZE, Order, OrderError, OrderId, PageRequest};
use crate::orders::Orders;

/// Maximum size of an encoded answer, in bytes. Common gRPC clients reject messages over 4 MiB.
pub const LIST_LIMIT_BYTES: usize = 3 * 1024 * 1024;

/// An order in the format of a front-end.
pub struct Encoded<T> {
    pub order: T,
    /// Its share of the answer, in bytes.
    pub bytes: usize,
}

/// A list of orders in the format of a front-end.
#[derive(Debug, PartialEq, Eq)]
pub struct List<T> {
    /// Newest id first.
    pub orders: Vec<T>,
    /// The page token for the rest of the list. Empty if there is none.
    pub next_page_token: String,
}

/// Reads pages from all shards until the list is complete or full.
pub async fn gather<T>(
    orders: &Orders,
    request: ListRequest,
    encode: impl Fn(Order) -> Result<Encoded<T>, Failure>,
) -> Result<List<T>, OrderError> {
    let _turn = orders.turn_to_list().await?;
    let mut list =
        Gathering { wanted: request.size, last: request.before, bytes: 0, orders: Vec::new() };
    loop {
        let size = list.missing().unwrap_or(MAX_PAGE_SIZE).min(MAX_PAGE_SIZE);
        let page = orders.list(PageRequest { size, before: list.last }).await?;
        let is_full = !list.take(page.orders, &encode)?;
        if is_full || list.missing() == Some(0) || page.next.is_none() {
            let ended = !is_full && page.next.is_none();
            let next = if ended { None } else { list.last };
            let next_page_token = next.map(|id| id.to_string()).unwrap_or_default();
            return Ok(List { orders: list.orders, next_page_token });
        }
        list.last = page.next;
    }
}

struct Gathering<T> {
    wanted: Option<u32>,
    /// The last order that was read.
    last: Option<OrderId>,
    bytes: usize,
    orders: Vec<T>,
}

impl<T> Gathering<T> {
    /// How many orders are missing. `None` if the client wants as many as fit.
    fn missing(&self) -> Option<u32> {
        let gathered = fits(self.orders.len());
        self.wanted.map(|wanted| {
            assert!(wanted >= gathered, "{gathered} orders, {wanted} wanted");
            wanted - gathered
        })
    }

    /// Adds orders while they fit, but at least one. Returns whether all of them fitted.
    fn take(
        &mut self,
        orders: Vec<Order>,
        encode: impl Fn(Order) -> Result<Encoded<T>, Failure>,
    ) -> Result<bool, Failure> {
        for order in orders {
            let id = order.id;
            let Encoded { order, bytes } = encode(order)?;
            if !self.orders.is_empty() && self.bytes + bytes > LIST_LIMIT_BYTES {
                return Ok(false);
            }
            self.bytes += bytes;
            self.orders.push(order);
            self.last = Some(id);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderStatus, UserId};
    use crate::items::lines;

    fn order(id: i64) -> Order {
        Order {
            id: OrderId::try_from(id).unwrap(),
            user: UserId::try_from(1).unwrap(),
            status: OrderStatus::Failed,
            lines: lines(&[1], &[1]).unwrap(),
        }
    }

    fn empty(wanted: Option<u32>) -> Gathering<i64> {
        Gathering { wanted, last: None, bytes: 0, orders: Vec::new() }
    }

    #[test]
    fn orders_are_taken_until_the_answer_is_full_and_none_is_left_out() {
        let third =
            |order: Order| Ok(Encoded { order: order.id.get(), bytes: LIST_LIMIT_BYTES / 3 });
        let mut list = empty(None);
        assert!(list.take(vec![order(9), order(8)], third).unwrap());
        assert!(!list.take(vec![order(7), order(6), order(5)], third).unwrap());
        assert_eq!((list.orders, list.last), (vec![9, 8, 7], OrderId::try_from(7).ok()));
    }

    #[test]
    fn an_order_that_is_larger_than_an_answer_comes_alone() {
        let huge =
            |order: Order| Ok(Encoded { order: order.id.get(), bytes: 2 * LIST_LIMIT_BYTES });
        let mut list = empty(Some(5));
        assert!(!list.take(vec![order(9), order(8)], huge).unwrap());
        assert_eq!((list.orders.as_slice(), list.missing()), ([9].as_slice(), Some(4)));
    }
}
