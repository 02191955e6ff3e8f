//! Settles checkouts that were left open by a crash, or because loms did not answer.

use std::sync::LazyLock;
use std::time::Duration;

use futures::future::join_all;
use prometheus::{IntGauge, IntGaugeVec};
use shared_actors::actor::{Pass, Periodic};
use shared_actors::{crash_point, metrics};
use tracing::{info, warn};

use crate::carts::{CartActors, CartShardHandle, Checkout, OpenCheckouts};
use crate::domain::{CartError, UserId};

/// The maximum number of open checkouts per pass.
const BATCH: u32 = 64;
/// How many of them are settled concurrently.
const CONCURRENCY: usize = 8;

static OPEN: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "Checkouts older than CHECKOUT_GRACE whose outcome is not known yet.";
    metrics::gauges("checkouts_open", help, &["shard"])
});

/// The timing of the sweeper.
#[derive(Clone, Copy, Debug)]
pub struct SweepSettings {
    /// The time between two passes.
    pub period: Duration,
    /// The minimum age of an intent. Younger ones are most likely still in progress.
    pub grace: Duration,
}

/// Settles the open checkouts of one shard, through the actors of their users. Several instances
/// may run at once: the version of the cart lets only one of them ask for each checkout.
pub struct CheckoutSweeper {
    shard: CartShardHandle,
    carts: CartActors,
    grace: Duration,
    open: IntGauge,
}

impl CheckoutSweeper {
    /// A sweeper of `shard`, which has the number `index`. Ignores intents younger than `grace`.
    pub fn new(index: usize, shard: CartShardHandle, carts: CartActors, grace: Duration) -> Self {
        Self { shard, carts, grace, open: OPEN.with_label_values(&[&index.to_string()]) }
    }
}

impl Periodic for CheckoutSweeper {
    async fn ready(&mut self) {
        self.shard.until_prepared().await;
    }

    async fn pass(&mut self) -> Pass {
        match self.shard.open_checkouts(self.grace, BATCH).await {
            Ok(OpenCheckouts { count, due }) => {
                self.open.set(count);
                if !due.is_empty() {
                    crash_point!("sweep::found");
                }
                settle_all(&self.carts, &due).await;
            }
            Err(error) => warn!(%error, "cannot look for open checkouts"),
        }
        Pass::Done
    }
}

/// Settles the open checkouts of `users`. Each intent rests after an attempt, so a checkout that
/// can never be settled does not delay the others.
async fn settle_all(carts: &CartActors, users: &[UserId]) {
    for some in users.chunks(CONCURRENCY) {
        let settled = join_all(some.iter().map(|user| settle(carts, *user))).await;
        if settled.contains(&false) {
            return;
        }
    }
}

/// Returns whether it makes sense to try other users.
async fn settle(carts: &CartActors, user: UserId) -> bool {
    match carts.ask(&user, Checkout::open_one()).await {
        Ok(order) => info!(%user, %order, "an open checkout was settled"),
        // Another instance has settled it or is settling it, or there will be no order.
        Err(CartError::EmptyCart | CartError::OrderRefused { .. } | CartError::OrderCancelled) => {}
        Err(error) => {
            warn!(%user, %error, "a checkout stays open");
            return !matches!(
                error,
                CartError::Unavailable(_) | CartError::DeadlineExceeded(_) | CartError::Overloaded
            );
        }
    }
    true
}
