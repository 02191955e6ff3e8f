//! The actor of one shard of orders: it collects commands and runs the workflows on them, batch by batch. Lists have an
//! actor of their own.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{Command, Envelope, GroupCommit, Lane, LaneLimits};

use super::change::StateChange;
use super::shard::OrderShard;
use crate::domain::{IdempotencyKey, NewOrder, Order, OrderError, OrderId, UserId};

/// While one batch waits for the stock or the disk, another one is on its way.
const LIMITS: LaneLimits = LaneLimits { max_batch: 256, concurrency: 2 };

/// How many lines of orders one batch writes down.
const MAX_LINES_OF_BATCH: usize = 4_000;

/// Create an order.
pub(super) struct CreateOrder(pub NewOrder);

impl Command for CreateOrder {
    type Output = OrderId;
    type Error = OrderError;
    const NAME: &'static str = "create_order";
}

/// Pay or cancel an order; answers whether this very command changed it.
pub(super) struct ChangeState(pub StateChange);

impl Command for ChangeState {
    type Output = bool;
    type Error = OrderError;
    const NAME: &'static str = "change_state";
}

/// Read an order as it stands.
pub(super) struct GetOrder(pub OrderId);

impl Command for GetOrder {
    type Output = Order;
    type Error = OrderError;
    const NAME: &'static str = "get_order";
}

/// Find the order that was made under a user's key.
pub(super) struct FindByKey(pub UserId, pub IdempotencyKey);

impl Command for FindByKey {
    type Output = Option<Order>;
    type Error = OrderError;
    const NAME: &'static str = "find_by_key";
}

/// Does what concerns the orders of one shard. Each kind of command goes to one of its own, see
/// [`OrderShardHandle`](super::OrderShardHandle).
pub(super) struct OrderShardActor {
    shard: Arc<OrderShard>,
    create: Lane<CreateOrder>,
    change: Lane<ChangeState>,
    read: Lane<GetOrder>,
    find: Lane<FindByKey>,
}

impl OrderShardActor {
    pub fn new(shard: Arc<OrderShard>) -> Self {
        Self {
            shard,
            create: Lane::new(LIMITS).max_weight(MAX_LINES_OF_BATCH),
            change: Lane::new(LIMITS),
            read: Lane::new(LIMITS),
            find: Lane::new(LIMITS),
        }
    }
}

impl Actor for OrderShardActor {
    type Context = Context<Self>;
}

impl GroupCommit<CreateOrder> for OrderShardActor {
    fn lane(&mut self) -> &mut Lane<CreateOrder> {
        &mut self.create
    }

    fn weight(CreateOrder(order): &CreateOrder) -> usize {
        order.lines.len()
    }

    fn commit(
        &mut self,
        batch: Vec<CreateOrder>,
    ) -> LocalBoxFuture<'static, Vec<Result<OrderId, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let requests: Vec<NewOrder> = batch.into_iter().map(|CreateOrder(order)| order).collect();
            shard.create(&requests).await
        }
        .boxed_local()
    }
}

impl GroupCommit<ChangeState> for OrderShardActor {
    fn lane(&mut self) -> &mut Lane<ChangeState> {
        &mut self.change
    }

    fn commit(&mut self, batch: Vec<ChangeState>) -> LocalBoxFuture<'static, Vec<Result<bool, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let changes: Vec<StateChange> = batch.into_iter().map(|ChangeState(change)| change).collect();
            shard.change(&changes).await
        }
        .boxed_local()
    }
}

impl GroupCommit<GetOrder> for OrderShardActor {
    fn lane(&mut self) -> &mut Lane<GetOrder> {
        &mut self.read
    }

    fn commit(&mut self, batch: Vec<GetOrder>) -> LocalBoxFuture<'static, Vec<Result<Order, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let ids: Vec<OrderId> = batch.into_iter().map(|GetOrder(id)| id).collect();
            shard.get(&ids).await
        }
        .boxed_local()
    }
}

impl GroupCommit<FindByKey> for OrderShardActor {
    fn lane(&mut self) -> &mut Lane<FindByKey> {
        &mut self.find
    }

    fn commit(
        &mut self,
        batch: Vec<FindByKey>,
    ) -> LocalBoxFuture<'static, Vec<Result<Option<Order>, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let keys: Vec<_> = batch.into_iter().map(|FindByKey(user, key)| (user, key)).collect();
            shard.find_by_keys(&keys).await
        }
        .boxed_local()
    }
}

impl Handler<Envelope<CreateOrder>> for OrderShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<CreateOrder>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<ChangeState>> for OrderShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ChangeState>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<GetOrder>> for OrderShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<GetOrder>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<FindByKey>> for OrderShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FindByKey>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}
