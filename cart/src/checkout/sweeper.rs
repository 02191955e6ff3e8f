//! Settles checkouts that were left open: by a crash, or by an order service that did not answer.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use futures::StreamExt;
use futures::stream;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::carts::{CartActors, CartShard, Checkout};
use crate::domain::{CartError, UserId};

/// How many open checkouts a pass looks at.
const BATCH: u32 = 64;
/// How many of them are asked for at once.
const CONCURRENCY: usize = 8;

/// When the sweeper acts.
#[derive(Clone, Copy, Debug)]
pub struct SweepSettings {
    /// The time between two passes.
    pub period: Duration,
    /// How old an intent must be: younger ones are most likely being worked on.
    pub grace: Duration,
}

/// Settles the open checkouts of one shard, through the actors of their users. Several instances may do so at once:
/// loms gives all of them the same order, and the version of the cart lets one of them settle.
pub struct CheckoutSweeper {
    shard: CartShard,
    carts: CartActors,
    settings: SweepSettings,
}

impl CheckoutSweeper {
    /// A sweeper of `shard`.
    pub fn new(shard: CartShard, carts: CartActors, settings: SweepSettings) -> Self {
        Self { shard, carts, settings }
    }
}

impl Actor for CheckoutSweeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (shard, carts, settings) = (self.shard.clone(), self.carts.clone(), self.settings);
        ctx.spawn(wrap_future(async move {
            shard.until_prepared().await;
            loop {
                match shard.open_checkouts(settings.grace, BATCH).await {
                    Ok(users) => settle_all(&carts, users).await,
                    Err(error) => warn!(%error, "open checkouts cannot be looked for"),
                }
                sleep(settings.period).await;
            }
        }));
    }
}

async fn settle_all(carts: &CartActors, users: Vec<UserId>) {
    let settled = stream::iter(users).map(|user| settle(carts, user)).buffer_unordered(CONCURRENCY);
    // The oldest come first: when they meet an order service that is down, the others would not fare better.
    let mut settled = std::pin::pin!(settled);
    while let Some(went_on) = settled.next().await {
        if !went_on {
            return;
        }
    }
}

/// Answers whether it makes sense to try others.
async fn settle(carts: &CartActors, user: UserId) -> bool {
    match carts.ask(&user, Checkout::open_one()).await {
        Ok(order) => info!(%user, %order, "an open checkout was settled"),
        // It was settled meanwhile, or there is no order to be had.
        Err(CartError::EmptyCart | CartError::OrderRefused) => {}
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
