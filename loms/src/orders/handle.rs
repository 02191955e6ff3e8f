//! The way to one shard of orders.

use std::sync::Arc;

use actix::ArbiterHandle;
use shared_actors::actor::{ActorOptions, Handle};

use super::actor::{ChangeState, CreateOrder, FindByKey, GetOrder, OrderShardActor};
use super::change::StateChange;
use super::lists::{self, ListOrders, OrderListsActor};
use super::shard::{OrderShard, OrderShardParts};
use crate::domain::{NewOrder, Order, OrderError, OrderId};

/// Asks one shard of orders. Cheap to clone.
#[derive(Clone)]
pub struct OrderShardHandle {
    actor: Handle<OrderShardActor>,
    lists: Handle<OrderListsActor>,
    shard: Arc<OrderShard>,
    capacity: usize,
}

impl OrderShardHandle {
    /// Starts the shard's actors on `arbiter`. They hold at most `capacity` commands, and a few lists beside.
    pub fn start(parts: OrderShardParts, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(OrderShard::new(parts));
        let own = Arc::clone(&shard);
        let options = ActorOptions::new("order_shard").capacity(capacity);
        let actor = Handle::supervise(options, arbiter, move |_| OrderShardActor::new(Arc::clone(&own)));
        let own = Arc::clone(&shard);
        let options = ActorOptions::new("order_lists").capacity(lists::CAPACITY);
        let lists = Handle::supervise(options, arbiter, move |_| OrderListsActor::new(Arc::clone(&own)));
        Self { actor, lists, shard, capacity }
    }

    /// The shard itself, for the sweeper's own workflows.
    pub(crate) fn shard(&self) -> &OrderShard {
        &self.shard
    }

    /// How many commands the shard holds at the most.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) async fn create(&self, order: NewOrder) -> Result<OrderId, OrderError> {
        self.actor.ask(CreateOrder(order)).await
    }

    /// The order that was made here under the key of `order`.
    pub(super) async fn made_for(&self, order: &NewOrder) -> Result<Option<Order>, OrderError> {
        let Some(key) = order.key.clone() else { return Ok(None) };
        self.actor.ask(FindByKey(order.user, key)).await
    }

    pub(crate) async fn change(&self, change: StateChange) -> Result<(), OrderError> {
        self.actor.ask(ChangeState(change)).await
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Order, OrderError> {
        self.actor.ask(GetOrder(id)).await
    }

    pub(super) async fn list(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<Order>, OrderError> {
        self.lists.ask(ListOrders { before, limit }).await
    }

    /// Takes nothing more, and returns when all that was taken is answered.
    pub async fn drain(&self) {
        self.actor.drain().await;
        self.lists.drain().await;
    }
}
