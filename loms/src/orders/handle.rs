//! The handle of one shard of orders.

use std::sync::Arc;

use shared_actors::actor::{ActorOptions, ArbiterHandle, Handle, TaskHandle};

use super::change::ChangeState;
use super::create::CreateOrder;
use super::find_by_key::FindByKey;
use super::get::GetOrder;
use super::list::{self, ListOrders};
use super::queries::ShardPage;
use super::shard::{OrderShard, OrderShardActor, OrderShardParts};
use crate::domain::{Failure, NewOrder, Order, OrderError, OrderId};

/// An order with more lines than this is large.
const LARGE_LINES: usize = 64;
/// The capacity for large orders is the capacity for other orders divided by this.
const LARGE_SHARE: usize = 16;

/// The handle of one shard of orders. Cheap to clone.
#[derive(Clone)]
pub struct OrderShardHandle {
    creates: Handle<OrderShardActor>,
    large_creates: Handle<OrderShardActor>,
    changes: Handle<OrderShardActor>,
    reads: Handle<OrderShardActor>,
    lists: Handle<OrderShardActor>,
    replica_watch: Option<TaskHandle>,
    shard: Arc<OrderShard>,
    capacity: usize,
}

impl OrderShardHandle {
    /// Starts the shard's actors on `arbiter`. Creates, changes and reads each have their own actor
    /// with `capacity` places, so no kind takes places from another. Creates wait for the stock.
    /// Large creates take long; they and lists have separate actors with less capacity.
    pub fn start(parts: OrderShardParts, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(OrderShard::new(parts, arbiter));
        let actor = |name, capacity| {
            let options = ActorOptions::new(name).capacity(capacity);
            OrderShardActor::start(options, arbiter, Arc::clone(&shard))
        };
        let replica_watch = shard.replica.is_some().then(|| {
            let shard = Arc::clone(&shard);
            TaskHandle::start(ActorOptions::new("replica_watch"), arbiter, move || {
                let shard = Arc::clone(&shard);
                async move { shard.watch_replica().await }
            })
        });
        Self {
            creates: actor("order_shard", capacity),
            large_creates: actor("order_shard", (capacity / LARGE_SHARE).max(1)),
            changes: actor("order_shard", capacity),
            reads: actor("order_shard", capacity),
            lists: actor("order_lists", list::CAPACITY),
            replica_watch,
            shard,
            capacity,
        }
    }

    /// The shard itself, for the sweeper's own workflows.
    pub(crate) fn shard(&self) -> &OrderShard {
        &self.shard
    }

    /// Maximum number of commands of one kind that the shard holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) async fn create(&self, order: NewOrder) -> Result<OrderId, OrderError> {
        let large = order.lines.len() > LARGE_LINES;
        let actor = if large { &self.large_creates } else { &self.creates };
        actor.ask(CreateOrder(order)).await
    }

    /// The order that was created on this shard under the key of `order`.
    pub(super) async fn made_for(&self, order: &NewOrder) -> Result<Option<Order>, Failure> {
        let Some(key) = order.key.clone() else { return Ok(None) };
        self.reads.ask(FindByKey(order.user, key)).await
    }

    pub(crate) async fn change(&self, change: ChangeState) -> Result<bool, OrderError> {
        self.changes.ask(change).await
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Order, OrderError> {
        self.reads.ask(GetOrder(id)).await
    }

    pub(super) async fn list(
        &self,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<ShardPage, Failure> {
        self.lists.ask(ListOrders { before, limit }).await
    }

    /// Refuses new commands, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        futures::join!(
            self.creates.drain(),
            self.large_creates.drain(),
            self.changes.drain(),
            self.reads.drain()
        );
        self.shard.paid.drain().await;
        self.lists.drain().await;
        if let Some(watch) = &self.replica_watch {
            watch.stop().await;
        }
    }
}
