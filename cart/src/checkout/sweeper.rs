//! Settles checkouts that were left open: by a crash, or by an order service that did not answer.

use std::sync::LazyLock;
use std::time::Duration;

use futures::future::join_all;
use prometheus::{IntGauge, IntGaugeVec};
use shared_actors::actor::{Pass, Periodic};
use shared_actors::metrics;
use tracing::{info, warn};

use crate::carts::{CartActors, CartShardHandle, Checkout, OpenCheckouts};
use crate::domain::{CartError, UserId};

/// How many open checkouts a pass looks at.
const BATCH: u32 = 64;
/// How many of them are asked for at once.
const CONCURRENCY: usize = 8;

static OPEN: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "Checkouts older than CHECKOUT_GRACE whose outcome is not known yet.";
    metrics::gauges("checkouts_open", help, &["shard"])
});

/// When the sweeper acts.
#[derive(Clone, Copy, Debug)]
pub struct SweepSettings {
    /// The time between two passes.
    pub period: Duration,
    /// How old an intent must be: younger ones are most likely being worked on.
    pub grace: Duration,
}

/// Settles the open checkouts of one shard, through the actors of their users. Several instances may do so at once: the
/// version of the cart lets one of them ask for each.
pub struct CheckoutSweeper {
    shard: CartShardHandle,
    carts: CartActors,
    grace: Duration,
    open: IntGauge,
}

impl CheckoutSweeper {
    /// A sweeper of `shard`, which is number `index`. Intents that are younger than `grace` are left alone.
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
                settle_all(&self.carts, &due).await;
            }
            Err(error) => warn!(%error, "cannot look for open checkouts"),
        }
        Pass::Done
    }
}

/// Asks for these. Each rests when it has been asked for, so that one which can never be settled holds up nobody.
async fn settle_all(carts: &CartActors, users: &[UserId]) {
    for some in users.chunks(CONCURRENCY) {
        let settled = join_all(some.iter().map(|user| settle(carts, *user))).await;
        if settled.contains(&false) {
            return;
        }
    }
}

/// Answers whether it makes sense to try others.
async fn settle(carts: &CartActors, user: UserId) -> bool {
    match carts.ask(&user, Checkout::open_one()).await {
        Ok(order) => info!(%user, %order, "an open checkout was settled"),
        // It was settled or is being settled by another instance, or there is no order to be had.
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
