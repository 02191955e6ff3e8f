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
use super::queries::{self, Progress};
use super::restock::restock;
use super::settle::{Effect, Settlement};
use crate::domain::{OrderError, Restock, StockLevel};
use crate::retry::after_conflict;

/// How many lines of orders one transaction reserves or settles: one client's large orders hold up nobody's small ones for long.
const MAX_LINES_OF_BATCH: u16 = 4_000;

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
    type Output = Settlement;
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
        // Read after taking the locks: their previous holder may have reserved under one of these keys.
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

    /// Settles together what can be. An effect that the stock does not admit, because somebody changed a row by hand, must not
    /// fail the others: the effects are halved until it is alone.
    async fn settle(&self, effects: Vec<Effect>) -> Result<Settlement, DatabaseError> {
        let mut settlement = Settlement::default();
        let mut parts = vec![effects];
        while let Some(mut part) = parts.pop() {
            // Each transaction takes its turn, so that orders are reserved between two of them.
            let turn = self.turn.lock().await;
            let settled = after_conflict(|| queries::settle(&self.pool, &part, MAX_LINES_OF_BATCH)).await;
            drop(turn);
            match settled {
                Ok(Progress { ended, left }) => {
                    settlement.ended.extend(ended);
                    if !left.is_empty() {
                        part.retain(|effect| left.contains(&effect.order));
                        parts.push(part);
                    }
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    if let [Effect { order, .. }] = *part {
                        tracing::error!(%error, %order, "the stock refuses the effect of an order");
                        settlement.refused.push(order);
                    } else {
                        let half = part.split_off(part.len() / 2);
                        parts.extend([part, half]);
                    }
                }
            }
        }
        crash_point!("settle::committed");
        Ok(settlement)
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
        Self {
            shard,
            reserve: Lane::default().max_weight(MAX_LINES_OF_BATCH.into()),
            settle: Lane::default(),
        }
    }
}

impl Actor for StockShardActor {
    type Context = Context<Self>;
}

impl GroupCommit<Reserve> for StockShardActor {
    fn lane(&mut self) -> &mut Lane<Reserve> {
        &mut self.reserve
    }

    fn weight(Reserve(requests): &Reserve) -> usize {
        requests.iter().map(|request| request.lines.len()).sum()
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

    fn commit(&mut self, batch: Vec<Settle>) -> LocalBoxFuture<'static, Vec<Result<Settlement, OrderError>>> {
        let shard = Arc::clone(&self.shard);
        async move {
            let mut known = HashSet::new();
            let mut effects: Vec<Effect> =
                batch.iter().flat_map(|Settle(effects)| effects).copied().collect();
            effects.retain(|effect| known.insert(effect.order));
            match shard.settle(effects).await {
                Ok(settlement) => batch.iter().map(|Settle(effects)| Ok(settlement.of(effects))).collect(),
                Err(error) => vec![Err(error.into()); batch.len()],
            }
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
