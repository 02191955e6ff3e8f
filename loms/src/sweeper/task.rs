//! The actor that sweeps one shard at intervals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ArbiterHandle, AsyncContext, Context};
use shared_actors::actor::{ActorOptions, Handle};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Left;
use super::cursor::Cursor;
use super::keys::forget_keys;
use super::metrics;
use super::payments::cancel_unpaid;
use super::reservations::give_back_orphans;
use super::settlements::settle_late;
use crate::domain::OrderError;
use crate::orders::OrderShardHandle;
use crate::stock::StockHandle;

/// What a sweeper is made of.
#[derive(Clone)]
pub struct SweeperParts {
    /// The shard to sweep.
    pub orders: OrderShardHandle,
    /// Who holds the reservations.
    pub stock: StockHandle,
    /// How often to sweep.
    pub interval: Duration,
    /// How old a reservation without an order must be to be given back; longer than any transaction may take.
    pub reservation_grace: Duration,
    /// How long the idempotency key of an order is remembered.
    pub key_ttl: Duration,
    /// Turns true when the databases of all shards are ready to be used.
    pub prepared: watch::Receiver<bool>,
}

struct SweeperActor {
    parts: Arc<SweeperParts>,
}

impl Actor for SweeperActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(wrap_future(sweep(Arc::clone(&self.parts))));
    }
}

/// The step that gives back reservations without an order.
const ORPHANS: usize = 2;

async fn sweep(parts: Arc<SweeperParts>) {
    if parts.prepared.clone().wait_for(|prepared| *prepared).await.is_err() {
        return;
    }
    let mut ticks = interval(parts.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cursor = Cursor::start(Instant::now());
    let shard = parts.orders.shard();
    let mut last_pass = [Left::Nothing; 4];
    loop {
        // What is created faster than one pass after a tick clears away is cleared away by passes without a pause.
        if !last_pass.contains(&Left::More) {
            ticks.tick().await;
        }
        // Not before it has come to the end, or it would never look at the youngest of very many.
        if last_pass[ORPHANS] == Left::Nothing {
            cursor.start_over_when_due(Instant::now());
        }
        let left = |what, step: Result<Left, OrderError>| {
            step.unwrap_or_else(|error| {
                tracing::warn!(%error, shard = %shard.index, "{what} yet");
                Left::Nothing
            })
        };
        let grace = parts.reservation_grace;
        last_pass = [
            left("unpaid orders are not cancelled", cancel_unpaid(&parts.orders).await),
            left("late effects are not settled", settle_late(shard).await),
            left(
                "reservations without an order are not given back",
                give_back_orphans(shard, &parts.stock, grace, &mut cursor).await,
            ),
            left("old idempotency keys are not forgotten", forget_keys(shard, parts.key_ttl).await),
        ];
    }
}

/// Keeps the sweeper of one shard going.
#[derive(Clone)]
pub struct SweeperHandle(Handle<SweeperActor>);

impl SweeperHandle {
    /// Starts the sweeper on `arbiter`.
    pub fn start(parts: SweeperParts, arbiter: &ArbiterHandle) -> Self {
        metrics::begin();
        let parts = Arc::new(parts);
        let options = ActorOptions::new("sweeper").capacity(1);
        Self(Handle::supervise(options, arbiter, move |_| SweeperActor { parts: Arc::clone(&parts) }))
    }

    /// Ends the sweeper, wherever it is.
    pub async fn stop(&self) {
        self.0.drain().await;
    }
}
