//! The way to one shard of orders.

use std::sync::Arc;

use actix::ArbiterHandle;
use shared_actors::actor::{ActorOptions, Handle, TaskHandle};

use super::change::ChangeState;
use super::create::CreateOrder;
use super::find_by_key::FindByKey;
use super::get::GetOrder;
use super::list::{self, ListOrders};
use super::queries::ShardPage;
use super::shard::{OrderShard, OrderShardActor, OrderShardParts};
use crate::domain::{NewOrder, Order, OrderError, OrderId};

/// An order of more lines is a large one.
const LARGE_LINES: usize = 64;
/// Large orders have one in so many of the places that others have.
const LARGE_SHARE: usize = 16;

/// Asks one shard of orders. Cheap to clone.
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
    /// Starts the shard's actors on `arbiter`. Creates, which wait for the stock, changes and reads each have an actor of
    /// their own, which holds at most `capacity` of them: none takes the places of another. Creates of many lines, which take
    /// long, and lists have a few beside.
    pub fn start(parts: OrderShardParts, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(OrderShard::new(parts));
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

    /// The most commands of one kind that the shard holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) async fn create(&self, order: NewOrder) -> Result<OrderId, OrderError> {
        let large = order.lines.len() > LARGE_LINES;
        let actor = if large { &self.large_creates } else { &self.creates };
        actor.ask(CreateOrder(order)).await
    }

    /// The order that was made here under the key of `order`.
    pub(super) async fn made_for(&self, order: &NewOrder) -> Result<Option<Order>, OrderError> {
        let Some(key) = order.key.clone() else { return Ok(None) };
        self.reads.ask(FindByKey(order.user, key)).await
    }

    pub(crate) async fn change(&self, change: ChangeState) -> Result<bool, OrderError> {
        self.changes.ask(change).await
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Order, OrderError> {
        self.reads.ask(GetOrder(id)).await
    }

    pub(super) async fn list(&self, before: Option<OrderId>, limit: u32) -> Result<ShardPage, OrderError> {
        self.lists.ask(ListOrders { before, limit }).await
    }

    /// Takes nothing more, and returns when all that was taken is answered.
    pub async fn drain(&self) {
        futures::join!(
            self.creates.drain(),
            self.large_creates.drain(),
            self.changes.drain(),
            self.reads.drain()
        );
        self.lists.drain().await;
        if let Some(watch) = &self.replica_watch {
            watch.stop().await;
        }
    }
}
