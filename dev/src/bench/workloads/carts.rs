//! Requests to cart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;

use super::reads::Echo;
use super::{Goal, Sample, Workload, script};
use crate::bench::cpu::Meter;
use crate::bench::generators::{Load, pgbench, wrk};
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
    once: false,
    run: |servers, lasting| {
        async move {
            let mut shop = shop(servers, Vec::new()).await?;
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
    once: false,
    run: |servers, lasting| {
        async move {
            let mut shop = shop(servers, Vec::new()).await?;
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

/// How many users touch their cart once.
const MILLION_USERS: u64 = 1_000_000;
const MAX_LIVE: u64 = 100_000;

pub const MILLION: Workload = Workload {
    name: "cart-million",
    what: "1,000,000 users touch their cart once, 32 connections, at most 100,000 cart actors: p99 in ms",
    limit: "none",
    goal: Goal::MsAtMost(10.0),
    once: true,
    run: |servers, lasting| {
        async move {
            let shop =
                shop(servers, vec![("CART_MAX_LIVE", MAX_LIVE.to_string())]).await?;
            let script = script("cart.lua")?;
            let touched = shop.cart_counter(&["api_requests_total", "\"DELETE\"", "\"204\""])?;
            let live = shop.cart_counter(&["actor_live", "\"cart\""])?;
            let empty = resident(&shop)?;
            let mut full = None;
            let mut worst = Load::default();
            let (mut users, mut seconds, mut answers) = (0.0, 0.0, 0);
            while users < MILLION_USERS as f64 {
                // Requests under way at the end of a load are not counted, so some users are left out.
                let first = users + f64::from(CONNECTIONS) * seconds;
                let args = ["touch".to_owned(), "0".to_owned(), format!("{first:.0}")];
                let load = wrk(&script, &base_url(&shop), &args, CONNECTIONS, lasting).await?;
                seconds += load.seconds;
                let read = touched.read().await?;
                ensure!(read > users, "no user touched a cart in a load");
                answers += load.answers + load.failed;
                users = read;
                if load.p99_ms > worst.p99_ms {
                    worst = load;
                }
                if full.is_none() && live.read().await? >= MAX_LIVE as f64 {
                    full = Some((resident(&shop)? - empty) / live.read().await?);
                }
            }
            let note = format!(
                "{:.0} bytes per live cart; {:.0} MiB before, {:.0} MiB after {users:.0} users; {:.0} per second",
                full.context("as many carts were live as may be")?,
                empty / MIB,
                resident(&shop)? / MIB,
                users / seconds
            );
            Ok(vec![(
                "",
                Sample {
                    ours: worst.p99_ms,
                    p50_ms: worst.p50_ms,
                    p99_ms: worst.p99_ms,
                    failed: (answers as f64 - users).max(0.0),
                    note: Some(note),
                    ..Sample::default()
                },
            )])
        }
        .boxed_local()
    },
};

const MIB: f64 = 1_048_576.0;

/// The resident memory of cart in bytes.
fn resident(shop: &Shop) -> Result<f64> {
    let mut meter = Meter::default();
    meter.add("cart", shop.cart.as_ref().context("cart runs")?.id())?;
    Ok(meter.read()?.iter().map(|(_, usage)| usage.resident_bytes as f64).sum())
}

/// A shop with cart, which has these settings too.
pub(super) async fn shop(
    servers: &Servers,
    cart_settings: Vec<(&'static str, String)>,
) -> Result<Shop> {
    Shop::start(servers, Parts { cart: true, cart_settings, ..Parts::default() }).await
}

pub(super) fn base_url(shop: &Shop) -> String {
    shop.cart.as_ref().map(crate::testing::ServiceProcess::base_url).unwrap_or_default()
}
