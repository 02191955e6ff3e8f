//! The periodic task that sweeps one shard.

use std::time::{Duration, Instant};

use shared_actors::actor::{ActorOptions, ArbiterHandle, Pass, Periodic, TaskHandle};
use tokio::sync::watch;

use super::cursor::Cursor;
use super::keys::forget_keys;
use super::metrics;
use super::payments::cancel_unpaid;
use super::reservations::give_back_orphans;
use super::settlements::settle_late;
use crate::domain::Failure;
use crate::orders::OrderShardHandle;
use crate::stock::StockHandle;

/// The parts of a sweeper.
#[derive(Clone)]
pub struct SweeperParts {
    /// The shard to sweep.
    pub orders: OrderShardHandle,
    /// The stock, which holds the reservations.
    pub stock: StockHandle,
    /// How often to sweep.
    pub interval: Duration,
    /// Minimum age at which a reservation without an order is given back. Must be longer than any
    /// transaction.
    pub reservation_grace: Duration,
    /// How long the idempotency key of an order is remembered.
    pub key_ttl: Duration,
    /// Becomes true when the shard's database is ready to be used.
    pub prepared: watch::Receiver<bool>,
}

struct Sweeper {
    parts: SweeperParts,
    /// How far the reservations have been checked.
    cursor: Cursor,
    /// Whether the last pass reached the end of the reservations.
    at_end: bool,
}

impl Sweeper {
    fn new(parts: SweeperParts) -> Self {
        Self { parts, cursor: Cursor::start(Instant::now()), at_end: true }
    }
}

impl Periodic for Sweeper {
    async fn ready(&mut self) {
        // The sender is dropped only when the service ends.
        let _ = self.parts.prepared.wait_for(|prepared| *prepared).await;
    }

    async fn pass(&mut self) -> Pass {
        let SweeperParts { orders, stock, reservation_grace, key_ttl, .. } = &self.parts;
        let shard = orders.shard();
        let end = |what, step: Result<Pass, Failure>| {
            step.unwrap_or_else(|error| {
                tracing::warn!(%error, shard = %shard.index, "{what} yet");
                Pass::Done
            })
        };
        // The cursor starts over only after it has reached the end. Otherwise, it would never reach
        // the youngest of very many reservations.
        if self.at_end {
            self.cursor.start_over_when_due(Instant::now());
        }
        let payments = end("unpaid orders could not be cancelled", cancel_unpaid(orders).await);
        let settlements = end("late effects could not be settled", settle_late(shard).await);
        let reservations = end(
            "reservations without an order could not be given back",
            give_back_orphans(shard, stock, *reservation_grace, &mut self.cursor).await,
        );
        let keys =
            end("old idempotency keys could not be deleted", forget_keys(shard, *key_ttl).await);
        self.at_end = reservations == Pass::Done;
        if [payments, settlements, reservations, keys].contains(&Pass::More) {
            Pass::More
        } else {
            Pass::Done
        }
    }
}

/// Starts the sweeper of one shard on `arbiter`.
pub fn start(parts: SweeperParts, arbiter: &ArbiterHandle) -> TaskHandle {
    metrics::begin();
    let period = parts.interval;
    TaskHandle::periodic(ActorOptions::new("sweeper"), arbiter, period, move || {
        Sweeper::new(parts.clone())
    })
}
