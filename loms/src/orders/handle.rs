//! The way to one shard of orders.

use std::sync::Arc;

use actix::ArbiterHandle;
use shared_actors::actor::{ActorOptions, Handle};

use super::actor::{ChangeState, CreateOrder, FindByKey, GetOrder, OrderShardActor};
use super::change::StateChange;
use super::lists::{self, ListOrders, OrderListsActor};
use super::queries::ShardPage;
use super::shard::{OrderShard, OrderShardParts};
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
    lists: Handle<OrderListsActor>,
    shard: Arc<OrderShard>,
    capacity: usize,
}

impl OrderShardHandle {
    /// Starts the shard's actors on `arbiter`. Creates, which wait for the stock, changes and reads each have an actor of
    /// their own, which holds at most `capacity` of them: none takes the places of another. Creates of many lines, which take
    /// long, and lists have a few beside.
    pub fn start(parts: OrderShardParts, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(OrderShard::new(parts));
        let actor = |capacity| {
            let (own, options) = (Arc::clone(&shard), ActorOptions::new("order_shard").capacity(capacity));
            Handle::supervise(options, arbiter, move |_| OrderShardActor::new(Arc::clone(&own)))
        };
        let (creates, changes, reads) = (actor(capacity), actor(capacity), actor(capacity));
        let large_creates = actor((capacity / LARGE_SHARE).max(1));
        let own = Arc::clone(&shard);
        let options = ActorOptions::new("order_lists").capacity(lists::CAPACITY);
        let lists = Handle::supervise(options, arbiter, move |_| OrderListsActor::new(Arc::clone(&own)));
        Self { creates, large_creates, changes, reads, lists, shard, capacity }
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

    pub(crate) async fn change(&self, change: StateChange) -> Result<bool, OrderError> {
        self.changes.ask(ChangeState(change)).await
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
    }
}
