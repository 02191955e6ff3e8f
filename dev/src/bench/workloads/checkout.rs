//! Ordering carts, from the request to the answer.

use futures::FutureExt;

use super::carts::{base_url, shop};
use super::{Goal, Sample, Workload, script};
use crate::bench::generators::wrk;

const CONNECTIONS: u32 = 32;
/// More carts than a load orders.
const PER_SECOND_AT_MOST: u64 = 10_000;

pub const CHECKOUT: Workload = Workload {
    name: "checkout",
    what: "order carts of two lines, each once, 32 connections",
    limit: "none",
    goal: Goal::Measured,
    once: false,
    run: |servers, lasting| {
        async move {
            let shop = shop(servers, Vec::new()).await?;
            let carts = lasting.as_secs() * PER_SECOND_AT_MOST;
            for shard in &shop.carts {
                let mut connection = shard.connect().await;
                sqlx::query(CARTS).bind(carts.cast_signed()).execute(&mut connection).await?;
            }
            let ordered = shop.cart_counter(&["api_requests_total", "checkout", "\"200\""])?;
            let args = ["checkout".to_owned(), carts.to_string()];
            let (script, url) = (script("cart.lua")?, base_url(&shop));
            let load = wrk(&script, &url, &args, CONNECTIONS, lasting);
            let ours = shop.measure(&ordered, load).await?;
            Ok(vec![("", Sample::rate(&ours, None))])
        }
        .boxed_local()
    },
};

/// Every shard gets all carts, and cart asks one shard about each.
const CARTS: &str = "
INSERT INTO carts (user_id, version, skus, counts) SELECT n, 1, '{1002,1003}', '{1,1}' FROM generate_series(1, $1) n";
