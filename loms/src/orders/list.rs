//! The actor that lists the orders of one shard: a few lists at once, so that they leave connections to everything else
//! that uses the pool of the shard. It watches the replica, too, which tells whether lists may be read there.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{Command, Envelope, GroupCommit, Lane, LaneLimits};

use super::queries::ShardPage;
use super::shard::OrderShard;
use crate::domain::{OrderError, OrderId};

/// Each list is a query of its own.
const LIMITS: LaneLimits = LaneLimits { max_batch: 1, concurrency: 2 };

/// How many lists may wait or run at once; more are refused as `Overloaded`.
pub(super) const CAPACITY: usize = 64 + LIMITS.concurrency;

/// Read the newest orders that are older than `before`.
pub(super) struct ListOrders {
    pub before: Option<OrderId>,
    pub limit: u32,
}

impl Command for ListOrders {
    type Output = ShardPage;
    type Error = OrderError;
    const NAME: &'static str = "list_orders";
}

/// Lists the orders of one shard.
pub(super) struct OrderListsActor {
    shard: Arc<OrderShard>,
    lists: Lane<ListOrders>,
}

impl OrderListsActor {
    pub fn new(shard: Arc<OrderShard>) -> Self {
        Self { shard, lists: Lane::new(LIMITS) }
    }
}

impl Actor for OrderListsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let shard = Arc::clone(&self.shard);
        ctx.spawn(wrap_future(async move {
            if let Some(replica) = &shard.replica {
                shard.watch(replica).await;
            }
        }));
    }
}

impl GroupCommit<ListOrders> for OrderListsActor {
    fn lane(&mut self) -> &mut Lane<ListOrders> {
        &mut self.lists
    }

    fn commit(
        &mut self,
        batch: Vec<ListOrders>,
    ) -> LocalBoxFuture<'static, Vec<Result<ShardPage, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let mut pages = Vec::with_capacity(batch.len());
            for ListOrders { before, limit } in batch {
                pages.push(shard.page(before, limit).await);
            }
            pages
        }
        .boxed_local()
    }
}

impl Handler<Envelope<ListOrders>> for OrderListsActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ListOrders>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}
