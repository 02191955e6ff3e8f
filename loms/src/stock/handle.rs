//! The handle of the stock.

use std::sync::Arc;

use service_kit::database::Pool;
use shared_actors::actor::{ActorOptions, ArbiterHandle, Handle};

use super::available::GetAvailable;
use super::decide::{Reservation, ReservationRequest};
use super::effect::{Effect, Settlement};
use super::queries::{self, OpenReservation, OpenSince};
use super::reserve::Reserve;
use super::restock::{self, RestockSku};
use super::settle::Settle;
use super::shard::{StockShard, StockShardActor};
use crate::domain::{Failure, Restock, Sku, StockError, StockLevel};

/// The handle of the stock. Cheap to clone.
#[derive(Clone)]
pub struct StockHandle {
    changes: Handle<StockShardActor>,
    restocks: Handle<StockShardActor>,
    reads: Handle<StockShardActor>,
    shard: Arc<StockShard>,
}

impl StockHandle {
    /// Starts the actors on `arbiter`. One holds at most `capacity` changes, each a batch from a
    /// shard of orders. Another holds at most `capacity` reads. Restocks have a separate actor with
    /// less capacity.
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

    /// Reserves all lines of each request or none, in the order of the requests. Returns once the
    /// reservations are durable.
    ///
    /// A retry under a request's key finds what the first attempt holds.
    ///
    /// # Errors
    /// After `Unavailable` and `DeadlineExceeded` it is unknown whether anything was reserved.
    pub async fn reserve(
        &self,
        requests: Vec<ReservationRequest>,
    ) -> Result<Vec<Reservation>, Failure> {
        self.changes.ask(Reserve(requests)).await
    }

    /// Ends the reservations of orders. Orders without a reservation are skipped, so retries are
    /// safe.
    pub async fn settle(&self, effects: Vec<Effect>) -> Result<Settlement, Failure> {
        self.changes.ask(Settle(effects)).await
    }

    /// Adds or removes pieces, once per key.
    ///
    /// # Errors
    /// The same as [`super::Stocks::restock`].
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, StockError> {
        self.restocks.ask(RestockSku(restock)).await
    }

    /// Returns how many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `NotFound`, and the errors of the database and the actor.
    pub async fn available(&self, sku: Sku) -> Result<u64, StockError> {
        self.reads.ask(GetAvailable(sku)).await
    }

    /// Reservations that have been open for a while, oldest first.
    pub(crate) async fn open_since(
        &self,
        wanted: &OpenSince,
    ) -> Result<Vec<OpenReservation>, sqlx::Error> {
        queries::open_since(&self.shard.pool, wanted).await
    }

    /// The reservations of these orders. Those whose lines cannot be read are left out.
    pub(crate) async fn held_by(
        &self,
        orders: &[i64],
    ) -> Result<Vec<ReservationRequest>, sqlx::Error> {
        queries::held_by(&self.shard.pool, orders).await
    }

    /// Refuses new commands, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.changes.drain().await;
        self.restocks.drain().await;
        self.reads.drain().await;
    }
}
