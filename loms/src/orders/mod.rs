//! Orders: created, paid, cancelled and read, each on the shard that its id names.
//!
//! [`Orders`] is all that front-ends see. Behind it one actor a shard runs the workflows ([`create`], [`change`],
//! [`read`]) batch by batch.

mod actor;
mod change;
mod create;
mod handle;
mod ids;
mod lists;
mod metrics;
pub(crate) mod queries;
mod read;
mod replica;
mod shard;

use std::sync::Arc;

use futures::future::try_join_all;
use shared_actors::shard::ShardRouter;
use shared_actors::telemetry;

use crate::domain::{
    MAX_PAGE_SIZE, NewOrder, Order, OrderError, OrderId, OrderPage, OrderStatus, PageRequest,
};

pub(crate) use change::StateChange;
pub use handle::OrderShardHandle;
pub(crate) use queries::InsertedRow;
pub use replica::ReplicaParts;
pub(crate) use shard::OrderShard;
pub use shard::OrderShardParts;

/// The orders of all shards, as the front-ends see them. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    router: ShardRouter,
    shards: Arc<[OrderShardHandle]>,
}

impl Orders {
    /// The use cases over `shards`, of which `router` knows the number.
    pub fn new(router: ShardRouter, shards: Vec<OrderShardHandle>) -> Self {
        Self { router, shards: shards.into() }
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        self.router.len()
    }

    /// Reserves the lines and writes the order down. Answers once that is durable.
    ///
    /// # Errors
    /// `OutOfStock` with the id of the order, which can be read as `FAILED`; `KeyReused`; `Overloaded`, when nothing
    /// happened; `Unavailable` and `DeadlineExceeded`, when that is unknown: ask again with the same key.
    pub async fn create(&self, order: NewOrder) -> Result<OrderId, OrderError> {
        self.shards[self.router.shard_of_user(order.user.get()).index()].create(order).await
    }

    /// Pays an order that awaits it; one that is paid already stays so.
    ///
    /// # Errors
    /// `OrderNotFound`; `Forbidden` in any other state.
    pub async fn pay(&self, id: OrderId) -> Result<(), OrderError> {
        self.change(id, OrderStatus::Payed).await
    }

    /// Cancels an order that awaits its payment; one that is cancelled already stays so. Answers once its items are back
    /// in the stock.
    ///
    /// # Errors
    /// `OrderNotFound`; `Forbidden` in any other state; `Unavailable`, among others, when the order is cancelled but its
    /// items are not back yet: ask again.
    pub async fn cancel(&self, id: OrderId) -> Result<(), OrderError> {
        self.change(id, OrderStatus::Cancelled).await
    }

    async fn change(&self, order: OrderId, to: OrderStatus) -> Result<(), OrderError> {
        let traceparent = telemetry::traceparent();
        self.shard_of(order)?.change(StateChange { order, to, traceparent }).await
    }

    /// An order as it stands, with every change that was answered before.
    ///
    /// # Errors
    /// `OrderNotFound`.
    pub async fn info(&self, id: OrderId) -> Result<Order, OrderError> {
        self.shard_of(id)?.get(id).await
    }

    /// A page of the orders of all shards, highest id first. May lag behind by the bound on replicas.
    ///
    /// # Errors
    /// `Overloaded`, while a shard has as many lists as it may hold.
    pub async fn list(&self, page: PageRequest) -> Result<OrderPage, OrderError> {
        let size = page.size.clamp(1, MAX_PAGE_SIZE);
        // One more than wanted tells whether there is another page.
        let lists = self.shards.iter().map(|shard| shard.list(page.before, size + 1));
        let mut orders: Vec<Order> = try_join_all(lists).await?.into_iter().flatten().collect();
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
        let more = orders.len() > size as usize;
        orders.truncate(size as usize);
        let next = if more { orders.last().map(|order| order.id) } else { None };
        Ok(OrderPage { orders, next })
    }

    fn shard_of(&self, order: OrderId) -> Result<&OrderShardHandle, OrderError> {
        let shard = self.router.shard_of_order(order.get()).ok_or(OrderError::OrderNotFound(order))?;
        Ok(&self.shards[shard.index()])
    }
}
