//! Creating orders.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;

use super::{Goal, Sample, Workload, script};
use crate::bench::generators::pgbench;
use crate::bench::shop::{Parts, SKUS, Shop};
use crate::testing::Servers;

/// How many connections the load generator opens. Each orders another SKU.
pub(super) const CONNECTIONS: u64 = 8;

pub const MANY_SKUS: Workload = Workload {
    name: "orders-of-many-skus",
    what: "OrderCreate, 128 in flight, 8 connections with a SKU each, everything on",
    limit: "pgbench: the same rows in one statement, 16 clients",
    goal: Goal::AtLeast(1.6),
    once: false,
    run: |servers, lasting| {
        async move { loaded(servers, lasting, Parts::default(), CONNECTIONS, SKUS).await }
            .boxed_local()
    },
};

pub const WITHOUT_KAFKA: Workload = Workload {
    name: "orders-without-kafka",
    what: "the same, while Kafka is away",
    limit: "the same",
    goal: Goal::AtLeast(2.2),
    once: false,
    run: |servers, lasting| {
        async move {
            let parts = Parts { without_kafka: true, ..Parts::default() };
            loaded(servers, lasting, parts, CONNECTIONS, SKUS).await
        }
        .boxed_local()
    },
};

pub const ONE_SKU: Workload = Workload {
    name: "orders-of-one-sku",
    what: "OrderCreate, 128 in flight, one SKU, everything on",
    limit: "pgbench: the same statement, one SKU, 16 clients",
    goal: Goal::AtLeast(8.0),
    once: false,
    run: |servers, lasting| {
        async move { loaded(servers, lasting, Parts::default(), 1, 1).await }.boxed_local()
    },
};

pub const EIGHT: Workload = Workload {
    name: "orders-8",
    what: "OrderCreate, 8 in flight, everything on",
    limit: "pgbench: the same rows in one statement, 8 clients",
    goal: Goal::AtLeast(0.5),
    once: false,
    run: |servers, lasting| {
        async move {
            let mut shop = Shop::start(servers, Parts::default()).await?;
            let ours = shop.create_orders(8, SKUS, 8, lasting).await?;
            shop.stop_services().await;
            let limit = one_statement(&shop, SKUS, 8, lasting).await?;
            Ok(vec![("", Sample::rate(&ours, Some(limit)))])
        }
        .boxed_local()
    },
};

pub const ONE_AT_A_TIME: Workload = Workload {
    name: "orders-1",
    what: "OrderCreate, one at a time, everything on: median time in ms",
    limit: "pgbench: one update, one client: median time in ms",
    // An order is two commits: the stock, and the order itself.
    goal: Goal::TimeAtMost { times: 2.0, plus_ms: 0.6 },
    once: false,
    run: |servers, lasting| {
        async move {
            let mut shop = Shop::start(servers, Parts::default()).await?;
            let cold = shop.create_orders(1, 1, 1, lasting).await?;
            let warm = shop.create_orders(1, 1, 1, lasting).await?;
            shop.stop_services().await;
            let limit =
                pgbench(&shop.shards[0], &script("commit.sql")?, &[("skus", SKUS)], 1, lasting)
                    .await?;
            let limit = Some(limit.p50_ms);
            Ok(vec![("cold", Sample::time(&cold, limit)), ("warm", Sample::time(&warm, limit))])
        }
        .boxed_local()
    },
};

async fn loaded(
    servers: &Servers,
    lasting: Duration,
    parts: Parts,
    connections: u64,
    skus: u64,
) -> Result<Vec<(&'static str, Sample)>> {
    let mut shop = Shop::start(servers, parts).await?;
    let cold = shop.create_orders(connections, skus, 128, lasting).await?;
    let warm = shop.create_orders(connections, skus, 128, lasting).await?;
    shop.stop_services().await;
    let limit = Some(one_statement(&shop, skus, 16, lasting).await?);
    Ok(vec![("cold", Sample::rate(&cold, limit)), ("warm", Sample::rate(&warm, limit))])
}

/// Orders per second of pgbench on the tables of shard 0, after our load.
async fn one_statement(shop: &Shop, skus: u64, clients: u32, lasting: Duration) -> Result<f64> {
    let script = script("order.sql")?;
    Ok(pgbench(&shop.shards[0], &script, &[("skus", skus)], clients, lasting).await?.per_second())
}
