//! Paying orders.

use anyhow::{Result, ensure};
use futures::FutureExt;
use sqlx::Executor;

use super::{Goal, Sample, Workload, script};
use crate::bench::generators::{pgbench, wrk};
use crate::bench::shop::{Parts, SKUS, Shop};

pub const PAY: Workload = Workload {
    name: "pay",
    what: "pay over the REST gateway, 128 connections, everything on",
    limit: "pgbench: one conditional update and an event, 16 clients",
    goal: Goal::AtLeast(1.5),
    once: false,
    run: |servers, lasting| {
        async move {
            let mut shop = Shop::start(servers, Parts::default()).await?;
            shop.create_orders(16, SKUS, 512, lasting).await?;
            let ids = [waiting(&shop, 0).await?, waiting(&shop, 1).await?];
            let args = ids.map(|(first, last)| [first, last]).concat();
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            let paid = shop.counter(&["api_requests_total", "/pay", "\"200\""]);
            let url = shop.loms.base_url();
            let script_of_ours = script("pay.lua")?;
            let mut unsettled = 0;
            let load = async {
                let load = wrk(&script_of_ours, &url, &args, 128, lasting).await?;
                unsettled = shop.count("SELECT count(*) FROM stock_effects").await?;
                Ok(load)
            };
            let ours = shop.measure(&paid, load).await?;
            shop.stop_services().await;
            let mut connection = shop.shards[0].connect().await;
            connection.execute("CREATE SEQUENCE bench_order").await?;
            let orders = lasting.as_secs() * PGBENCH_AT_MOST;
            sqlx::query(UNPAID)
                .bind(FIRST.cast_signed())
                .bind(orders.cast_signed())
                .execute(&mut connection)
                .await?;
            let limit =
                pgbench(&shop.shards[0], &script("pay.sql")?, &[("first", FIRST)], 16, lasting)
                    .await?;
            ensure!(limit.answers < orders, "pgbench has paid more orders than there were");
            let note =
                Some(format!("{unsettled} payments were not settled at the end of the load"));
            Ok(vec![("", Sample { note, ..Sample::rate(&ours, Some(limit.per_second())) })])
        }
        .boxed_local()
    },
};

/// The first of the orders that pgbench pays.
const FIRST: u64 = 1_000_000_000_000;
/// More orders per second than pgbench pays.
const PGBENCH_AT_MOST: u64 = 40_000;

const UNPAID: &str = "
INSERT INTO orders (id, state, user_id, skus, counts, sequence, pay_before)
SELECT $1 + 1000 * n, 'AWAITING_PAYMENT', 1, '{1}', '{1}', 2, now() + interval '1 hour' FROM generate_series(1, $2) n";

/// The first and the last id of the orders of a shard.
async fn waiting(shop: &Shop, shard: usize) -> Result<(i64, i64)> {
    let mut connection = shop.shards[shard].connect().await;
    Ok(sqlx::query_as("SELECT min(id), max(id) FROM orders").fetch_one(&mut connection).await?)
}
