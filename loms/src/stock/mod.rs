//! Stock: how much of each SKU is there, how much of it is reserved, and for whom. Stands on shard 0.
//!
//! Reserving decides in [`decide`] over locked rows; [`settle`] says how a reservation ends. Nothing here knows the
//! table of orders.

mod actor;
mod decide;
mod queries;
mod reads;
mod restock;
mod restocks;
mod settle;

use shared_actors::database::Pool;
use std::sync::Arc;

use actix::ArbiterHandle;
use shared_actors::actor::{ActorOptions, Handle};

use crate::domain::{OrderError, Restock, Sku, StockLevel};
use actor::{Reserve, Settle, StockShard, StockShardActor};
use reads::{GetStock, StockReadsActor};
use restocks::{RestockSku, StockRestocksActor};

pub use decide::{Reservation, ReservationRequest};
pub(crate) use queries::{OpenReservation, OpenSince};
pub use settle::{Effect, EffectKind, Settlement};

/// Asks the shard of the stock. Cheap to clone.
#[derive(Clone)]
pub struct StockHandle {
    actor: Handle<StockShardActor>,
    reads: Handle<StockReadsActor>,
    restocks: Handle<StockRestocksActor>,
    pool: Pool,
}

impl StockHandle {
    /// Starts the actors on `arbiter`. One holds at most `capacity` changes, each a batch of some shard; another one at
    /// most `capacity` reads; restocks have a few places of their own.
    pub fn start(pool: Pool, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let shard = Arc::new(StockShard::new(pool.clone()));
        let options = ActorOptions::new("stock_shard").capacity(capacity);
        let own = Arc::clone(&shard);
        let actor = Handle::supervise(options, arbiter, move |_| StockShardActor::new(Arc::clone(&own)));
        let options = ActorOptions::new("stock_restocks").capacity(restocks::CAPACITY);
        let restocks =
            Handle::supervise(options, arbiter, move |_| StockRestocksActor::new(Arc::clone(&shard)));
        let options = ActorOptions::new("stock_reads").capacity(capacity);
        let own = pool.clone();
        let reads = Handle::supervise(options, arbiter, move |_| StockReadsActor::new(own.clone()));
        Self { actor, reads, restocks, pool }
    }

    /// Reserves for each request all of its lines or nothing, in their order. Answers once that is durable.
    ///
    /// Asking again under a request's key finds what the first attempt holds.
    ///
    /// # Errors
    /// `Unavailable` and `DeadlineExceeded` leave open whether anything was reserved.
    pub async fn reserve(&self, requests: Vec<ReservationRequest>) -> Result<Vec<Reservation>, OrderError> {
        self.actor.ask(Reserve(requests)).await
    }

    /// Ends the reservations of orders; those that have none any more are passed over, so that asking again is safe.
    pub async fn settle(&self, effects: Vec<Effect>) -> Result<Settlement, OrderError> {
        self.actor.ask(Settle(effects)).await
    }

    /// Adds pieces or takes some away, once for each key.
    ///
    /// # Errors
    /// As [`Stocks::restock`].
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, OrderError> {
        self.restocks.ask(RestockSku(restock)).await
    }

    /// How many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `SkuNotFound`, and what the database or the actor cannot serve.
    pub async fn available(&self, sku: Sku) -> Result<u64, OrderError> {
        self.reads.ask(GetStock(sku)).await
    }

    /// Reservations that have been open for a while, the oldest first.
    pub(crate) async fn open_since(&self, wanted: &OpenSince) -> Result<Vec<OpenReservation>, sqlx::Error> {
        queries::open_since(&self.pool, wanted).await
    }

    /// What these orders hold, those whose lines cannot be read left out.
    pub(crate) async fn held_by(&self, orders: &[i64]) -> Result<Vec<ReservationRequest>, sqlx::Error> {
        queries::held_by(&self.pool, orders).await
    }

    /// Takes nothing more, and returns when all that was taken is answered.
    pub async fn drain(&self) {
        self.actor.drain().await;
        self.restocks.drain().await;
        self.reads.drain().await;
    }
}

/// The stock, as the front-ends see it.
#[derive(Clone)]
pub struct Stocks(StockHandle);

impl Stocks {
    /// The use cases of the stock behind `handle`.
    pub const fn new(handle: StockHandle) -> Self {
        Self(handle)
    }

    /// How many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `SkuNotFound`, `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn available(&self, sku: Sku) -> Result<u64, OrderError> {
        self.0.available(sku).await
    }

    /// Adds pieces to the stock of a SKU, which is new if need be, or takes some away; answers what there was right
    /// after. A key that was used before gets the answer of that time.
    ///
    /// # Errors
    /// `SkuNotFound`, when pieces are to go that nobody has; `StockReserved`; `RestockKeyReused`; `Overloaded`, when nothing
    /// happened; `Unavailable` and `DeadlineExceeded`, when that is unknown: ask again with the same key.
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, OrderError> {
        self.0.restock(restock).await
    }
}
