//! The actor that restocks: however many restocks wait, they take no room from reserving and settling.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{Command, Envelope, GroupCommit, Lane, LaneLimits};

use super::actor::StockShard;
use crate::domain::{OrderError, Restock, StockLevel};

/// Restocks are few: each has a transaction of its own.
const LIMITS: LaneLimits = LaneLimits { max_batch: 1, concurrency: 1 };

/// How many restocks may wait; more are refused as `Overloaded`.
pub(super) const CAPACITY: usize = 256;

/// Add pieces to a SKU or take some away.
pub(super) struct RestockSku(pub Restock);

impl Command for RestockSku {
    type Output = StockLevel;
    type Error = OrderError;
    const NAME: &'static str = "restock";
}

/// Restocks, one after the other.
pub(super) struct StockRestocksActor {
    shard: Arc<StockShard>,
    restocks: Lane<RestockSku>,
}

impl StockRestocksActor {
    pub fn new(shard: Arc<StockShard>) -> Self {
        Self { shard, restocks: Lane::new(LIMITS) }
    }
}

impl Actor for StockRestocksActor {
    type Context = Context<Self>;
}

impl GroupCommit<RestockSku> for StockRestocksActor {
    fn lane(&mut self) -> &mut Lane<RestockSku> {
        &mut self.restocks
    }

    fn commit(
        &mut self,
        batch: Vec<RestockSku>,
    ) -> LocalBoxFuture<'static, Vec<Result<StockLevel, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let mut answers = Vec::with_capacity(batch.len());
            for RestockSku(wanted) in &batch {
                answers.push(shard.restock(wanted).await);
            }
            answers
        }
        .boxed_local()
    }
}

impl Handler<Envelope<RestockSku>> for StockRestocksActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<RestockSku>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}
