//! Settles checkouts that were left open: by a crash, or by an order service that did not answer.

use std::sync::LazyLock;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use futures::future::join_all;
use prometheus::IntGaugeVec;
use shared_actors::metrics;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::carts::{CartActors, CartShard, Checkout, OpenCheckouts};
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
    index: usize,
    shard: CartShard,
    carts: CartActors,
    settings: SweepSettings,
}

impl CheckoutSweeper {
    /// A sweeper of `shard`, which is number `index`.
    pub fn new(index: usize, shard: CartShard, carts: CartActors, settings: SweepSettings) -> Self {
        Self { index, shard, carts, settings }
    }
}

impl Actor for CheckoutSweeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (shard, carts, settings) = (self.shard.clone(), self.carts.clone(), self.settings);
        let open = OPEN.with_label_values(&[&self.index.to_string()]);
        ctx.spawn(wrap_future(async move {
            shard.until_prepared().await;
            loop {
                match shard.open_checkouts(settings.grace, BATCH).await {
                    Ok(OpenCheckouts { count, due }) => {
                        open.set(count);
                        settle_all(&carts, &due).await;
                    }
                    Err(error) => warn!(%error, "cannot look for open checkouts"),
                }
                sleep(settings.period).await;
            }
        }));
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
