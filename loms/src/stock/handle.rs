//! The way to the stock.

use std::sync::Arc;

use actix::ArbiterHandle;
use shared_actors::actor::{ActorOptions, Handle};
use shared_actors::database::Pool;

use super::available::GetAvailable;
use super::decide::{Reservation, ReservationRequest};
use super::effect::{Effect, Settlement};
use super::queries::{self, OpenReservation, OpenSince};
use super::reserve::Reserve;
use super::restock::{self, RestockSku};
use super::settle::Settle;
use super::shard::{StockShard, StockShardActor};
use crate::domain::{OrderError, Restock, Sku, StockLevel};

/// Asks the shard of the stock. Cheap to clone.
#[derive(Clone)]
pub struct StockHandle {
    changes: Handle<StockShardActor>,
    restocks: Handle<StockShardActor>,
    reads: Handle<StockShardActor>,
    shard: Arc<StockShard>,
}

impl StockHandle {
    /// Starts the actors on `arbiter`. One holds at most `capacity` changes, each a batch of some shard; another one at
    /// most `capacity` reads; restocks have a few places of their own.
    pub fn start(pool: Pool, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(StockShard::new(pool));
        let actor = |name, capacity| {
            let options = ActorOptions::new(name).capacity(capacity);
            StockShardActor::start(options, arbiter, Arc::clone(&shard))
        };
        Self {
            changes: actor("stock_shard", capacity),
            restocks: actor("stock_restocks", restock::CAPACITY),
            reads: actor("stock_reads", capacity),
            shard,
        }
    }

    /// Reserves for each request all of its lines or nothing, in their order. Answers once that is durable.
    ///
    /// Asking again under a request's key finds what the first attempt holds.
    ///
    /// # Errors
    /// `Unavailable` and `DeadlineExceeded` leave open whether anything was reserved.
    pub async fn reserve(&self, requests: Vec<ReservationRequest>) -> Result<Vec<Reservation>, OrderError> {
        self.changes.ask(Reserve(requests)).await
    }

    /// Ends the reservations of orders; those that have none any more are passed over, so that asking again is safe.
    pub async fn settle(&self, effects: Vec<Effect>) -> Result<Settlement, OrderError> {
        self.changes.ask(Settle(effects)).await
    }

    /// Adds pieces or takes some away, once for each key.
    ///
    /// # Errors
    /// As [`super::Stocks::restock`].
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, OrderError> {
        self.restocks.ask(RestockSku(restock)).await
    }

    /// How many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `SkuNotFound`, and what the database or the actor cannot serve.
    pub async fn available(&self, sku: Sku) -> Result<u64, OrderError> {
        self.reads.ask(GetAvailable(sku)).await
    }

    /// Reservations that have been open for a while, the oldest first.
    pub(crate) async fn open_since(&self, wanted: &OpenSince) -> Result<Vec<OpenReservation>, sqlx::Error> {
        queries::open_since(&self.shard.pool, wanted).await
    }

    /// What these orders hold, those whose lines cannot be read left out.
    pub(crate) async fn held_by(&self, orders: &[i64]) -> Result<Vec<ReservationRequest>, sqlx::Error> {
        queries::held_by(&self.shard.pool, orders).await
    }

    /// Takes nothing more, and returns when all that was taken is answered.
    pub async fn drain(&self) {
        self.changes.drain().await;
        self.restocks.drain().await;
        self.reads.drain().await;
    }
}
