//! How orders scale with what is in flight, with shards, and with stored orders.

use anyhow::Result;
use futures::FutureExt;
use loms_proto::OrdersAllRequest;
use prost::Message;
use sqlx::Executor;

use super::orders::CONNECTIONS;
use super::{Goal, Sample, Workload};
use crate::bench::generators::{Method, h2load};
use crate::bench::shop::{Parts, SKUS, Shop};

const NO_LIMIT: &str = "none";

pub const IN_FLIGHT: Workload = Workload {
    name: "growth-in-flight",
    what: "OrderCreate, everything on, so many in flight over at most 8 connections",
    limit: NO_LIMIT,
    goal: Goal::Measured,
    once: true,
    run: |servers, lasting| {
        async move {
            let shop = Shop::start(servers, Parts::default()).await?;
            let mut rows = Vec::new();
            for (name, in_flight) in [("1", 1), ("8", 8), ("64", 64), ("512", 512), ("2000", 2000)]
            {
                let connections = CONNECTIONS.min(in_flight as u64);
                let ours = shop.create_orders(connections, SKUS, in_flight, lasting).await?;
                rows.push((name, Sample::rate(&ours, None)));
            }
            Ok(rows)
        }
        .boxed_local()
    },
};

pub const SHARDS: Workload = Workload {
    name: "growth-shards",
    what: "OrderCreate, 128 in flight over 16 connections, everything on, so many shards on two servers, warm",
    limit: NO_LIMIT,
    goal: Goal::Measured,
    once: true,
    run: |servers, lasting| {
        async move {
            let mut rows = Vec::new();
            for (name, shards) in [("1", 1), ("2", 2), ("4", 4)] {
                let parts = Parts { shards: Some(shards), ..Parts::default() };
                let mut shop = Shop::start(servers, parts).await?;
                shop.create_orders(16, SKUS, 128, lasting).await?;
                let ours = shop.create_orders(16, SKUS, 128, lasting).await?;
                shop.stop_services().await;
                rows.push((name, Sample::rate(&ours, None)));
            }
            Ok(rows)
        }
        .boxed_local()
    },
};

pub const STORED: Workload = Workload {
    name: "growth-stored",
    what: "OrderCreate, 128 in flight, everything on, and OrdersAll, 8 in flight, with so many orders stored",
    limit: NO_LIMIT,
    goal: Goal::Measured,
    once: true,
    run: |servers, lasting| {
        async move {
            let shop = Shop::start(servers, Parts::default()).await?;
            let mut rows = Vec::new();
            let mut stored = 0;
            for (create, list, orders) in [
                ("1e4", "OrdersAll 1e4", 10_000),
                ("1e6", "OrdersAll 1e6", 1_000_000),
                ("1e7", "OrdersAll 1e7", 10_000_000),
            ] {
                store(&shop, orders - stored).await?;
                stored = orders;
                let ours = shop.create_orders(CONNECTIONS, SKUS, 128, lasting).await?;
                rows.push((create, Sample::rate(&ours, None)));
                let method = Method {
                    port: shop.grpc,
                    path: "/Loms/OrdersAll",
                    per_second: None,
                    token: None,
                };
                let messages = vec![OrdersAllRequest::default().encode_to_vec(); 4];
                let listed = shop.counter(&["api_requests_total", "OrdersAll", "\"OK\""]);
                let ours = shop.measure(&listed, h2load(method, &messages, 8, lasting)).await?;
                rows.push((list, Sample::rate(&ours, None)));
            }
            Ok(rows)
        }
        .boxed_local()
    },
};

/// Stores paid orders with their history. Later orders get higher ids.
async fn store(shop: &Shop, orders: i64) -> Result<()> {
    let each = orders / i64::try_from(shop.shards.len())?;
    let store = async |shard: &crate::testing::Database| -> Result<()> {
        let mut connection = shard.connect().await;
        let last = "SELECT last_value + 10000000 FROM order_id_seq";
        let first: i64 = sqlx::query_scalar(last).fetch_one(&mut connection).await?;
        for statement in [PAID_ORDERS, THEIR_HISTORY, LATER_IDS] {
            sqlx::query(statement).bind(first).bind(each).execute(&mut connection).await?;
        }
        connection.execute("VACUUM ANALYZE orders").await?;
        connection.execute("VACUUM ANALYZE order_history").await?;
        Ok(())
    };
    futures::future::try_join_all(shop.shards.iter().map(store)).await?;
    Ok(())
}

const PAID_ORDERS: &str = "
INSERT INTO orders (id, state, user_id, skus, counts, sequence)
SELECT $1 + 1000 * n, 'PAYED', 1 + n % 1000000, '{1}', '{1}', 3 FROM generate_series(1, $2) n";
const THEIR_HISTORY: &str = "
INSERT INTO order_history (order_id, sequence, state)
SELECT $1 + 1000 * n, sequence, state
FROM generate_series(1, $2) n, (VALUES (1, 'NEW'), (2, 'AWAITING_PAYMENT'), (3, 'PAYED')) AS change (sequence, state)";
const LATER_IDS: &str = "SELECT setval('order_id_seq', $1 + 1000 * ($2 + 1))";
