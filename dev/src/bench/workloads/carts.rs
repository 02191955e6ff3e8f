//! Requests to cart.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;

use super::reads::Echo;
use super::{Goal, Sample, Workload, script};
use crate::bench::generators::{pgbench, wrk};
use crate::bench::shop::{Parts, Shop};
use crate::http;
use crate::testing::Servers;

/// cart's users: 1 to this number.
const USERS: u64 = 10_000;
const CONNECTIONS: u32 = 32;

pub const POST: Workload = Workload {
    name: "cart-post",
    what: "add to a cart, 32 connections, 10,000 users",
    limit: "pgbench: upsert of one row, 32 clients",
    goal: Goal::AtLeast(0.6),
    run: |servers, lasting| {
        async move {
            let mut shop = shop(servers).await?;
            let url = base_url(&shop);
            let added = shop.cart_counter(&["api_requests_total", "\"POST\"", "\"200\""])?;
            let args = ["add".to_owned(), USERS.to_string()];
            let ours = shop
                .measure(&added, wrk(&script("cart.lua")?, &url, &args, CONNECTIONS, lasting))
                .await?;
            shop.stop_services().await;
            let users = [("users", USERS)];
            let limit =
                pgbench(&shop.carts[0], &script("cart.sql")?, &users, CONNECTIONS, lasting).await?;
            Ok(vec![("", Sample::rate(&ours, Some(limit.per_second())))])
        }
        .boxed_local()
    },
};

pub const GET: Workload = Workload {
    name: "cart-get",
    what: "show a cart, 32 connections, 10,000 users, warm",
    limit: "a bare actix-web route with the same answer",
    goal: Goal::AtLeast(0.5),
    run: |servers, lasting| {
        async move {
            let mut shop = shop(servers).await?;
            let url = base_url(&shop);
            let args = |what: &str| [what.to_owned(), USERS.to_string()];
            let show = async |url: &str| {
                wrk(&script("cart.lua")?, url, &args("show"), CONNECTIONS, lasting).await
            };
            wrk(&script("cart.lua")?, &url, &args("fill"), CONNECTIONS, Duration::from_secs(5))
                .await?;
            show(&url).await?;
            let shown =
                shop.cart_counter(&["api_requests_total", "\"GET\"", "/user", "\"200\""])?;
            let ours = shop.measure(&shown, show(&url)).await?;
            let answer =
                http::client().get(format!("{url}/user/1/cart")).send().await?.text().await?;
            shop.stop_services().await;
            let echo = Echo::start(&answer).await?;
            let limit = show(&format!("http://127.0.0.1:{}", echo.http)).await?;
            Ok(vec![("", Sample::rate(&ours, Some(limit.per_second())))])
        }
        .boxed_local()
    },
};

async fn shop(servers: &Servers) -> Result<Shop> {
    Shop::start(servers, Parts { cart: true, ..Parts::default() }).await
}

fn base_url(shop: &Shop) -> String {
    shop.cart.as_ref().map(crate::testing::ServiceProcess::base_url).unwrap_or_default()
}
