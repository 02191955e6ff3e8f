//! The actor that changes the stock: it reserves and settles in batches. Restocks and reads have actors of their own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use actix::{Actor, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{Command, Envelope, GroupCommit, Lane};
use shared_actors::crash_point;
use shared_actors::database::{DatabaseError, Pool, observe};
use tokio::sync::Mutex;

use super::decide::{ByKey, Reservation, ReservationRequest, decide};
use super::queries;
use super::restock::restock;
use super::settle::Effect;
use crate::domain::{OrderError, Restock, StockLevel};
use crate::retry::after_conflict;

/// Reserve stock for orders; answers one [`Reservation`] each, in their order.
pub(super) struct Reserve(pub Vec<ReservationRequest>);

impl Command for Reserve {
    type Output = Vec<Reservation>;
    type Error = OrderError;
    const NAME: &'static str = "reserve";
}

/// Settle reservations; those settled before are passed over.
pub(super) struct Settle(pub Vec<Effect>);

impl Command for Settle {
    type Output = ();
    type Error = OrderError;
    const NAME: &'static str = "settle";
}

/// The database of the stock, and the turn to write to it.
pub(super) struct StockShard {
    pool: Pool,
    /// Reserving and settling change the same few rows: they queue here, for no connection and no row lock.
    turn: Mutex<()>,
}

impl StockShard {
    pub fn new(pool: Pool) -> Self {
        Self { pool, turn: Mutex::new(()) }
    }

    async fn reserve(&self, requests: &[ReservationRequest]) -> Result<Vec<Reservation>, DatabaseError> {
        let _turn = self.turn.lock().await;
        // A conflict: another instance made a reservation under one of the keys in between. It will be found now.
        after_conflict(|| self.try_reserve(requests)).await
    }

    async fn try_reserve(&self, requests: &[ReservationRequest]) -> Result<Vec<Reservation>, sqlx::Error> {
        let lines = requests.iter().flat_map(|request| request.lines.iter());
        let skus: BTreeSet<i64> = lines.map(|line| i64::from(line.sku)).collect();
        let skus: Vec<i64> = skus.into_iter().collect();
        let keys: Vec<_> =
            requests.iter().filter_map(|request| Some((request.user, request.key.as_ref()?))).collect();

        let mut transaction = observe("begin", self.pool.begin()).await?;
        let available = queries::lock_stock(&mut transaction, &skus).await?;
        crash_point!("reserve::locked");
        // Read after the locks are held: whoever held them before may have reserved under one of these keys.
        let by_key = if keys.is_empty() {
            ByKey::new()
        } else {
            queries::find_by_keys(&mut transaction, &keys).await?
        };
        let decision = decide(available, by_key, requests);
        if !decision.granted.is_empty() {
            queries::reserve(&mut transaction, requests, &decision).await?;
            crash_point!("reserve::written");
        }
        observe("commit", transaction.commit()).await?;
        crash_point!("reserve::committed");
        Ok(decision.answers)
    }

    async fn settle(&self, effects: &[Effect]) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        after_conflict(|| queries::settle(&self.pool, effects)).await?;
        crash_point!("settle::committed");
        Ok(())
    }

    pub async fn restock(&self, wanted: &Restock) -> Result<StockLevel, OrderError> {
        let _turn = self.turn.lock().await;
        // A conflict: another instance was the first to use the key. Its restock will be found now.
        after_conflict(|| restock(&self.pool, wanted)).await?
    }
}

/// Changes the stock for all shards, batch by batch.
pub(super) struct StockShardActor {
    shard: Arc<StockShard>,
    reserve: Lane<Reserve>,
    settle: Lane<Settle>,
}

impl StockShardActor {
    pub fn new(shard: Arc<StockShard>) -> Self {
        Self { shard, reserve: Lane::default(), settle: Lane::default() }
    }
}

impl Actor for StockShardActor {
    type Context = Context<Self>;
}

impl GroupCommit<Reserve> for StockShardActor {
    fn lane(&mut self) -> &mut Lane<Reserve> {
        &mut self.reserve
    }

    fn commit(
        &mut self,
        batch: Vec<Reserve>,
    ) -> LocalBoxFuture<'static, Vec<Result<Vec<Reservation>, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let sizes: Vec<usize> = batch.iter().map(|Reserve(requests)| requests.len()).collect();
            let requests: Vec<ReservationRequest> =
                batch.into_iter().flat_map(|Reserve(requests)| requests).collect();
            match shard.reserve(&requests).await {
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    sizes.into_iter().map(|size| Ok(answers.by_ref().take(size).collect())).collect()
                }
                Err(error) => vec![Err(error.into()); sizes.len()],
            }
        }
        .boxed_local()
    }
}

impl GroupCommit<Settle> for StockShardActor {
    fn lane(&mut self) -> &mut Lane<Settle> {
        &mut self.settle
    }

    fn commit(&mut self, batch: Vec<Settle>) -> LocalBoxFuture<'static, Vec<Result<(), OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let commands = batch.len();
            let mut known = HashSet::new();
            let mut effects: Vec<Effect> = batch.into_iter().flat_map(|Settle(effects)| effects).collect();
            effects.retain(|effect| known.insert(effect.order));
            let result = shard.settle(&effects).await.map_err(OrderError::from);
            vec![result; commands]
        }
        .boxed_local()
    }
}

impl Handler<Envelope<Reserve>> for StockShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Reserve>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<Settle>> for StockShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Settle>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}
