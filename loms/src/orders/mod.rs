//! Orders are created, paid, cancelled and read, each on the shard that its id names.
//!
//! [`Orders`] is the interface for front-ends. Behind it, the actors of each shard execute commands
//! in batches, one file per command: `create`, `change`, `get`, `find_by_key`, `list`.

mod answers;
mod change;
mod create;
mod find_by_key;
mod get;
mod handle;
mod ids;
mod list;
mod metrics;
mod pulse;
pub(crate) mod queries;
mod replica;
mod servers;
mod settle;
mod shard;
mod turns;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use futures::future::try_join_all;
use service_kit::shard::{ShardIndex, ShardRouter};
use shared_actors::trace;

use crate::domain::{
    Failure, MAX_PAGE_SIZE, NewOrder, Order, OrderError, OrderId, OrderPage, OrderStatus,
    PageRequest,
};

pub(crate) use change::ChangeState;
pub use handle::OrderShardHandle;
pub(crate) use queries::InsertedRow;
pub use replica::ReplicaParts;
pub(crate) use shard::OrderShard;
pub use shard::OrderShardParts;
pub use turns::ListTurn;
use turns::ListTurns;

/// The orders of all shards, as the front-ends see them. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    router: ShardRouter,
    shards: Arc<[OrderShardHandle]>,
    /// Earlier layouts, for as long as keys from that time are remembered.
    former: Arc<OnceLock<Vec<ShardRouter>>>,
    turns: ListTurns,
}

impl Orders {
    /// Creates the use cases over `shards`. `router` must have as many shards.
    pub fn new(router: ShardRouter, shards: Vec<OrderShardHandle>) -> Self {
        Self { router, shards: shards.into(), former: Arc::default(), turns: ListTurns::default() }
    }

    /// Sets the earlier layouts, once they are known. Keys are then also looked up on the shards
    /// that users belonged to before.
    pub(crate) fn moved_from(&self, former: Vec<ShardRouter>) {
        // The first value counts: layouts do not change while an instance runs.
        let _ = self.former.set(former);
    }

    /// Reserves the lines and stores the order. Returns once both are durable.
    ///
    /// # Errors
    /// `OutOfStock` with the id of the order, which can be read as `FAILED`. `KeyReused`.
    /// `Overloaded` if nothing happened. After `Unavailable` and `DeadlineExceeded` the outcome is
    /// unknown: retry with the same key.
    pub async fn create(&self, order: NewOrder) -> Result<OrderId, OrderError> {
        let home = self.router.shard_of_user(order.user.get());
        for shard in self.former_homes(&order, home) {
            if let Some(earlier) = self.shards[shard.index()].made_for(&order).await? {
                return answers::answer_with(&earlier, &order);
            }
        }
        self.shards[home.index()].create(order).await
    }

    /// The shards other than `home` that the user belonged to earlier, where an order under this
    /// key may be.
    fn former_homes(&self, order: &NewOrder, home: ShardIndex) -> BTreeSet<ShardIndex> {
        if order.key.is_none() {
            return BTreeSet::new();
        }
        let former = self.former.get().into_iter().flatten();
        let homes = former.map(|layout| layout.shard_of_user(order.user.get()));
        homes.filter(|shard| *shard != home).collect()
    }

    /// Pays an order that awaits its payment. A paid order stays paid. An order whose payment
    /// deadline has passed is cancelled instead.
    ///
    /// # Errors
    /// `NotFound`. `Forbidden` in any other state.
    pub async fn pay(&self, id: OrderId) -> Result<(), OrderError> {
        self.change(id, OrderStatus::Payed).await
    }

    /// Cancels an order that awaits its payment. A cancelled order stays cancelled. Returns once
    /// its items are back in the stock.
    ///
    /// # Errors
    /// `NotFound`. `Forbidden` in any other state. `Unavailable`, among other reasons, if the
    /// order is cancelled but its items are not back yet: retry.
    pub async fn cancel(&self, id: OrderId) -> Result<(), OrderError> {
        self.change(id, OrderStatus::Cancelled).await
    }

    async fn change(&self, order: OrderId, to: OrderStatus) -> Result<(), OrderError> {
        let traceparent = trace::traceparent();
        self.shard_of(order)?.change(ChangeState { order, to, traceparent }).await.map(drop)
    }

    /// Returns the current state of an order, including every change that was confirmed before.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn info(&self, id: OrderId) -> Result<Order, OrderError> {
        self.shard_of(id)?.get(id).await
    }

    /// Returns a page of the orders of all shards, highest id first. It may lag by up to
    /// `REPLICA_MAX_LAG`, or more while a primary does not answer.
    ///
    /// # Errors
    /// `Overloaded` if a shard holds its maximum number of lists.
    pub async fn list(&self, page: PageRequest) -> Result<OrderPage, OrderError> {
        let size = page.size.clamp(1, MAX_PAGE_SIZE);
        let lists = self.shards.iter().map(|shard| shard.list(page.before, size));
        let pages = try_join_all(lists).await?;
        // A shard whose page ends at this id may have more orders below it. Lower orders of other
        // shards wait for the next page.
        let mut next = pages.iter().filter_map(|page| page.rest_below).max();
        let mut orders: Vec<Order> = pages.into_iter().flat_map(|page| page.orders).collect();
        orders.retain(|order| next.is_none_or(|next| order.id.get() >= next));
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
        if orders.len() > size as usize {
            orders.truncate(size as usize);
            next = orders.last().map(|order| order.id.get());
        }
        let next = next.map(OrderId::try_from).transpose()?;
        Ok(OrderPage { orders, next })
    }

    /// Waits for permission to gather a list of several pages. Few lists are gathered at once,
    /// because each is kept in memory.
    ///
    /// # Errors
    /// `Overloaded` if too many lists are waiting. `DeadlineExceeded`.
    pub async fn turn_to_list(&self) -> Result<ListTurn, Failure> {
        self.turns.take().await
    }

    fn shard_of(&self, order: OrderId) -> Result<&OrderShardHandle, OrderError> {
        let shard = order.shard(self.router).ok_or(OrderError::NotFound(order))?;
        Ok(&self.shards[shard.index()])
    }
}
