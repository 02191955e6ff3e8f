//! The actor that reads the stock: however many reads wait, they take no room from reserving and settling.

use std::collections::HashSet;

use actix::{Actor, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{Command, Envelope, GroupCommit, Lane, LaneLimits};
use shared_actors::database::{DatabaseError, Pool};

use super::queries;
use crate::domain::{OrderError, Sku};

/// While one batch waits for the database, another one is on its way.
const LIMITS: LaneLimits = LaneLimits { max_batch: 256, concurrency: 2 };

/// Tell how many pieces are left to reserve.
pub(super) struct GetStock(pub Sku);

impl Command for GetStock {
    type Output = u64;
    type Error = OrderError;
    const NAME: &'static str = "get_stock";
}

/// Reads the stock, batch by batch.
pub(super) struct StockReadsActor {
    pool: Pool,
    reads: Lane<GetStock>,
}

impl StockReadsActor {
    pub fn new(pool: Pool) -> Self {
        Self { pool, reads: Lane::new(LIMITS) }
    }
}

impl Actor for StockReadsActor {
    type Context = Context<Self>;
}

impl GroupCommit<GetStock> for StockReadsActor {
    fn lane(&mut self) -> &mut Lane<GetStock> {
        &mut self.reads
    }

    fn commit(&mut self, batch: Vec<GetStock>) -> LocalBoxFuture<'static, Vec<Result<u64, OrderError>>> {
        let pool = self.pool.clone();
        async move {
            let skus: HashSet<i64> = batch.iter().map(|GetStock(sku)| i64::from(*sku)).collect();
            let skus: Vec<i64> = skus.into_iter().collect();
            match queries::available(&pool, &skus).await.map_err(DatabaseError::from) {
                Ok(available) => batch
                    .iter()
                    .map(|GetStock(sku)| {
                        let left = available.get(sku).ok_or(OrderError::SkuNotFound(*sku))?;
                        u64::try_from(*left)
                            .map_err(|_| OrderError::internal(format!("{left} left of sku {sku}")))
                    })
                    .collect(),
                Err(error) => vec![Err(error.into()); batch.len()],
            }
        }
        .boxed_local()
    }
}

impl Handler<Envelope<GetStock>> for StockReadsActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<GetStock>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}
